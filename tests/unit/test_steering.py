"""Steering: what a task may ask for, alone and in conflict, and what is done."""

import asyncio
import itertools

import pytest

from nodes.tools import ToolRegistry
from orchestrator.exceptions import (
    NodeFailed,
    NotPortable,
    SteeringRefused,
    StepLimitExceeded,
    WorkflowCancelled,
)
from orchestrator.execution.context import ExecutionContext, StepContext
from orchestrator.graphs import Graph, Group, NodeState, Run, task
from tests.unit.walk_nodes import SCOPE


def new(state):
    return {"new": state.get("new", 0) + 1}


def passes(state):
    return None


CONTROLS = {
    "cancel": lambda context: context.cancel_workflow("stop it"),
    "terminate": lambda context: context.terminate_workflow("done"),
    "goto": lambda context: context.next_task(new, goto=True),
    "jump": lambda context: context.next_task("far"),
    "iterate": lambda context: context.next_iteration({"again": True}),
    "new": lambda context: context.next_task(new),
}
PATHS = {
    "cancel": (["a"], "cancelled"),
    "terminate": (["a"], "terminated"),
    "goto": (["a", "new"], "completed"),
    "jump": (["a", "far"], "completed"),
    "iterate": (["a", "a", "b"], "completed"),
    "new": (["a", "new", "b"], "completed"),
}
WINNERS = {
    pair: min(pair, key=["cancel", "terminate", "goto", "jump", "iterate", "new"].index)
    for pair in itertools.combinations(CONTROLS, 2)
}


def steered(*controls):
    """Make a graph a -> b, and a node far; `a` uses the controls in its first round."""

    def first(state, context):
        if "again" not in state:
            for control in controls:
                CONTROLS[control](context)
        return {"a": True}

    made = Graph("g").add_node("a", first).add_node("b", passes).add_node("far", passes)
    return made.add_edge("a", "b").set_entry_point("a")


async def seen(*controls):
    run = Run(steered(*controls).compile())
    return await run.execute({}), run.context


@pytest.mark.parametrize("control", CONTROLS)
async def test_each_control_alone(control):
    result, context = await seen(control)
    assert (result.path, result.status) == PATHS[control]
    assert context.node_states["a"] == ("cancelled" if control == "cancel" else "completed")
    assert ("a" in result.results) is (control != "cancel")
    assert ("a" in result.state) is (control != "cancel")
    assert context.node_states["b"] == {
        "cancel": "pending", "terminate": "skipped", "goto": "skipped", "jump": "skipped"
    }.get(control, "completed")  # fmt: skip


