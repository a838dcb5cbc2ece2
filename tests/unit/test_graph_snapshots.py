"""Snapshots: from each of them a run goes on as if nothing had happened."""

import asyncio
from collections import Counter

import pytest

from orchestrator.exceptions import Conflict, InvalidPayload, NodeFailed, PayloadTooLarge
from orchestrator.execution.checkpoints import decode, encode
from orchestrator.graphs import ExecutionContext, Graph, Run, RunLimits, RunStatus, task, tasks

ran = []


class Observer:
    """Keeps what it is told; `hold` makes each report take some turns of the event loop."""

    def __init__(self, every=1, hold=0):
        self.checkpoint_every = every
        self.records, self.snapshots = [], []
        self._hold = hold

    async def step(self, record):
        for _ in range(self._hold):
            await asyncio.sleep(0)
        self.records.append(record)

    async def checkpoint(self, snapshot):
        self.snapshots.append(encode(snapshot))


def node(name, turns=0):
    """Make a node that counts its rounds in a key of its own, after some turns of the loop."""

    async def counts(state):
        ran.append(name)
        for _ in range(turns):
            await asyncio.sleep(0)
        return {name: state.get(name, 0) + 1}

    return counts


@task
def extra(state):
    ran.append("extra")
    return {"extra": state.get("extra", 0) + 1}


@task(name="tests.more")
async def more(state):
    ran.append("tests.more")
    return {"more": state.get("more", 0) + 1}


def plain(state):
    ran.append("plain")
    return {"plain": state.get("plain", 0) + 1}


tasks.register("tests.plain", plain)


async def detours(state, context):
    """Asks for three new tasks, and repeats itself twice before."""
    ran.append("s")
    await context.channel.add("rounds")
    await context.channel.append("log", state.get("turn", 0))
    if state.get("turn", 0) < 2:
        context.next_iteration({**state, "turn": state.get("turn", 0) + 1})
        return None
    for one in (extra, more, plain):
        context.next_task(one)
    return {"turn": 0}


def rich_graph():
    """A diamond, one branch longer, in a cycle with a budget, and a task with steering in it."""
    made = Graph("rich")
    for name, turns in {"a": 0, "b": 3, "c": 1, "c2": 0, "d": 1, "over": 0}.items():
        made.add_node(name, node(name, turns))
    made.add_node("s", detours)
    for edge in ("a b", "a c", "a s", "c c2", "b d", "c2 d", "s d"):
        made.add_edge(*edge.split())
    made.add_edge("d", "a", condition="data.a < 9", budget=2, on_limit="over")
    return made.set_entry_point("a")


@pytest.mark.parametrize("hold", [0, 3])
async def test_a_run_resumes_from_every_step_to_the_same_end(hold):
    made = rich_graph()
    observer = Observer(hold=hold)
    ran.clear()
    whole = await made.arun({"given": 1}, observer=observer)
    executed = Counter(ran)
    assert whole.state["over"] == 1
    assert whole.state["a"] == 3
    assert len(observer.snapshots) == whole.steps == len(ran)
    for body in observer.snapshots:
        snapshot = decode(body)
        ran.clear()
        context = ExecutionContext.create(graph=made.compile(recorded=True))
        result = await Run(made.compile(recorded=True), context, Observer()).resume(snapshot)
        assert result.check().state == whole.state
        assert result.results == whole.results
        assert result.steps == whole.steps
        assert Counter(result.path) == Counter(whole.path)
        begun_before = Counter(snapshot.completed)
        assert Counter(ran) + begun_before == executed, snapshot
        assert await context.channel.items("log") == [0, 1, 2] * 3
        assert await context.channel.get("rounds") == 9


