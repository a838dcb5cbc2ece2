"""Graphs of Python functions, from the outside: built, refused, run."""

import asyncio
import subprocess
import sys
import threading

import pytest

from nodes.tools import ToolRegistry
from orchestrator.exceptions import (
    Conflict,
    DuplicateTask,
    EdgeLimitExceeded,
    InvalidPayload,
    InvalidRequest,
    NodeFailed,
    NotFound,
    NotPortable,
    RegistryError,
    RunTimeout,
    StepLimitExceeded,
    UnknownTask,
    WorkflowInvalid,
)
from orchestrator.execution.tasks import TaskRegistry, call
from orchestrator.graphs import (
    ExecutionContext,
    Graph,
    Group,
    NodeState,
    Run,
    RunLimits,
    RunStatus,
    task,
    workflow,
)
from tests.local_runs import ROOT


def adds(**values):
    return lambda state: values


def counts(key):
    return lambda state: {key: state.get(key, 0) + 1}


def graph(*edges, **functions):
    """Make a graph of edges such as "a b"; it begins at the first function."""
    made = Graph("g")
    for name, function in functions.items():
        made.add_node(name, function)
    for edge in edges:
        made.add_edge(*edge.split())
    return made.set_entry_point(next(iter(functions)))


# states


def test_what_a_function_returns_is_merged_over_the_state():
    result = graph("a b", a=adds(x=1, y=1), b=adds(y=2)).run({"x": 0, "z": 0})
    assert result.state == {"x": 1, "y": 2, "z": 0}
    assert result.status is RunStatus.COMPLETED
    assert (result.path, result.steps) == (["a", "b"], 2)
    assert result.results == {"a": {"x": 1, "y": 1}, "b": {"y": 2}}


async def test_async_functions_and_plain_ones_may_be_mixed():
    async def later(state):
        await asyncio.sleep(0)
        return {"x": state["x"] + 1}

    result = await graph("a b", a=later, b=counts("x")).arun({"x": 0})
    assert result.state == {"x": 2}


def test_none_leaves_the_state_and_the_callers_state_is_never_changed():
    def writes(state):
        state["x"] = 2

    given = {"x": 1}
    assert graph("a b", a=writes, b=lambda state: None).run(given).state == {"x": 1}
    assert given == {"x": 1}


def test_a_function_that_returns_something_else_fails_with_its_name():
    with pytest.raises(NodeFailed, match="'a' returned int") as failed:
        graph(a=lambda state: 5).run()
    assert failed.value.node_id == "a"


def test_a_function_runs_in_line_unless_it_wants_a_thread():
    made = Graph("g").add_node("a", lambda state: {"a": threading.get_ident()})
    made.add_node("b", lambda state: {"b": threading.get_ident()}, thread=True)
    state = made.add_edge("a", "b").set_entry_point("a").run().state
    assert state["a"] == threading.get_ident() != state["b"]


def test_a_plain_script_may_pass_any_object_on():
    value = object()
    assert graph("a b", a=adds(value=value), b=adds()).run().state["value"] is value


# branches, joins, cycles


def test_a_diamond_merges_what_each_branch_changed():
    made = graph(
        "a b", "a c", "b d", "c d",
        a=adds(base=1, kept=1), b=adds(b=1, base=2, same=[1]), c=adds(c=1, same=[1]), d=adds(),
    )  # fmt: skip
    assert made.run().state == {"base": 2, "kept": 1, "b": 1, "c": 1, "same": [1]}


def test_two_branches_that_change_one_key_keep_both_in_edge_order():
    async def slow(state):
        await asyncio.sleep(0.01)
        return {"x": "first edge"}

    made = graph("a b", "a c", "b d", "c d", a=adds(x=0), b=slow, c=adds(x="second"), d=adds())
    assert made.run().state == {"x": "first edge", "x_2": "second"}


def test_the_ends_of_branches_that_never_join_are_merged_too():
    made = graph("a b", "a c", a=adds(x=1), b=adds(b=1), c=adds(c=1))
    assert made.run({"kept": 0}).state == {"kept": 0, "x": 1, "b": 1, "c": 1}


