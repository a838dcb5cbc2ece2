"""The walk: how an item moves from node to node."""

import asyncio
import contextvars
import threading

import pytest

from nodes.base import BlockingNode
from nodes.contract import NodeOutput
from orchestrator.exceptions import NodeFailed, NodeTimeout, StepLimitExceeded
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.workflow_engine import merge
from tests.unit.walk_nodes import SCOPE, adds, behind, chooses, node, walked


async def raising(item):
    raise ValueError("no luck")


async def test_a_chain_passes_the_item_on():
    walk = await walked(["in a", "a b", "b c"], a=adds("a"), b=adds("b"))
    for _ in range(3):
        await walk.walk(x=1)
    assert walk.inputs("c") == [{"x": 1, "a": True, "b": True}] * 3
    assert [step.executions for step in walk.plan.steps.values()] == [3, 3, 3, 3]


async def test_a_branch_follows_the_chosen_port_only():
    walk = await walked(
        ["in if", "if:yes a", "if:no b"], **{"if": chooses(lambda i: i.data["x"] > 1)}
    )
    await walk.walk(x=1)
    await walk.walk(x=2)
    assert walk.inputs("b") == [{"x": 1}]
    assert walk.inputs("a") == [{"x": 2}]


async def test_a_port_is_chosen_by_name_in_any_case():
    walk = await walked(["in s", "s:odd a", "s:even b"], s=chooses("EVEN"))
    await walk.walk()
    assert walk.order == ["in", "s", "b"]


async def test_a_port_without_an_edge_ends_the_way():
    walk = await walked(["in s", "s:odd a"], s=chooses("even"))
    assert (await walk.walk()).done
    assert walk.order == ["in", "s"]


async def test_a_conditional_that_chooses_no_port_fails():
    walk = await walked(["in s", "s:yes a"], s=chooses(None))
    with pytest.raises(NodeFailed, match="chose no output port") as failed:
        await walk.walk(x=1)
    assert (failed.value.node_id, failed.value.node_input.data) == ("s", {"x": 1})


async def test_a_port_chosen_for_one_item_is_not_that_of_the_next():
    walk = await walked(["in s", "s:yes a"], s=chooses(lambda i: "yes" if i.data["x"] else None))
    await walk.walk(x=1)
    with pytest.raises(NodeFailed):
        await walk.walk(x=0)


async def test_a_conditional_that_passes_nothing_on_needs_no_port():
    async def nothing(item):
        return None

    walk = await walked(["in s", "s:yes a"], s=lambda name: _conditional(name, nothing))
    await walk.walk()
    assert walk.order == ["in", "s"]


def _conditional(name, execute):
    made = chooses("yes")(name)
    made.execute = execute
    return made


async def test_a_fork_runs_its_branches_concurrently():
    met = asyncio.Barrier(2)

    async def meet(item):
        async with asyncio.timeout(5):
            await met.wait()
        return item

    walk = await walked(["in a", "in b"], a=node(meet), b=node(meet))
    await walk.walk()
    assert sorted(walk.order) == ["a", "b", "in"]


async def test_conditional_edges_are_followed_when_they_are_true():
    conditions = {"in a": lambda data: data["x"] > 1, "in b": lambda data: data["x"] < 9}
    walk = await walked(["in a", "in b"], conditions)
    for x in (1, 5, 9):
        await walk.walk(x=x)
    assert walk.inputs("a") == [{"x": 5}, {"x": 9}]
    assert walk.inputs("b") == [{"x": 1}, {"x": 5}]


async def test_an_edge_whose_condition_raises_is_a_failure_of_its_source():
    walk = await walked(["in a", "a b"], {"a b": lambda data: data["x"] > 1})
    with pytest.raises(NodeFailed) as failed:
        await walk.walk()
    assert (failed.value.node_id, failed.value.error_type) == ("a", "KeyError")


async def test_a_join_waits_for_all_branches_and_merges_their_data():
    released = asyncio.Event()

    async def late(item):
        await released.wait()
        return item.with_data({"v": "late"})

    async def early(item):
        released.set()
        return item.with_data({"v": "early"})

    walk = await walked(
        ["in a", "in b", "in c", "a j", "b j", "c j"],
        a=node(late), b=node(early), c=adds("v", "third"),
    )  # fmt: skip
    await walk.walk()
    assert walk.inputs("j") == [{"v": "late", "v_2": "early", "v_3": "third"}]