async def test_a_branch_that_has_ended_is_part_of_the_end_after_a_resume():
    made = Graph("g").set_entry_point("a")
    for name, turns in {"a": 0, "end": 0, "long": 3, "longer": 3}.items():
        made.add_node(name, node(name, turns))
    for edge in ("a end", "a long", "long longer"):
        made.add_edge(*edge.split())
    observer = Observer()
    whole = await made.arun(observer=observer)
    assert whole.state == {"a": 1, "end": 1, "long": 1, "longer": 1}
    for body in observer.snapshots:
        run = Run(made.compile(recorded=True), observer=Observer())
        assert (await run.resume(decode(body))).state == whole.state


async def test_a_run_is_checkpointed_every_so_many_steps_or_when_it_asks():
    def asks(state, context):
        context.checkpoint()

    made = Graph("g").add_node("a", node("a")).add_node("b", asks).add_node("c", node("c"))
    made.add_edge("a", "b").add_edge("b", "c").set_entry_point("a")
    for every, steps in ((None, [2]), (2, [2]), (3, [2, 3])):
        observer = Observer(every)
        await made.arun(observer=observer)
        assert [decode(body).steps for body in observer.snapshots] == steps
    assert (await made.arun()).steps == 3  # what is not recorded is not checkpointed


async def test_each_step_is_told_with_what_it_changed():
    observer = Observer()
    made = Graph("g").add_node("a", detours).add_node("b", node("b"))
    await made.add_edge("a", "b").set_entry_point("a").arun({"x": 1}, observer=observer)
    told = [(r.number, r.node, r.round) for r in observer.records]
    names = ["a", "a", "a", "extra", "more", "plain", "b"]
    names[4] = "tests.more"
    assert told == [(i + 1, n, i if n == "a" else 0) for i, n in enumerate(names)]
    added = {"path": "b", "op": "add", "after": 1}
    assert list(observer.records[-1].changes) == [added]
    assert observer.records[0].port == "default"
    assert observer.records[0].error is None


async def test_a_failed_run_goes_on_from_the_node_that_failed():
    broken = [True]

    def fails(state):
        if broken:
            raise ValueError("no luck")
        return {"f": 1}

    made = Graph("g").add_node("a", node("a")).add_node("f", fails)
    made.add_node("slow", node("slow", 9)).add_node("d", node("d"))
    for edge in ("a f", "a slow", "f d", "slow d"):
        made.add_edge(*edge.split())
    made.set_entry_point("a")
    observer = Observer(None)
    with pytest.raises(NodeFailed):
        await made.arun(observer=observer)
    assert observer.records[-1].error == "ValueError: no luck"
    assert observer.records[-1].node == "f"
    broken.clear()
    ran.clear()
    [body] = observer.snapshots
    run = Run(made.compile(recorded=True), observer=Observer())
    result = await run.resume(decode(body))
    assert result.state == {"a": 1, "f": 1, "slow": 1, "d": 1}
    assert ran == ["slow", "d"]


async def test_a_run_at_its_limit_goes_on_with_a_greater_one():
    made = Graph("g").add_node("a", node("a")).set_entry_point("a")
    made.add_edge("a", "a", condition="data.a < 6")
    observer = Observer(None)
    run = Run(made.compile(recorded=True), observer=observer, limits=RunLimits(max_steps=4))
    result = await run.execute({})
    assert (result.status, result.state) == ("failed", {"a": 4})
    again = Run(made.compile(recorded=True), observer=Observer())
    assert (await again.resume(decode(observer.snapshots[-1]))).state == {"a": 6}


async def test_a_long_run_has_checkpoints_that_do_not_grow_and_counts_on():
    made = Graph("g").add_node("a", node("a")).set_entry_point("a")
    made.add_edge("a", "a", condition="data.a < 2500")
    observer = Observer(None)
    run = Run(made.compile(recorded=True), observer=observer, limits=RunLimits(max_steps=2400))
    assert (await run.execute({})).status is RunStatus.FAILED
    snapshot = decode(observer.snapshots[-1])
    assert (snapshot.steps, len(snapshot.flags["path"])) == (2400, 1000)
    again = Run(made.compile(recorded=True), observer=Observer(), limits=RunLimits(max_steps=2499))
    result = await again.resume(snapshot)
    assert (result.steps, result.state, len(result.path)) == (2499, {"a": 2499}, 1099)
    assert result.error.limit == 2499
    assert again.context.executing == []