def test_branches_run_side_by_side():
    both = {}

    async def meets(name, other, state):
        both[name] = asyncio.Event()
        await asyncio.sleep(0)
        both[name].set()
        async with asyncio.timeout(5):
            await both[other].wait()

    made = graph(
        "a b", "a c",
        a=adds(), b=lambda state: meets("b", "c", state), c=lambda state: meets("c", "b", state),
    )  # fmt: skip
    assert made.run().steps == 3


@pytest.mark.parametrize("text", [True, False])
def test_conditions_are_functions_or_expressions(text):
    made = graph(a=counts("n"), high=adds(end="high"), low=adds(end="low"))
    made.add_edge("a", "high", condition="data.n > 3" if text else lambda state: state["n"] > 3)
    made.add_edge("a", "low", condition="data.n <= 3" if text else lambda state: state["n"] <= 3)
    assert made.run({"n": 3}).state["end"] == "high"
    assert made.run({"n": 1}).state["end"] == "low"


def test_a_way_ends_where_no_condition_holds():
    made = graph(a=adds(x=1), b=adds(x=2)).add_edge("a", "b", condition=lambda state: False)
    result = made.run()
    assert (result.state, result.path) == ({"x": 1}, ["a"])


def test_a_cycle_is_followed_while_its_condition_holds():
    made = graph("a b", "b end", a=counts("n"), b=adds(), end=adds(end=True))
    made = graph("a b", a=counts("n"), b=adds(), end=adds(end=True))
    made.add_edge("b", "a", condition=lambda state: state["n"] < 4)
    made.add_edge("b", "end", condition=lambda state: state["n"] >= 4)
    result = made.run()
    assert result.state == {"n": 4, "end": True}
    assert result.path == ["a", "b"] * 4 + ["end"]


def test_a_join_in_a_cycle_compares_with_the_round_it_is_in():
    made = graph(
        "a b", "a c", "b d", "c d",
        a=counts("round"), b=counts("b"), c=counts("c"), d=adds(),
    ).add_edge("d", "a", condition=lambda state: state["round"] < 3)  # fmt: skip
    assert made.run().state == {"round": 3, "b": 3, "c": 3}


# limits


def test_an_endless_cycle_ends_with_the_path():
    with pytest.raises(StepLimitExceeded, match=r"more than 7 steps: .*a -> b -> a") as error:
        graph("a b", "b a", a=adds(), b=adds()).run(max_steps=7)
    assert error.value.path == ("a", "b", "a", "b", "a", "b", "a", "b")


def test_every_node_counts_as_a_step_also_in_a_fast_chain():
    made = graph("a b", "b c", a=adds(), b=adds(), c=adds())
    for _ in range(200):
        assert made.run(max_steps=3).steps == 3
    with pytest.raises(StepLimitExceeded):
        made.run(max_steps=2)


def test_a_budget_of_an_edge_leads_elsewhere_when_it_is_used_up():
    made = graph(a=counts("n"), gave_up=adds(end=True))
    made.add_edge("a", "a", budget=3, on_limit="gave_up")
    assert made.run().state == {"n": 4, "end": True}
    assert made.run().state["n"] == 4  # the next run has a budget of its own


def test_a_budget_without_a_way_out_fails():
    made = graph(a=counts("n")).add_edge("a", "a", budget=3)
    with pytest.raises(EdgeLimitExceeded, match="more than 3"):
        made.run()


def test_a_run_ends_at_its_timeout_with_the_path():
    async def for_ever(state):
        await asyncio.Event().wait()

    with pytest.raises(RunTimeout, match=r"0\.02 s: a -> b"):
        graph("a b", a=adds(), b=for_ever).run(timeout=0.02)


async def test_a_run_is_cancelled_from_outside_while_a_node_executes():
    began = asyncio.Event()
    ended = []

    async def for_ever(state):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    for edges in (["a b"], ["a b", "a c"]):
        began.clear()
        run = Run(graph(*edges, a=adds(x=1), b=for_ever, c=adds()).compile())
        walking = asyncio.create_task(run.execute({}))
        await began.wait()
        assert run.context.node_states["b"] is NodeState.EXECUTING
        assert "b" in run.context.pending
        run.cancel("enough")
        result = await walking
        assert (result.status, result.message, result.state) == ("cancelled", "enough", {"x": 1})
        assert run.context.node_states["b"] is NodeState.CANCELLED
    assert ended == [True, True]