async def test_no_control_follows_the_edges():
    result, _ = await seen()
    assert result.path == ["a", "b"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("pair", WINNERS, ids="-".join)
async def test_every_pair_of_controls_has_one_winner(pair, order):
    result, _ = await seen(*pair[::order])
    expected = PATHS[WINNERS[pair]]
    if {"goto", "jump"} == set(pair) or {"jump", "new"} == set(pair):
        expected = (["a", "new", "far"], "completed")  # a new task, and then the jump
    if {"goto", "new"} == set(pair):
        expected = (["a", "new", "new"], "completed")  # both tasks, and no successors
    assert (result.path, result.status) == expected


async def test_cancel_raises_and_terminate_does_not():
    with pytest.raises(WorkflowCancelled, match="stop it"):
        (await seen("cancel"))[0].check()
    result = (await seen("terminate"))[0].check()
    assert (result.message, result.state) == ("done", {"a": True})


async def test_steering_is_decided_after_the_node_returned():
    async def first(state, context):
        context.terminate_workflow()
        await asyncio.sleep(0)
        return {"later": True}

    made = Graph("g").add_node("a", first).set_entry_point("a")
    assert (await made.arun()).state == {"later": True}


async def test_a_node_that_steers_and_raises_has_failed():
    def first(state, context):
        context.terminate_workflow()
        raise ValueError("no luck")

    made = Graph("g").add_node("a", first).set_entry_point("a")
    with pytest.raises(NodeFailed, match="no luck"):
        await made.arun()


@pytest.mark.parametrize("control", ["cancel", "terminate"])
async def test_the_end_of_a_run_cuts_its_other_branches_off(control):
    ended = []

    async def for_ever(state):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def ends(state, context):
        await asyncio.sleep(0)
        CONTROLS[control](context)

    made = Graph("g").add_node("a", passes).add_node("b", for_ever).add_node("c", ends)
    made.add_edge("a", "b").add_edge("a", "c").set_entry_point("a")
    run = Run(made.compile())
    result = await run.execute({})
    assert result.status == PATHS[control][1]
    assert ended == [True]
    assert run.context.node_states["b"] is NodeState.CANCELLED


async def test_new_tasks_run_one_after_the_other_and_may_ask_for_more():
    def second(state, context):
        if not state.get("more"):
            context.next_task(third)
        return {"more": True, "trail": [*state["trail"], "second"]}

    def third(state):
        return {"trail": [*state["trail"], "third"]}

    def first(state, context):
        context.next_task(second)
        context.next_task(second)
        return {"trail": ["first"]}

    made = Graph("g").add_node("a", first).add_node("b", passes)
    result = await made.add_edge("a", "b").set_entry_point("a").arun()
    assert result.state["trail"] == ["first", "second", "third", "second"]
    assert result.path == ["a", "second", "third", "second", "b"]


async def test_a_task_that_is_a_node_is_a_jump_also_by_its_function():
    def first(state, context):
        context.next_task(passes)

    made = Graph("g").add_node("a", first).add_node("b", new).add_node("far", passes)
    result = await made.add_edge("a", "b").set_entry_point("a").arun()
    assert result.path == ["a", "far"]


async def test_a_new_task_takes_its_parameters_by_name():
    @task
    def sums(a, extra):
        return a["n"] + extra

    def first(state, context):
        context.next_task(sums)
        return {"n": 2}

    result = await Graph("g").add_node("a", first).set_entry_point("a").arun({"extra": 3})
    assert result.results["sums"] == 5
    assert result.state["sums"] == 5


async def test_an_agent_that_jumps_for_ever_is_stopped():
    def first(state, context):
        context.next_task("a")

    with pytest.raises(StepLimitExceeded):
        await Graph("g").add_node("a", first).set_entry_point("a").arun(max_steps=20)


async def test_next_iteration_replaces_the_state_and_successors_wait():
    def first(state, context):
        if state["left"]:
            context.next_iteration({"left": state["left"] - 1})
        return {"left": state["left"], "last": True}

    made = Graph("g").add_node("a", first).add_node("b", passes)
    result = await made.add_edge("a", "b").set_entry_point("a").arun({"left": 2, "gone": 1})
    assert result.state == {"left": 0, "last": True}
    assert result.path == ["a", "a", "a", "b"]


async def test_a_join_waits_for_no_branch_that_jumped_away():
    def jumps(state, context):
        context.next_task("far")
        return {"b": 1}

    made = Graph("g").add_node("a", passes).add_node("b", jumps).add_node("c", new)
    made.add_node("d", lambda state: {"d": sorted(state)}).add_node("far", passes)
    for edge in ("a b", "a c", "b d", "c d"):
        made.add_edge(*edge.split())
    result = await made.set_entry_point("a").arun()
    assert result.path[-1] == "d"
    assert result.state["d"] == ["new"]
    assert result.state["b"] == 1


async def test_nothing_waits_for_a_node_that_only_jumps_lead_to():
    opened = asyncio.Event()

    async def opens(state):
        opened.set()

    async def waits(state, context):
        async with asyncio.timeout(5):
            await opened.wait()
        context.next_task("far")

    made = Graph("g").add_node("a", passes).add_node("b", opens).add_node("c", waits)
    made.add_node("far", new)
    for edge in ("a b", "a c", "far b"):
        made.add_edge(*edge.split())
    result = await made.set_entry_point("a").arun()
    assert sorted(result.path[:3]) == ["a", "b", "c"]
    assert result.path[3:] == ["far", "b"]


async def test_a_branch_that_begins_anew_is_merged_as_it_is_in_the_end():
    async def again(state, context):
        await asyncio.sleep(0)
        if state["round"] < 2:
            context.next_task("a")
        return {"b": state["round"]}

    made = Graph("g").add_node("a", lambda state: {"round": state.get("round", 0) + 1})
    made.add_node("b", again).add_node("c", lambda state: {"c": state["round"]})
    made.add_node("d", passes)
    for edge in ("a b", "a c", "b d", "c d"):
        made.add_edge(*edge.split())
    result = await made.set_entry_point("a").arun()
    assert result.state == {"round": 2, "b": 2, "c": 2}
    assert result.path.count("d") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda context: context.next_task("nowhere"), "no node has the name 'nowhere'"),
        (lambda context: [context.next_task(n) for n in ("b", "far")], "jumps to 'b' already"),
        (lambda context: context.next_iteration([1]), "takes a state, not list"),
        (lambda context: context.emit("q", None), "belong to loops"),
        (lambda context: context.stage({}), "stages nothing"),
    ],
)
async def test_steering_that_has_no_meaning_is_refused(wrong, message):
    def first(state, context):
        wrong(context)

    made = Graph("g").add_node("a", first).add_node("b", passes).add_node("far", passes)
    with pytest.raises(NodeFailed, match=message) as failed:
        await made.set_entry_point("a").arun()
    assert failed.value.error_type == "steering_refused"


async def test_a_member_of_a_group_steers_only_itself():
    def jumps(state, context):
        context.next_task("far")

    made = Graph("g").add_node("a", Group("a", {"x": jumps})).add_node("far", passes)
    with pytest.raises(NodeFailed, match="a member of a group steers only itself"):
        await made.set_entry_point("a").arun()


def test_a_loop_is_not_steered():
    walk = ExecutionContext(SCOPE, None)
    context = StepContext(walk, "a")
    for wrong in (
        lambda: context.next_task("b"),
        lambda: context.next_iteration({}),
        context.terminate_workflow,
        context.cancel_workflow,
    ):
        with pytest.raises(SteeringRefused, match="only a run can be steered"):
            wrong()


async def test_a_recorded_run_takes_only_tasks_that_can_be_named():
    class Silent:
        checkpoint_every = None

        async def step(self, record): ...
        async def checkpoint(self, snapshot): ...

    def first(state, context):
        context.next_task(lambda state: None)

    made = Graph("g", tools=ToolRegistry()).add_node("a", first).set_entry_point("a")
    await made.arun()
    with pytest.raises(NodeFailed, match="lambda") as failed:
        await made.arun(observer=Silent())
    assert failed.value.error_type == NotPortable.code