async def test_node_states_are_those_of_the_moment_also_after_a_resume():
    seen, runs = [], []

    def looks(state):
        seen.append(runs[-1].context.node_states["a"])
        return {"a": state.get("a", 0) + 1}

    made = Graph("g").add_node("a", looks).set_entry_point("a")
    made.add_edge("a", "a", condition="data.a < 3")
    observer = Observer()
    for snapshot in (None, 0):
        runs.append(Run(made.compile(recorded=True), observer=observer))
        if snapshot is None:
            await runs[-1].execute({})
        else:
            await runs[-1].resume(decode(observer.snapshots[snapshot]))
        assert runs[-1].context.node_states["a"] == "completed"
    assert seen == ["executing"] * 5


async def test_a_terminated_run_stays_terminated():
    def ends(state, context):
        context.terminate_workflow("enough")
        return {"x": 1}

    made = Graph("g").add_node("a", ends).add_node("b", node("b")).add_edge("a", "b")
    observer = Observer()
    await made.set_entry_point("a").arun(observer=observer)
    ran.clear()
    result = await Run(made.compile(recorded=True)).resume(decode(observer.snapshots[-1]))
    assert (result.status, result.message, result.state) == ("terminated", "enough", {"x": 1})
    assert ran == []


async def test_a_cancelled_run_keeps_what_it_had_ahead():
    def cancels(state, context):
        if not state.get("calm"):
            context.cancel_workflow("no")
        return {"x": 1}

    made = Graph("g").add_node("a", cancels).set_entry_point("a")
    observer = Observer()
    run = Run(made.compile(recorded=True), observer=observer)
    result = await run.execute({})
    assert result.status is RunStatus.CANCELLED
    snapshot = decode(observer.snapshots[-1])
    assert [entry["node"] for entry in snapshot.pending] == ["a"]
    assert snapshot.completed == {}


async def test_a_snapshot_of_another_graph_is_refused():
    made = Graph("g").add_node("a", node("a")).set_entry_point("a")
    observer = Observer()
    await made.arun(observer=observer)
    made.add_node("b", node("b")).add_edge("a", "b")
    with pytest.raises(Conflict, match="another version"):
        await Run(made.compile(recorded=True)).resume(decode(observer.snapshots[-1]))


async def test_the_state_of_a_recorded_run_is_json_and_bounded():
    made = Graph("g").add_node("a", lambda state: {"x": object()}).set_entry_point("a")
    with pytest.raises(NodeFailed) as failed:
        await made.arun(observer=Observer())
    assert (failed.value.node_id, failed.value.error_type) == ("a", InvalidPayload.code)
    ran.clear()
    with pytest.raises(InvalidPayload):
        await (
            Graph("g")
            .add_node("a", node("a"))
            .set_entry_point("a")
            .arun({"x": {1}}, observer=Observer())
        )
    assert ran == []
    grows = Graph("g").add_node("a", lambda state: {"x": "x" * 60}).set_entry_point("a")
    grows.add_node("b", lambda state: {"y": "y" * 60}).add_edge("a", "b")
    run = Run(grows.compile(recorded=True), observer=Observer(), limits=RunLimits(state_bytes=100))
    error = (await run.execute({})).error
    assert (error.node_id, error.error_type) == ("b", PayloadTooLarge.code)


async def test_an_observed_run_wants_a_graph_compiled_for_it():
    made = Graph("g").add_node("a", node("a")).set_entry_point("a")
    with pytest.raises(Conflict, match="recorded=True"):
        Run(made.compile(), observer=Observer())