def test_merging_keeps_the_first_identity_and_finds_free_names():
    items = [NodeOutput("a", {"k": 1, "k_2": 2}), NodeOutput("b", {"k": 3})]
    merged = merge(items)
    assert (merged.id, merged.data) == ("a", {"k": 1, "k_2": 2, "k_3": 3})


async def test_a_join_does_not_wait_for_dead_branches():
    walk = await walked(
        ["in if", "if:yes a", "if:no b", "a c", "b d", "c j", "d j"], **{"if": chooses(False)}
    )
    await walk.walk(x=1)
    assert walk.order == ["in", "if", "b", "d", "j"]
    assert walk.inputs("j") == [{"x": 1}]


async def test_what_only_dead_edges_lead_to_is_dead_too():
    walk = await walked(
        ["in if", "if:yes a", "a j", "if:yes j", "j k", "in k"], **{"if": chooses(False)}
    )
    await walk.walk(x=1)
    assert "j" not in walk.order
    assert walk.inputs("k") == [{"x": 1}]


async def test_a_join_with_a_dead_branch_does_not_wait_for_others():
    joined = asyncio.Event()

    async def wait(item):
        async with asyncio.timeout(5):
            await joined.wait()
        return item

    async def join(item):
        joined.set()
        return item

    walk = await walked(
        ["in if", "if:yes a", "a c", "c j", "if:no b", "b j", "in slow"],
        **{"if": chooses(False), "j": node(join), "slow": node(wait)},
    )
    await walk.walk()
    assert "j" in walk.order


async def nothing(item):
    return None


async def test_none_in_the_middle_of_a_chain_ends_the_way():
    walk = await walked(["in a", "a b", "b c"], b=node(nothing))
    for _ in range(3):
        await walk.walk()
    assert walk.order == ["in", "a", "b"] * 3
    assert [step.executions for step in walk.plan.steps.values()] == [3, 3, 3, 0]


async def test_none_before_a_join_is_a_dead_branch():
    walk = await walked(["in a", "in b", "a c", "c j", "b j"], a=node(nothing), b=adds("b"))
    for _ in range(3):
        await walk.walk()
    assert walk.inputs("j") == [{"b": True}] * 3


async def test_none_from_a_join_ends_the_way():
    walk = await walked(["in a", "in b", "a j", "b j", "j k"], j=node(nothing))
    assert (await walk.walk()).done
    assert "k" not in walk.order


async def test_what_is_behind_a_non_blocking_node_goes_on_in_the_background():
    released = asyncio.Event()

    async def wait(item):
        await released.wait()
        return item

    walk = await walked(["in n", "n a", "a b"], n=behind(), a=node(wait))
    context = ExecutionContext(SCOPE, NodeOutput("1", {}))
    await walk.engine.execute(context, "in")
    context.walking = False
    assert "b" not in walk.order
    assert not context.done
    released.set()
    await asyncio.gather(*context.tasks)
    assert walk.order[-1] == "b"
    assert context.done


async def test_a_failure_in_the_background_is_the_failure_of_its_walk():
    walk = await walked(["in n", "n a"], n=behind(), a=node(raising))
    context = await walk.walk(x=1)
    assert (context.failure.node_id, context.failure.error_type) == ("a", "ValueError")


async def test_a_join_of_foreground_and_background():
    walk = await walked(["in n", "in b", "n a", "a j", "b j"], n=behind(), a=adds("a"))
    await walk.walk(x=1)
    assert walk.inputs("j") == [{"x": 1, "a": True, "x_2": 1}]


async def test_background_work_can_be_cut_off():
    async def wait(item):
        await asyncio.Event().wait()

    walk = await walked(["in n", "n a"], n=behind(), a=node(wait))
    context = ExecutionContext(SCOPE, NodeOutput("1", {}))
    await walk.engine.execute(context, "in")
    await walk.engine.close()
    assert context.cancelled
    assert not context.tasks


def rounds(limit):
    """Choose `again` until the item was here so often; count the rounds in its data."""

    def make(name):
        async def execute(item):
            turn = item.data.get("turn", 0) + 1
            made.set_output("again" if turn < limit else "out")
            return item.with_data({**item.data, "turn": turn})

        made = chooses("out")(name)
        made.execute = execute
        return made

    return make


async def test_a_cycle_is_followed_until_it_is_left():
    walk = await walked(["in a", "a s", "s:again a", "s:out b"], s=rounds(4))
    await walk.walk()
    assert walk.order.count("a") == 4
    assert walk.inputs("b") == [{"turn": 4}]


