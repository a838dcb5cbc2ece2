"""Groups: what their policies allow, what they raise, and what they leave in the state."""

import asyncio

import pytest

from orchestrator.exceptions import GroupFailed, WorkflowInvalid
from orchestrator.execution.groups import Group


async def good(state):
    return state["value"] + 1


async def bad(state):
    raise ValueError("no such column")


async def also_bad(state):
    raise KeyError("price")


def waits(ended):
    """Return a member that waits for ever, and notes how it ended."""

    async def member(state):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    return member


async def run(group, **state):
    return await group.run({"value": 1, **state})


async def test_results_come_under_the_names_of_the_members():
    group = Group("g", {"one": good, "two": lambda state: {"seen": state["value"]}})
    assert await run(group) == {"one": 2, "two": {"seen": 1}}
    assert group.members == ("one", "two")


async def test_members_run_side_by_side():
    met = asyncio.Barrier(3)

    async def member(state):
        await met.wait()

    await asyncio.wait_for(run(Group("g", dict.fromkeys("abc", member))), 10)


async def test_every_member_gets_the_same_state_whatever_another_does_with_its_own():
    def writes(state):
        state["value"] = state.get("value", 0) + 10
        return state["value"]

    async def writes_async(state):
        return writes(state)

    state = {"value": 1}
    group = Group("g", {"a": writes, "b": writes_async, "c": writes, "d": writes_async, "e": good})
    assert await group.run(state) == {"a": 11, "b": 11, "c": 11, "d": 11, "e": 2}
    assert state == {"value": 1}


async def test_strict_fails_with_any_member_and_cancels_the_others():
    ended = []
    group = Group("checks", {"a": good, "c": waits(ended), "b": bad})
    with pytest.raises(GroupFailed) as failed:
        await asyncio.wait_for(run(group), 10)
    assert ended == ["cancelled"]
    error = failed.value
    assert error.code == "group_failed"
    assert error.message == (
        "the group 'checks': 1 of 3 members failed: b (ValueError: no such column)"
    )
    assert error.problems == (("members.b", "ValueError: no such column"),)
    assert isinstance(error.__cause__, ValueError)


async def test_a_member_that_has_not_begun_when_the_group_is_lost_does_not_begin():
    begun = []
    members = {"a": bad, "b": lambda state: begun.append("b")}
    with pytest.raises(GroupFailed):
        await run(Group("g", members))
    assert begun == []


async def test_best_effort_goes_on_and_notes_what_failed():
    group = Group("g", {"a": good, "b": bad, "c": also_bad}, policy="best_effort")
    assert await run(group) == {
        "a": 2,
        "g_errors": {
            "b": {"type": "ValueError", "message": "no such column"},
            "c": {"type": "KeyError", "message": "'price'"},
        },
    }
    assert "g_errors" not in await run(Group("g", {"a": good}, policy="best_effort"))


@pytest.mark.parametrize("n", [1, 2, 3])
async def test_at_least_n_counts_who_succeeded(n):
    group = Group("g", {"a": good, "b": bad, "c": good}, policy="at_least_n", n=n)
    if n < 3:
        assert set(await run(group)) == {"a", "c", "g_errors"}
    else:
        with pytest.raises(GroupFailed, match="1 of 3 members failed: b"):
            await run(group)


async def test_at_least_n_is_over_when_too_many_have_failed():
    ended = []
    members = {"c": waits(ended), "a": bad, "b": also_bad}
    with pytest.raises(GroupFailed) as failed:
        await asyncio.wait_for(run(Group("g", members, policy="at_least_n", n=2)), 10)
    assert [problem.path for problem in failed.value.problems] == ["members.a", "members.b"]
    assert ended == ["cancelled"]


async def test_critical_members_must_succeed_and_others_need_not():
    members = {"a": good, "b": bad, "c": also_bad}
    found = await run(Group("g", members, policy="critical", critical=["a"]))
    assert (found["a"], set(found["g_errors"])) == (2, {"b", "c"})
    with pytest.raises(GroupFailed, match=r"2 of 3 members failed: b .*, c "):
        await run(Group("g", members, policy="critical", critical=["a", "c"]))


async def test_a_policy_of_ones_own_sees_all_outcomes_and_raises():
    def at_most_one_failure(outcomes):
        seen.extend((outcome.name, outcome.ok, outcome.value) for outcome in outcomes)
        if sum(not outcome.ok for outcome in outcomes) > 1:
            raise RuntimeError("more than one failed")

    seen = []
    found = await run(Group("g", {"a": good, "b": bad}, policy=at_most_one_failure))
    assert (found["a"], list(found["g_errors"])) == (2, ["b"])
    assert seen == [("a", True, 2), ("b", False, None)]
    with pytest.raises(GroupFailed) as failed:
        await run(Group("g", {"a": bad, "b": bad, "c": good}, policy=at_most_one_failure))
    assert "2 of 3 members failed: a (ValueError: no such column), b" in failed.value.message
    assert failed.value.message.endswith("; more than one failed")


async def test_a_member_that_exits_or_cancels_itself_has_only_failed():
    def leaves(state):
        raise SystemExit("bye")

    async def cancels(state):
        raise asyncio.CancelledError

    def stops(state):
        raise StopIteration

    members = {"a": leaves, "b": cancels, "c": stops, "d": good}
    for executor in ("inline", "thread"):
        group = Group("g", members, policy="best_effort", executor=executor)
        found = await asyncio.wait_for(run(group), 10)
        assert found["d"] == 2
        assert {name: error["type"] for name, error in found["g_errors"].items()} == {
            "a": "SystemExit",
            "b": "CancelledError",
            "c": "RuntimeError",
        }