async def test_a_node_that_swallows_the_cancellation_only_puts_it_off():
    began = asyncio.Event()

    async def stubborn(state):
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return {"stubborn": True}

    for edges in ([], ["a b"]):
        began.clear()
        run = Run(graph(*edges, a=stubborn, b=adds(x=1)).compile())
        walking = asyncio.create_task(run.execute({}))
        await began.wait()
        run.cancel()
        result = await walking
        assert result.status == ("cancelled" if edges else "completed")
        assert result.state == {"stubborn": True}
        assert walking.cancelling() == 0


async def test_a_cancellation_of_the_task_itself_passes_through():
    async def for_ever(state):
        await asyncio.Event().wait()

    run = Run(graph(a=for_ever).compile())
    walking = asyncio.create_task(run.execute({}))
    await asyncio.sleep(0)
    walking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walking


async def test_a_run_cancelled_before_it_began_runs_nothing():
    run = Run(graph(a=adds(x=1)).compile())
    run.cancel()
    result = await run.execute({})
    assert (result.status, result.path, result.state) == ("cancelled", [], {})


async def test_a_run_cancelled_by_its_own_node_leaves_its_task_alone():
    async def cancels(state):
        run.cancel("by itself")

    run = Run(graph("a b", a=cancels, b=adds()).compile())
    result = await run.execute({})
    await asyncio.sleep(0)
    assert (result.status, result.path) == ("cancelled", ["a"])


# bad input


def test_what_a_graph_refuses_when_it_is_built():
    made = graph(a=adds())
    with pytest.raises(WorkflowInvalid, match="'a' already"):
        made.add_node("a", adds())
    with pytest.raises(RegistryError, match="is not a function"):
        made.add_node("b", 5)
    with pytest.raises(WorkflowInvalid, match="is no name"):
        made.add_node("", adds())
    with pytest.raises(WorkflowInvalid, match="does not parse"):
        made.add_edge("a", "a", condition="data.x >")

    async def later(state):
        return True

    with pytest.raises(WorkflowInvalid, match="plain function"):
        made.add_edge("a", "a", condition=later)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (Graph("g").add_node("a", adds()), "entry_point: a run needs a node to begin at"),
        (graph(a=adds()).set_entry_point("z"), "no node has the id 'z'"),
        (graph("a z", a=adds()), "there is no node 'z'"),
        (graph("a b", a=adds(), b=adds()).add_edge("a", "b", budget=2), "closes no cycle"),
        (graph(a=adds()).add_edge("a", "a", budget=0), "at least 1"),
        (graph(a=adds()).add_edge("a", "a", on_limit="a"), "needs a budget"),
        (graph(a=adds()).add_edge("a", "a", budget=1, on_limit="z"), "no node has the id 'z'"),
    ],
)
def test_what_a_graph_refuses_when_it_is_compiled(made, message):
    with pytest.raises(WorkflowInvalid, match=message):
        made.run()


def test_a_node_that_nothing_leads_to_is_a_warning():
    made = graph("a b", a=adds(), b=adds(), c=adds())
    assert [problem.message for problem in made.warnings] == [
        "nothing leads to 'c' from the entry point"
    ]
    assert made.run().steps == 2


def test_a_condition_that_raises_names_its_edge():
    made = graph(a=adds(), b=adds()).add_edge("a", "b", condition=lambda state: state["z"] > 1)
    with pytest.raises(NodeFailed, match="edge a -> b raised KeyError: 'z'") as failed:
        made.run()
    assert failed.value.node_id == "a"


async def test_a_failed_run_keeps_the_state_at_the_error():
    def fails(state):
        raise ValueError("no luck")

    run = Run(graph("a b", "b c", a=adds(x=1), b=fails, c=adds()).compile())
    result = await run.execute({})
    assert (result.status, result.state, result.path) == ("failed", {"x": 1}, ["a", "b"])
    assert (result.error.node_id, result.error.error_type) == ("b", "ValueError")
    states = run.context.node_states
    assert states == {"a": "completed", "b": "failed", "c": "pending"}
    with pytest.raises(NodeFailed, match="no luck"):
        result.check()