async def test_a_cycle_that_is_never_left_reaches_the_step_limit():
    walk = await walked(["in a", "a s", "s:again a", "s:out b"], s=rounds(10**9))
    with pytest.raises(StepLimitExceeded) as reached:
        await walk.walk()
    assert reached.value.limit == SCOPE.max_steps
    assert reached.value.path[-1] == "a"
    assert walk.order.count("a") == SCOPE.max_steps + 1


async def test_a_join_behind_a_cycle_waits_for_its_last_round():
    walk = await walked(["in a", "in j", "a s", "s:again a", "s:out b", "b j", "j k"], s=rounds(3))
    await walk.walk(x=1)
    assert walk.inputs("j") == [{"x": 1, "x_2": 1, "turn": 3}]
    assert walk.order[-2:] == ["j", "k"]


async def test_a_join_behind_a_cycle_runs_when_the_cycle_leads_nowhere():
    walk = await walked(
        ["in a", "in j", "a s", "s:again a", "s:out b", "b c", "c j"], s=rounds(3), b=node(nothing)
    )
    await walk.walk(x=1)
    assert walk.inputs("j") == [{"x": 1}]


async def test_a_join_behind_a_cycle_runs_when_the_cycle_is_left_elsewhere():
    walk = await walked(
        ["in a", "in j", "a s", "s:again a", "s:out z", "s:done b", "b j", "j k", "in k"],
        s=rounds(3),
    )
    await walk.walk(x=1)
    assert "b" not in walk.order
    assert walk.inputs("j") == [{"x": 1}]
    assert walk.inputs("k") == [{"x": 1, "x_2": 1}]


async def test_a_join_behind_a_cycle_in_the_background():
    walk = await walked(
        ["in n", "in j", "n a", "a s", "s:again a", "s:out z", "s:done j"], n=behind(), s=rounds(3)
    )
    await walk.walk(x=1)
    assert walk.inputs("j") == [{"x": 1}]


async def test_a_join_within_a_cycle():
    walk = await walked(
        ["in a", "a b", "a c", "b j", "c j", "j s", "s:again a", "s:out z"], s=rounds(3)
    )
    await walk.walk()
    assert walk.order.count("j") == 3
    assert walk.order[-1] == "z"


async def test_a_cycle_entered_in_its_middle_goes_through_a_chain():
    walk = await walked(["in a", "a b", "b c", "c s", "s:again b", "s:out z"], s=rounds(3))
    await walk.walk()
    assert [walk.order.count(name) for name in "abcz"] == [1, 3, 3, 1]
    assert [walk.plan.steps[name].executions for name in "abcz"] == [1, 3, 3, 1]


async def test_a_failure_names_the_node_and_its_input():
    walk = await walked(["in a", "a b", "b c"], a=adds("a"), b=node(raising))
    for _ in range(3):  # the first walk is measured node by node, the others are not
        with pytest.raises(NodeFailed) as failed:
            await walk.walk(x=1)
        assert (failed.value.node_id, failed.value.error_type) == ("b", "ValueError")
        assert failed.value.node_input.data == {"x": 1, "a": True}
        assert "no luck" in failed.value.trace
    steps = walk.plan.steps
    assert [(steps[name].executions, steps[name].failed) for name in "abc"] == [
        (3, 0),
        (0, 3),
        (0, 0),
    ]
    assert steps["b"].last_error == "ValueError: no luck"


async def test_the_first_failure_of_a_fork_ends_the_walk_and_its_branches():
    cancelled = []

    async def wait(item):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item.id)
            raise

    walk = await walked(["in a", "in b"], a=node(wait), b=node(raising))
    with pytest.raises(NodeFailed, match="no luck"):
        await walk.walk()
    assert cancelled == ["in:1:1"]


async def test_a_node_that_lets_a_cancellation_out_has_failed():
    async def cancelled(item):
        raise asyncio.CancelledError("a future of its own")

    for edges in (["in a", "a b"], ["in a", "in b", "a j", "b j"]):
        walk = await walked(edges, a=node(cancelled))
        for _ in range(2):
            with pytest.raises(NodeFailed) as failed:
                await walk.walk()
            assert (failed.value.node_id, failed.value.error_type) == ("a", "CancelledError")


async def test_cancelling_the_walk_itself_is_no_failure():
    begun = asyncio.Event()

    async def wait(item):
        begun.set()
        await asyncio.Event().wait()

    walk = await walked(["in a", "a b"], a=node(wait))
    task = asyncio.create_task(walk.walk())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert walk.plan.steps["a"].failed == 0


