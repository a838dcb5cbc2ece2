"""Groups as nodes of a graph: what members get, share, and may steer."""

import asyncio

import pytest

from orchestrator.exceptions import GroupFailed
from orchestrator.graphs import Graph, Group, NodeState, Run, RunStatus, task, workflow


def split(state):
    return {"left": state["value"], "right": state["value"] * 10}


async def left(state):
    return state["left"] + 1


async def right(state):
    return state["right"] + 1


async def bad(state):
    raise ValueError("no such column")


def total(state):
    return {"total": state.get("left_sum", 0) + state.get("right_sum", 0)}


def diamond(members, **options):
    """Return split -> (members) -> total."""
    graph = Graph("diamond").add_node("split", split).add_node("total", total)
    graph.add_node("sums", Group("sums", members, **options))
    graph.add_edge("split", "sums").add_edge("sums", "total").set_entry_point("split")
    return graph


def of_one(member, **options):
    return Graph("one").add_node("g", Group("g", {"m": member}, **options)).set_entry_point("g")


async def test_the_results_of_a_group_are_merged_into_the_state():
    graph = diamond({"left_sum": left, "right_sum": right})
    result = await graph.arun({"value": 1})
    assert result.state == {
        "value": 1, "left": 1, "right": 10, "left_sum": 2, "right_sum": 11, "total": 13,
    }  # fmt: skip
    assert result.results["sums"] == {"left_sum": 2, "right_sum": 11}
    assert result.path == ["split", "sums", "total"]


async def test_a_group_that_fails_fails_its_node_and_what_follows_does_not_run():
    run = Run(diamond({"left_sum": left, "right_sum": bad}).compile())
    result = await run.execute({"value": 1})
    assert (result.status, result.path) == (RunStatus.FAILED, ["split", "sums"])
    assert isinstance(result.error, GroupFailed)
    assert result.error.node_id == "sums"
    assert result.error.problems == (("members.right_sum", "ValueError: no such column"),)
    assert "left_sum" not in result.state
    assert run.context.node_states["sums"] == NodeState.FAILED


async def test_a_run_goes_on_behind_a_group_whose_policy_allows_a_failure():
    members = {"left_sum": left, "right_sum": bad}
    result = await diamond(members, policy="best_effort").arun({"value": 1})
    assert result.state["total"] == 2
    assert result.state["sums_errors"] == {
        "right_sum": {"type": "ValueError", "message": "no such column"}
    }


async def test_members_share_through_the_channel():
    async def writes(state, context):
        await context.channel.set("found", 7)
        added = await context.channel.add("members")
        written.set()
        return added

    async def reads(state, context):
        await written.wait()
        await context.channel.add("members")
        return await context.channel.get("found")

    async def counts(state, context):
        return {"members": await context.channel.add("members", 0)}

    written = asyncio.Event()
    graph = Graph("shared").add_node("g", Group("g", {"a": reads, "b": writes}))
    graph.add_node("end", counts).add_edge("g", "end").set_entry_point("g")
    assert (await graph.arun({})).state == {"a": 7, "b": 1, "members": 2}


async def test_tasks_as_members_get_their_parameters_by_name():
    @task
    def load():
        return [1, 2, 3]

    @task
    def sums(load):
        return sum(load)

    @task
    async def counts(load, factor=10):
        return len(load) * factor

    @task
    def report(sums, counts):
        return f"{sums} of {counts}"

    with workflow("report") as flow:
        load >> (sums | counts) >> report
    assert (await flow.arun()).results["report"] == "6 of 30"


async def test_a_parameter_without_a_value_fails_its_member():
    @task
    def asks(unknown):
        return unknown

    with pytest.raises(GroupFailed, match=r"m .*no value for its parameter 'unknown'"):
        await of_one(asks).arun({})


async def test_a_member_runs_again_with_the_state_it_asks_for():
    seen = []

    async def again(state, context):
        seen.append(dict(state))
        if state["left"] > 0:
            context.next_iteration({"left": state["left"] - 1})
        return state["left"]

    assert (await of_one(again).arun({"left": 2})).state == {"left": 2, "m": 0}
    assert seen == [{"left": 2}, {"left": 1}, {"left": 0}]


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_a_plain_member_runs_again_where_it_ran_before(executor):
    def again(state, context):
        if state["left"] > 0:
            context.next_iteration({"left": state["left"] - 1})
        return state["left"]

    result = await of_one(again, executor=executor).arun({"left": 3})
    assert result.state == {"left": 3, "m": 0}


async def test_a_member_that_runs_again_for_ever_has_failed():
    async def for_ever(state, context):
        context.next_iteration(state)

    with pytest.raises(GroupFailed, match=r"m .*more than 1000 steps"):
        await asyncio.wait_for(of_one(for_ever).arun({}), 30)


async def test_a_member_cancels_nothing_but_itself():
    async def cancels(state, context):
        context.cancel_workflow("nothing to do here")
        return "not kept"

    async def other(state):
        return 1

    group = Group("g", {"a": cancels, "b": other}, policy="best_effort")
    result = await Graph("one").add_node("g", group).set_entry_point("g").arun({})
    assert result.status == RunStatus.COMPLETED
    assert result.state == {
        "b": 1,
        "g_errors": {"a": {"type": "workflow_cancelled", "message": "nothing to do here"}},
    }
    with pytest.raises(GroupFailed, match=r"m \(workflow_cancelled: nothing to do here\)"):
        await of_one(cancels).arun({})


@pytest.mark.parametrize(
    ("control", "arguments"),
    [("next_task", ["g"]), ("terminate_workflow", []), ("checkpoint", [])],
)
async def test_a_member_that_would_steer_the_run_is_refused(control, arguments):
    async def steers(state, context):
        getattr(context, control)(*arguments)

    with pytest.raises(GroupFailed, match=f"m .steering_refused: {control} in the member 'm'"):
        await of_one(steers).arun({})


async def test_a_member_that_would_run_again_on_no_state_is_refused():
    async def steers(state, context):
        context.next_iteration(3)

    with pytest.raises(GroupFailed, match="next_iteration takes a state, not int"):
        await of_one(steers).arun({})


async def test_each_member_has_an_idempotency_key_of_its_own():
    async def key(state, context):
        return context.idempotency_key

    group = Group("g", {"a": key, "b": key})
    state = (await Graph("one").add_node("g", group).set_entry_point("g").arun({})).state
    assert state["a"] != state["b"]
    assert state["a"][:32] == state["b"][:32]


async def test_a_run_that_is_cancelled_cancels_the_members():
    ended, begun = [], asyncio.Event()

    async def waits(state):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("m")

    run = Run(of_one(waits).compile())
    running = asyncio.create_task(run.execute({}))
    await begun.wait()
    run.cancel("enough")
    assert (await asyncio.wait_for(running, 10)).status == RunStatus.CANCELLED
    assert ended == ["m"]


def test_a_graph_with_another_group_is_another_graph():
    members = {"left_sum": left, "right_sum": right}
    known = diamond(members).compile().digest
    assert diamond(dict(members)).compile().digest == known
    inner = {"left_sum": left, "right_sum": Group("right_sum", [right])}
    others = [
        diamond({**members, "more": left}),
        diamond({"left_sum": left, "right_sum": left}),
        diamond(members, policy="best_effort"),
        diamond(members, policy=len),
        diamond(members, policy="at_least_n", n=1),
        diamond(members, policy="critical", critical=["left_sum"]),
        diamond(members, timeout=1),
        diamond(members, executor="thread"),
        diamond(inner),
    ]
    assert len({known, *(graph.compile().digest for graph in others)}) == 10