async def test_a_run_is_executed_once_and_wants_a_dict():
    run = Run(graph(a=adds()).compile())
    with pytest.raises(InvalidPayload):
        await run.execute([1])
    await run.execute({})
    with pytest.raises(Conflict):
        await run.execute({})


async def test_run_in_an_event_loop_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"await graph\.arun"):
        graph(a=adds()).run()


# tasks and composition


@task
def load(n):
    return n * 2


@task
def plus(load, by=1):
    return load + by


@task
async def times(load, factor):
    return load * factor


@task
def both(plus, times, state):
    return {"sum": plus + times, "n_was": state["n"]}


def test_parameters_are_filled_by_name():
    with workflow("w") as wf:
        load >> (plus | times) >> both
    result = wf.execute("load", {"n": 2, "factor": 10})
    assert result.results["both"] == {"sum": 45, "n_was": 2}
    assert result.state["sum"] == 45


def test_a_missing_parameter_names_task_and_parameter():
    with workflow("w") as wf:
        load >> times
    with pytest.raises(NodeFailed, match="task 'times' has no value for its parameter 'factor'"):
        wf.execute(state={"n": 2})


async def test_the_order_is_result_state_channel_default():
    @task
    def shows(load="default"):
        return {"seen": load}

    alone = Graph("g").add_node("shows", shows).set_entry_point("shows")
    compiled = alone.compile()

    async def seen(state, channel):
        context = ExecutionContext.create(graph=compiled)
        for key, value in channel.items():
            await context.channel.set(key, value)
        return (await alone.arun(state, context=context)).state["seen"]

    assert await seen({}, {}) == "default"
    assert await seen({}, {"load": "channel"}) == "channel"
    assert await seen({"load": "state"}, {"load": "channel"}) == "state"
    with workflow("w") as wf:
        load >> shows
    assert (await wf.arun({"n": 1, "load": "state"})).state["seen"] == 2


def test_a_task_is_still_its_function_and_starts_anywhere():
    assert plus(1, by=4) == 5
    with workflow("w") as wf:
        load >> plus >> both
    assert wf.execute("plus", {"load": 1, "n": 0, "times": 0}).path == ["plus", "both"]


def test_another_policy_for_a_parallel_group():
    @task
    def fails(load):
        raise ValueError("no luck")

    with workflow("w") as wf:
        load >> (plus | fails).group("any", policy="at_least_n", n=1)
    state = wf.execute(state={"n": 1}).state
    assert state["plus"] == 3
    assert state["any_errors"]["fails"]["type"] == "ValueError"


def test_two_tasks_of_one_name_are_refused():
    @task(name="plus")
    def other():
        return 0

    with pytest.raises(WorkflowInvalid, match="another node 'plus'"), workflow("w"):
        load >> plus
        load >> other


def test_a_graph_draws_itself():
    drawn = graph("a b", a=load, b=adds()).mermaid()
    assert drawn.startswith("flowchart TD")
    assert "n0 --> n1" in drawn


def test_tasks_by_name():
    registry = TaskRegistry()
    registry.register("double", load)
    registry.register("double", load)
    spec = registry.spec(load, {"n": 4})
    assert (spec.name, spec.arguments) == ("double", {"n": 4})
    assert asyncio.run(registry.call(spec)) == 8
    with pytest.raises(DuplicateTask):
        registry.register("double", plus)
    with pytest.raises(UnknownTask, match="'triple'"):
        registry.get("triple")
    with pytest.raises(NotPortable):
        registry.spec(lambda: 1)


def test_a_task_at_the_top_of_a_module_is_registered_and_a_closure_is_not():
    from orchestrator.execution.tasks import tasks

    @task
    def inside():
        return 0

    spec = tasks.spec(load, {"n": 1})
    assert spec.name == f"{__name__}.load"
    assert asyncio.run(call(spec)) == 2
    with pytest.raises(NotPortable, match="inside"):
        tasks.spec(inside)


# the context