async def test_a_member_that_is_late_has_failed():
    ended = []
    members = {"a": good, "b": waits(ended)}
    group = Group("g", members, policy="best_effort", member_timeout=0.05)
    found = await asyncio.wait_for(run(group), 10)
    assert found["g_errors"] == {"b": {"type": "NodeTimeout", "message": "took longer than 0.05 s"}}
    with pytest.raises(GroupFailed, match=r"b \(NodeTimeout: took longer than 0.05 s\)"):
        await asyncio.wait_for(run(Group("g", members, member_timeout=0.05)), 10)
    assert ended == ["cancelled", "cancelled"]


async def test_a_timeout_of_a_members_own_is_not_that_of_the_group():
    async def times_out(state):
        raise TimeoutError("the server is slow")

    group = Group("g", {"a": times_out}, policy="best_effort", member_timeout=10)
    assert (await run(group))["g_errors"]["a"]["type"] == "TimeoutError"


async def test_the_time_of_a_group_ends_all_that_has_not_ended():
    ended = []
    members = {"a": good, "b": waits(ended), "c": waits(ended)}
    group = Group("g", members, policy="best_effort", timeout=0.05)
    found = await asyncio.wait_for(run(group), 10)
    assert found["a"] == 2
    assert {error["message"] for error in found["g_errors"].values()} == {
        "the group took longer than 0.05 s"
    }
    assert ended == ["cancelled", "cancelled"]


async def test_who_cancels_a_group_cancels_its_members():
    ended = []
    task = asyncio.create_task(run(Group("g", {"a": waits(ended), "b": waits(ended)})))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled", "cancelled"]


async def test_a_group_in_a_group_is_a_member_with_results_of_its_own():
    inner = Group("inner", {"x": good, "y": bad}, policy="best_effort")
    assert await run(Group("outer", {"a": good, "deep": inner})) == {
        "a": 2,
        "deep": {
            "x": 2,
            "inner_errors": {"y": {"type": "ValueError", "message": "no such column"}},
        },
    }


async def test_a_group_in_a_group_that_fails_is_a_member_that_failed():
    ended = []
    inner = Group("inner", {"y": bad})
    with pytest.raises(GroupFailed) as failed:
        await asyncio.wait_for(run(Group("outer", [inner, ("z", waits(ended))])), 10)
    [problem] = failed.value.problems
    assert problem == (
        "members.inner",
        "group_failed: the group 'inner': 1 of 1 members failed: y (ValueError: no such column)",
    )
    assert ended == ["cancelled"]


async def test_members_with_a_name_of_their_own_need_no_other():
    inner = Group("inner", [good])
    assert await run(Group("g", [good, inner])) == {"good": 2, "inner": {"good": 2}}


@pytest.mark.parametrize(
    ("members", "options", "path", "message"),
    [
        ({}, {}, "members", "needs a member"),
        ([good, good], {}, "members[1].name", "'good' is the name of a member before"),
        ([("", good)], {}, "members[0].name", "'' is no name"),
        ({"g_errors": good}, {}, "members[0].name", "where the errors are noted"),
        ({"a": good}, {"policy": "lenient"}, "policy", "'lenient' is none of strict"),
        ({"a": good}, {"policy": good}, "policy", "a plain function"),
        ({"a": good}, {"policy": "at_least_n"}, "n", "from 1 to 1, and not None"),
        ({"a": good}, {"policy": "at_least_n", "n": 2}, "n", "from 1 to 1, and not 2"),
        ({"a": good}, {"policy": "at_least_n", "n": True}, "n", "and not True"),
        ({"a": good}, {"n": 1}, "n", "only for the policy at_least_n"),
        ({"a": good}, {"policy": "critical"}, "critical", "takes the names"),
        ({"a": good}, {"policy": "critical", "critical": "a"}, "critical", "takes the names"),
        ({"a": good}, {"policy": "critical", "critical": ["b"]}, "critical", "no member 'b'"),
        ({"a": good}, {"critical": ["a"]}, "critical", "only for the policy critical"),
        ({"a": good}, {"timeout": 0}, "timeout", "takes seconds, and not 0"),
        ({"a": good}, {"member_timeout": float("nan")}, "member_timeout", "takes seconds"),
        ({"a": good}, {"executor": "moon"}, "executor", "'moon' is none of inline"),
        ({"a": good}, {"executor": 3}, "executor", "3 is no executor"),
        ({"a": len}, {"timeout": 1}, "timeout", "cannot end a, which runs in the event loop"),
        ({"a": len}, {"member_timeout": 1}, "member_timeout", "cannot end a"),
        ({"a": Group("a", [len])}, {"timeout": 1}, "timeout", "cannot end a"),
    ],
)
def test_what_makes_no_group_is_refused_with_its_place(members, options, path, message):
    with pytest.raises(WorkflowInvalid) as refused:
        Group("g", members, **options)
    assert [p.path for p in refused.value.problems] == [path]
    assert message in refused.value.problems[0].message
    assert refused.value.message.startswith("the group 'g': ")


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(WorkflowInvalid) as refused:
        Group("g", [good, good], policy="critical", critical=["b", "c"], timeout=-1)
    assert [p.path for p in refused.value.problems] == [
        "members[1].name", "critical", "critical", "timeout"
    ]  # fmt: skip