async def test_a_synchronous_execute_runs_in_a_thread_with_its_context():
    mark = contextvars.ContextVar("mark")
    found = []

    def execute(item):
        found.append((threading.current_thread() is threading.main_thread(), mark.get()))
        return item.with_data({"sync": True})

    walk = await walked(["in a", "a b"], a=node(execute))
    mark.set("here")
    await walk.walk()
    assert found == [(False, "here")]
    assert walk.inputs("b") == [{"sync": True}]


async def test_a_synchronous_conditional_chooses_its_port():
    def make(name):
        def execute(item):
            made.set_output(False)
            return item

        made = _conditional(name, execute)
        return made

    walk = await walked(["in s", "s:yes a", "s:no b"], s=make)
    await walk.walk()
    assert walk.order == ["in", "s", "b"]


async def test_an_async_execute_behind_a_plain_decorator_is_awaited():
    async def execute(item):
        return item.with_data({"awaited": True})

    walk = await walked(["in a", "a b"], a=node(lambda item: execute(item)))
    await walk.walk()
    assert walk.inputs("b") == [{"awaited": True}]


async def test_a_stop_iteration_in_a_thread_is_a_failure():
    walk = await walked(["in a"], a=node(lambda item: next(iter(()))))
    async with asyncio.timeout(5):
        with pytest.raises(NodeFailed, match="StopIteration"):
            await walk.walk()


async def test_a_node_that_takes_too_long_times_out():
    async def wait(item):
        await asyncio.Event().wait()

    walk = await walked(["in a", "a b"], a=node(wait, timeout=0.01))
    with pytest.raises(NodeTimeout) as failed:
        await walk.walk(x=1)
    assert (failed.value.node_id, failed.value.error_type) == ("a", "NodeTimeout")
    assert failed.value.node_input.data == {"x": 1}


async def test_a_timeout_of_the_nodes_own_is_not_ours():
    async def impatient(item):
        raise TimeoutError("its own")

    walk = await walked(["in a"], a=node(impatient, timeout=5))
    with pytest.raises(NodeFailed, match="its own") as failed:
        await walk.walk()
    assert not isinstance(failed.value, NodeTimeout)


class Templated(BlockingNode):
    """Renders a value of the item; what is shared between items would mix them up."""

    identifier = "templated"

    def _bind_form(self):
        self.templated = True
        self._render = lambda data: {"text": f"<{data['x']}>"}

    async def execute(self, item):
        await asyncio.sleep(0)
        return item.with_data({"text": self.values["text"]})


async def test_a_template_is_rendered_for_each_item():
    from nodes.contract import NodeConfig

    walk = await walked(["in a", "a b"], a=lambda name: Templated(NodeConfig(id=name, type=name)))
    await asyncio.gather(*(walk.walk(x=x) for x in range(5)))
    assert [data["text"] for data in walk.inputs("b")] == [f"<{x}>" for x in range(5)]


async def test_a_step_context_emits_stages_and_makes_items():
    async def execute(item, context):
        for n in range(3):
            context.emit("q", context.new_item({"n": n}))
        context.stage({"key": context.idempotency_key, "mode": context.mode})
        return item

    walk = await walked(["in a"], a=node(execute))
    first, second = await walk.walk(), await walk.walk()
    ids = [output.item.id for output in first.outputs]
    assert ids == ["in:1:1:a:1", "in:1:1:a:2", "in:1:1:a:3"]
    [effect] = first.effects
    assert effect.node_id == "a"
    assert effect.value["mode"] == "production"
    assert effect.value == second.effects[0].value


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": "\ud800"}, {"x": "\0"}, {1: 2}])
async def test_what_is_no_json_cannot_be_emitted(data):
    async def execute(item, context):
        context.emit("q", item.with_data(data))
        return item

    walk = await walked(["in a"], a=node(execute))
    with pytest.raises(NodeFailed) as failed:
        await walk.walk()
    assert (failed.value.node_id, failed.value.error_type) == ("a", "invalid_payload")


async def test_only_items_can_be_emitted():
    async def execute(item, context):
        context.emit("q", {"x": 1})

    walk = await walked(["in a"], a=node(execute))
    with pytest.raises(NodeFailed, match="emit takes an item"):
        await walk.walk()


async def test_a_slow_chain_is_not_counted_as_the_time_of_the_node_behind_it():
    async def slow(item):
        await asyncio.sleep(0.03)
        return item

    walk = await walked(["in a", "a s", "s:yes z"], a=node(slow), s=chooses("yes"))
    chain = walk.plan.steps["a"].chain
    await walk.walk()
    chain.measure_at = float("inf")  # as if it had been measured a moment ago
    await walk.walk()
    assert walk.plan.steps["s"].last_seconds < 0.03