async def test_the_context_of_a_run():
    tools = ToolRegistry()
    tools.register("shout", lambda text: text.upper())

    async def uses(state, context):
        assert (context.state, context.steps, context.max_steps) == ({"n": 1}, 1, 9)
        await context.channel.set("seen", [1])
        await context.channel.add("count", 2)
        return {"loud": await context.tools.call("shout", {"text": "hey"})}

    made = Graph("g", tools=tools).add_node("a", uses).add_node("b", adds()).set_entry_point("a")
    context = ExecutionContext.create(graph=made.compile(), config={"max_steps": 9})
    result = await made.arun({"n": 1}, context=context)
    assert result.state["loud"] == "HEY"
    assert context.state == result.state
    assert (await context.channel.get("seen"), await context.channel.get("count")) == ([1], 2)
    assert (context.completed, context.pending) == ({"a": 1}, [])
    assert context.node_states == {"a": "completed", "b": "skipped"}


async def test_a_lock_in_the_channel_keeps_others_out():
    inside, most = 0, 0

    async def enters(state, context):
        nonlocal inside, most
        async with context.channel.lock("door"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    made = graph("a b", "a c", "a d", a=adds(), b=enters, c=enters, d=enters)
    await made.arun()
    assert most == 1


def test_what_a_context_refuses():
    compiled = graph(a=adds()).compile()
    with pytest.raises(NotFound, match="'z'"):
        ExecutionContext.create(graph=compiled, start_node="z")
    with pytest.raises(InvalidRequest, match="'disk'"):
        ExecutionContext.create(graph=compiled, channel_backend="disk")
    with pytest.raises(InvalidRequest, match="redis_url"):
        ExecutionContext.create(graph=compiled, channel_backend="redis")
    with pytest.raises(InvalidRequest, match="'max_step'"):
        ExecutionContext.create(graph=compiled, config={"max_step": 1})


async def test_a_channel_on_redis_is_shared_by_the_contexts_of_one_run(redis_url):
    async def writes(state, context):
        await context.channel.append("log", {"n": 1})
        return {"log": await context.channel.items("log")}

    made = graph(a=writes)
    for expected in (1, 2):
        context = ExecutionContext.create(
            graph=made.compile(),
            channel_backend="redis",
            config={"redis_url": redis_url, "run_id": "shared"},
        )
        result = await made.arun({}, context=context)
        assert len(result.state["log"]) == expected
        await context.close()


async def test_many_runs_of_one_graph_at_a_time_do_not_touch_each_other():
    async def slowly(state):
        await asyncio.sleep(0)
        return {"n": state["n"] + 1}

    made = graph("a b", "a c", "b d", "c d", a=slowly, b=slowly, c=adds(), d=slowly)
    results = await asyncio.gather(*(made.arun({"n": n}) for n in range(50)))
    assert [result.state["n"] for result in results] == [n + 3 for n in range(50)]


def test_the_limits_of_a_run():
    assert RunLimits().max_steps == 1000


# without Django, Redis, and more than fifteen lines


def test_a_script_imports_no_framework():
    script = ROOT / "examples/graphs/diamond.py"
    assert len(script.read_text().splitlines()) <= 15
    code = f"""
import runpy, sys
runpy.run_path({str(script)!r}, run_name="__main__")
print([name for name in ("django", "redis", "rest_framework", "channels") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines() == ["49, at most 30", "[]"]


def test_the_agent_loop_of_the_examples():
    from examples.graphs.agent_loop import agent

    result = agent.run({"word": "commit"})
    assert result.path == [
        "think", "search", "search", "search", "think", "look_up", "think", "answer"
    ]  # fmt: skip
    assert result.state["answer"] == "'commit' is on page 2."


@pytest.mark.parametrize(("goal", "verdict"), [(0.98, "accepted"), (1.1, "rejected")])
def test_the_data_quality_pipeline_of_the_examples(goal, verdict):
    from examples.graphs.data_quality import pipeline
    from nodes import files

    files.configure(ROOT / "examples/data")
    result = pipeline.run({"path": "quality.csv", "goal": goal})
    assert result.state["verdict"] == verdict
    assert result.path.count("score") > 1
    assert (result.state["score"] >= goal) is (verdict == "accepted")


def test_a_group_is_a_node():
    made = graph("a g", a=adds(n=2), g=Group("g", {"x": counts("n"), "y": adds(z=1)}))
    assert made.run().state == {"n": 2, "x": {"n": 3}, "y": {"z": 1}}
