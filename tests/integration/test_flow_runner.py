"""One slot of a loop: what it commits, in which order, and what a crash leaves of it."""

import asyncio
import contextlib
import random

import pytest

from nodes.base import ConditionalNode
from nodes.contract import ExecutionCompleted
from orchestrator.events import LoopState
from orchestrator.exceptions import LeaseLost, NodeFailed, OrchestratorError, StoreUnavailable
from orchestrator.execution import sources
from tests.integration.loops import House, counter, edge, line, part, queue, sink
from tests.waiting import until


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


# Completion, order, activations


async def test_two_loops_pass_every_item_once_and_in_order(house):
    await house.run(line(counter(500), queue(), sink()), "in", "r")
    assert house.values() == list(range(500))
    assert await house.length() == 0


async def test_a_second_activation_does_it_again(house):
    workflow = line(counter(50), queue(), sink())
    for number in (1, 2):
        await house.run(workflow, "in", "r", token=number, activation=number)
    assert house.values() == [*range(50), *range(50)]


async def test_a_reader_waits_for_the_completion_of_this_activation(house, monkeypatch):
    exhausted = house.store.queue.exhausted
    answers = []

    async def watched(*args):
        answers.append(await exhausted(*args))
        return answers[-1]

    workflow = line(counter(5), queue(), sink())
    await house.run(workflow, "in", "r")
    monkeypatch.setattr(house.store.queue, "exhausted", watched)
    reader = house.start(workflow, "r", token=2, activation=2)
    await until(lambda: answers)
    await house.run(workflow, "in", token=2, activation=2)
    assert await house.ended(reader) == "completed"
    assert (answers[0], answers[-1]) == (False, True)
    assert house.values() == [*range(5), *range(5)]


async def test_completed_starts_complete_again_without_an_item(house):
    workflow = line(counter(5), sink())
    await house.run(workflow)
    await house.run(workflow, token=2)
    assert house.values() == list(range(5))


async def test_stop_and_resume_go_on_at_the_cursor(house):
    seen = []

    async def watch(node, item):
        seen.append(item.data["value"])
        if len(seen) in (120, 200, 377):
            runner.stop()
        return item

    house.node(watch)
    workflow = line(counter(500), part("watch", "watch"), sink())
    states = []
    for token in (1, 2, 3, 4):
        runner = house.start(workflow, token=token)
        states.append(await house.ended(runner))
    assert states == ["stopped", "stopped", "stopped", "completed"]
    assert seen == house.values() == list(range(500))


async def test_a_stop_interrupts_a_producer_that_waits_even_when_said_twice(house):
    runner = house.start(line(counter(100, interval=3600), sink()))
    await until(lambda: house.values() == [0])
    runner.stop()
    runner.stop()
    assert await house.ended(runner) == "stopped"


async def test_a_stop_of_a_queue_fed_loop_goes_on_where_it_stopped(house):
    seen = []

    async def watch(node, item):
        seen.append(item.data["value"])
        if len(seen) == 37:
            runner.stop()
        return item

    house.node(watch)
    workflow = line(counter(100), queue(), part("watch", "watch"), sink())
    await house.run(workflow)
    runner = house.start(workflow, "r")
    assert await house.ended(runner) == "stopped"
    # read ahead and never begun: nobody is charged for that
    pending = await house.store.queue.pending(house.lease("r", 2), ["q"])
    assert len(pending) == 63
    assert {entry.deliveries for entry in pending} == {0}
    await house.run(workflow, "r", token=2)
    assert seen == house.values() == list(range(100))


async def test_pause_and_resume(house):
    runner = house.start(line(counter(), sink()))
    await until(lambda: runner.snapshot()["iterations"] > 10)
    runner.pause()
    await until(lambda: runner.state is LoopState.PAUSED)
    before = runner.iterations.count
    assert runner.iterations.in_flight == 0
    assert house.values() == list(range(before))
    runner.resume()
    await until(lambda: runner.iterations.count > before)
    assert runner.state is LoopState.RUNNING
    await house.stop(runner)
    assert house.values() == list(range(runner.iterations.count))


async def test_a_pause_interrupts_a_producer_that_waits(house):
    runner = house.start(line(counter(100, interval=3600), sink()))
    await until(lambda: house.values() == [0])
    runner.pause()
    await until(lambda: runner.state is LoopState.PAUSED)
    await house.stop(runner)
    assert house.values() == [0]


# Failures


async def fails_at(node, item):
    if item.data["value"] == 2:
        raise ValueError("not two")
    return item


async def test_a_failed_item_is_a_dead_letter_and_the_loop_goes_on(house):
    house.node(fails_at)
    workflow = line(counter(5), sink(), part("bad", "fails-at"), queue())
    await house.run(workflow)
    assert house.values() == [0, 1, 3, 4]
    assert await house.queued_values() == [0, 1, 3, 4]
    [dead] = await house.dead()
    assert dead["trace"].startswith("Traceback")
    expected = {
        "node_id": "bad", "loop": "in", "error_type": "ValueError", "message": "not two",
        "item_id": "in:1:3", "item": {"value": 2}, "node_input": {"value": 2},
        "reason": "max_attempts", "activation": 1, "version": 1,
    }  # fmt: skip
    assert {key: dead[key] for key in expected} == expected


async def test_a_chain_that_commits_nothing_else_still_commits_its_dead_letters(house):
    house.node(fails_at)
    runner = house.start(line(counter(500), part("a", "fails-at"), part("b", "fails-at")))
    assert await house.ended(runner) == "completed"
    assert [dead["item"] for dead in await house.dead()] == [{"value": 2}]
    shown = runner.snapshot()
    assert (shown["iterations"], shown["failures"], shown["in_flight"]) == (500, 1, 0)
    counts = {name: (node["count"], node["failed"]) for name, node in shown["nodes"].items()}
    assert counts == {"in": (500, 0), "a": (499, 1), "b": (499, 0)}


async def test_the_state_of_a_failed_iteration_is_dropped(house):
    async def fails_on_a_batch(node, item):
        if item.data["items"][-1]["value"] == 2:
            raise ValueError("not two")
        return item

    house.node(fails_on_a_batch)
    workflow = line(
        counter(7), part("batch", "batch", {"size": 3}), part("bad", "fails-on-a-batch"), sink()
    )
    await house.run(workflow)
    batches = [[row["value"] for row in rows["items"]] for rows in house.rows()]
    assert batches == [[0, 1, 3], [4, 5, 6]]
    [dead] = await house.dead()
    assert (dead["item"], dead["node_input"]["count"]) == ({"value": 2}, 3)


async def test_a_failure_in_the_background_drops_what_the_foreground_staged(house):
    async def pass_on(node, item):
        return item

    house.behind(pass_on)
    house.node(fails_at)
    workflow = line(counter(5), sink(), part("behind", "pass-on"), part("bad", "fails-at"), queue())
    await house.run(workflow)
    assert house.values() == [0, 1, 3, 4]
    assert await house.queued_values() == [0, 1, 3, 4]
    assert [dead["node_id"] for dead in await house.dead()] == ["bad"]


async def test_what_is_no_json_is_a_dead_letter_and_its_state_is_dropped(house):
    async def spoil(node, item, context):
        node.state = {"seen": [*(node.state or {"seen": []})["seen"], item.data["value"]]}
        value = float("nan") if item.data["value"] == 2 else item.data["value"]
        context.emit("q", item.with_data({"value": value, "seen": node.state["seen"]}))
        return item

    house.node(spoil, stateful=True)
    runner = house.start(line(counter(4), part("spoil", "spoil")))
    assert await house.ended(runner) == "completed"
    assert (await house.queued())[-1] == {"value": 3, "seen": [0, 1, 3]}
    [dead] = await house.dead()
    assert (dead["node_id"], dead["reason"]) == ("spoil", "invalid_payload")
    assert runner.snapshot()["failures"] == 1


async def test_a_node_that_returns_anything_does_not_end_the_loop(house):
    async def odd(node, item):
        return {"value": item.data["value"]} if item.data["value"] % 2 else item

    house.node(odd)
    await house.run(line(counter(4), part("odd", "odd"), sink()))
    assert house.values() == [0, 2]
    assert [dead["item"]["value"] for dead in await house.dead()] == [1, 3]


async def test_an_entry_that_is_no_envelope_is_a_dead_letter_that_shows_it(house):
    workflow = line(counter(2), queue(), sink())
    for body in (b"no json", b"[1]", b'{"v":1,"id":7}'):
        await house.store.queue.put("w", "q", body)
    await house.run(workflow, "in", "r")
    assert house.values() == [0, 1]
    dead = await house.dead()
    assert {letter["reason"] for letter in dead} == {"invalid_payload"}
    assert [letter["item"]["raw"] for letter in dead] == ["no json", "[1]", '{"v":1,"id":7}']


async def test_a_producer_that_raises_is_called_again_later(house, monkeypatch):
    monkeypatch.setattr(sources, "_BACKOFF_MAX", 0.01)
    states = []

    async def shaky(node, item):
        states.append((runner.state, runner.reason))
        if len(states) < 3:
            raise OSError("the source is away")
        if len(states) > 5:
            return ExecutionCompleted()
        return item.with_data({"value": len(states)})

    house.source(shaky)
    runner = house.start(line(part("in", "shaky"), sink()))
    assert await house.ended(runner) == "completed"
    away = (LoopState.DEGRADED, "OSError: the source is away")
    assert states == [(LoopState.RUNNING, ""), away, away, *[(LoopState.RUNNING, "")] * 3]
    assert house.values() == [3, 4, 5]
    assert runner.snapshot()["nodes"]["in"]["failed"] == 2


async def test_a_stop_ends_the_backoff_of_a_producer(house):
    async def away(node, item):
        raise OSError

    house.source(away)
    runner = house.start(line(part("in", "away"), sink()))
    await until(lambda: runner.state is LoopState.DEGRADED)
    await house.stop(runner)


async def test_a_producer_may_look_at_its_context(house):
    async def curious(node, item, context):
        n = (node.state or {"n": 0})["n"]
        node.state = {"n": n + 1}
        return item.with_data({"mode": context.mode}) if n < 3 else ExecutionCompleted()

    house.source(curious)
    await house.run(line(part("in", "curious"), sink()))
    assert house.rows() == [{"mode": "production"}] * 3


async def test_none_from_a_producer_is_no_item(house):
    async def sparse(node, item):
        n = (node.state or {"n": 0})["n"]
        node.state = {"n": n + 1}
        if n == 300:
            return ExecutionCompleted()
        return item.with_data({"value": n}) if n % 3 == 0 else None

    async def pass_on(node, item):
        seen.append(item.data["value"])
        return item

    seen = []
    house.source(sparse)
    house.node(pass_on)
    await house.run(line(part("in", "sparse"), part("a", "pass-on")))
    assert seen == list(range(0, 300, 3))


async def test_a_node_that_cannot_be_initialised_ends_the_run_and_is_named(house):
    async def setup(node):
        raise ValueError("no such thing")

    async def broken(node, item):
        return item

    house.node(broken, setup=setup)
    runner = house.start(line(counter(5), part("b", "broken"), sink()))
    with pytest.raises(NodeFailed, match="no such thing") as failed:
        await house.ended(runner)
    assert failed.value.node_id == "b"
    assert runner.state is LoopState.FAILED
    assert (await house.store.queue.begin(house.lease(token=2), 1)).crashes == 0


async def test_effects_that_cannot_be_applied_end_the_run_and_lose_nothing(house):
    def apply_effects(node, effects):
        raise LookupError("no place")

    async def stage(node, item, context):
        context.stage(item.data)
        return item

    members = {"staged": True, "open_effects": lambda *args: {}, "apply_effects": apply_effects}
    house.node(stage, **members)
    runner = house.start(line(counter(500), part("s", "stage")))
    with pytest.raises(OrchestratorError, match="no place"):
        await house.ended(runner)
    assert (await house.store.queue.begin(house.lease(token=2), 1)).sequence == 0


async def test_a_store_that_fails_in_an_unknown_way_ends_the_run(house, monkeypatch):
    async def commit(*args):
        raise RuntimeError("never seen before")

    monkeypatch.setattr(house.store.queue, "commit", commit)
    for workflow in (line(counter()), line(counter(), queue())):
        with pytest.raises(OrchestratorError, match="never seen before"):
            await house.ended(house.start(workflow))


# Background work


async def pause_a_little(node, item):
    await asyncio.sleep(random.random() * 0.005)
    return item


async def pass_on(node, item):
    return item


async def test_commits_keep_the_order_of_the_source(house):
    finished = []

    async def note(node, item):
        finished.append(item.data["value"])
        return item

    house.behind(pass_on)
    house.node(pause_a_little)
    house.node(note)
    workflow = line(
        counter(200), part("behind", "pass-on"), part("p", "pause-a-little"), part("n", "note"),
        sink(), queue(),
    )  # fmt: skip
    await house.run(workflow)
    assert finished != sorted(finished)
    assert house.values() == await house.queued_values() == list(range(200))


async def test_no_more_than_max_in_flight_go_on_at_once(house):
    going = []
    most = []

    async def count(node, item):
        going.append(item.id)
        most.append(len(going))
        await asyncio.sleep(random.random() * 0.005)
        going.remove(item.id)
        return item

    house.behind(pass_on)
    house.node(count)
    workflow = line(
        counter(60), part("behind", "pass-on", max_in_flight=7), part("c", "count"), sink()
    )
    await house.run(workflow)
    assert max(most) == 7
    assert house.values() == list(range(60))


async def test_background_work_of_a_loop_with_state_runs_alone(house):
    going = []

    async def alone(node, item):
        going.append(item.id)
        assert len(going) == 1
        await asyncio.sleep(0.001)
        going.clear()
        return item

    house.behind(pass_on)
    house.node(alone)
    workflow = line(
        counter(7), part("behind", "pass-on"), part("a", "alone"),
        part("batch", "batch", {"size": 3}), sink(),
    )  # fmt: skip
    await house.run(workflow)
    assert [rows["count"] for rows in house.rows()] == [3, 3, 1]
    assert await house.dead() == []


async def test_background_work_that_was_cut_off_is_not_committed(house):
    async def cut_off(node, item):
        if item.data["value"] == 3:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return item

    house.behind(pass_on)
    house.node(cut_off)
    workflow = line(counter(), part("b", "pass-on"), part("c", "cut-off"), queue())
    with pytest.raises(OrchestratorError, match="was cancelled"):
        await house.ended(house.start(workflow))
    state = await house.store.queue.begin(house.lease(token=2), 1)
    assert state.sequence <= 3
    assert await house.queued_values() == list(range(state.sequence))


async def test_a_join_that_waits_for_what_a_cycle_leaves_open_is_part_of_its_iteration(house):
    async def again(node, item):
        turn = item.data.get("turn", 0) + 1
        node.set_output("again" if turn < 3 else "enough")
        return item.with_data({**item.data, "turn": turn})

    house.behind(pass_on)
    house.node(again, ConditionalNode, output_ports=("again", "enough", "never"))
    nodes = [
        counter(20), part("b", "pass-on"), part("c", "again"), part("j", "debug"),
        sink("joined.jsonl"),
    ]  # fmt: skip
    ends = ["in b", "b c", "c:again c", "c:never j", "in j", "j sink"]
    workflow = {"name": "w", "nodes": nodes, "edges": [edge(text) for text in ends]}
    await house.run(workflow)
    assert house.values("joined.jsonl") == list(range(20))


async def test_a_branch_is_counted_once(house):
    runner = house.start(
        {
            **line(counter(300), part("if", "if-condition", {"field": "value", "value": "7"})),
            "edges": [{"id": "e", "source": "in", "target": "if"}],
        }
    )
    assert await house.ended(runner) == "completed"
    assert runner.snapshot()["iterations"] == 300


# Flush


async def test_a_flush_at_completion_crosses_the_queue(house):
    workflow = line(
        counter(8), part("b1", "batch", {"size": 3}), queue(), part("b2", "batch", {"size": 2}),
        sink(),
    )  # fmt: skip
    await house.run(workflow, "in", "r")
    batches = [[inner["count"] for inner in row["items"]] for row in house.rows()]
    assert batches == [[3, 3], [2]]
    assert await house.dead() == []


def timed_batch(size=100):
    return part("batch", "batch", {"size": size, "timeout": 0.02})


async def test_a_flush_on_the_timer_goes_out_while_the_producer_waits(house):
    async def few(node, item):
        n = (node.state or {"n": 0})["n"]
        if n == 3:
            await asyncio.Event().wait()
        node.state = {"n": n + 1}
        return item.with_data({"value": n})

    house.source(few)
    workflow = line(part("in", "few"), timed_batch(), sink())
    runner = house.start(workflow)
    await until(lambda: sum(row["count"] for row in house.rows()) == 3)
    await until(lambda: not runner.iterations.in_flight)
    await house.kill(runner)
    again = house.start(workflow, token=2)
    await until(lambda: again.boundary.open)
    await house.stop(again)
    values = [inner["value"] for row in house.rows() for inner in row["items"]]
    assert values == [0, 1, 2]


async def test_a_flush_on_the_timer_goes_out_while_the_queue_is_empty(house):
    workflow = line(counter(3), queue(), timed_batch(), sink())
    await house.run(workflow)
    runner = house.start(workflow, "r", writers=())
    await until(lambda: sum(row["count"] for row in house.rows()) == 3)
    await house.stop(runner)


async def test_a_flush_that_fails_further_on_is_a_dead_letter_and_given_away(house):
    async def bad(node, item):
        raise ValueError("no batch")

    house.node(bad)
    await house.run(
        line(counter(5), part("batch", "batch", {"size": 3}), part("bad", "bad"), sink())
    )
    *_, flushed = await house.dead()
    # each full batch failed with its last item and left the state as it was: two items are held
    assert flushed["item"] == flushed["node_input"]
    assert [inner["value"] for inner in flushed["item"]["items"]] == [0, 1]
    state = await house.store.queue.begin(house.lease(token=2), 1)
    assert b"value" not in state.states["batch"]


async def test_a_cancelled_runner_ends_even_if_the_store_keeps_it_to_itself(house, monkeypatch):
    begin = house.store.queue.begin

    async def deaf(*args):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return await begin(*args)

    monkeypatch.setattr(house.store.queue, "begin", deaf)
    runner = house.start(line(counter(), sink()))
    await until(lambda: runner.state is LoopState.STARTING)
    await house.kill(runner)
    assert house.values() == []


async def test_a_flush_that_raises_shows_what_is_held(house):
    async def hold(node, item):
        node.state = {"held": [*(node.state or {"held": []})["held"], item.data["value"]]}

    async def flush(node, context):
        raise ValueError("cannot flush")

    house.node(hold, stateful=True, flush=flush)
    await house.run(line(counter(3), part("h", "hold"), sink()))
    [dead] = await house.dead()
    assert (dead["node_id"], dead["item"]) == ("h", {"held": {"held": [0, 1, 2]}})


# Full queues


async def test_a_full_queue_blocks_its_writer_until_it_is_drained(house):
    workflow = line(counter(60), queue(max_length=5), sink())
    writer = house.start(workflow)
    await until(lambda: (writer.state, writer.reason) == (LoopState.BLOCKED, "queue_full"))
    assert await house.length() <= 5
    await house.run(workflow, "r")
    assert await house.ended(writer) == "completed"
    assert house.values() == list(range(60))


async def test_one_iteration_may_exceed_an_empty_queue(house):
    async def emit_many(node, item, context):
        for n in range(7):
            context.emit("q", item.with_data({"value": item.data["value"] * 7 + n}))

    house.node(emit_many)
    workflow = line(counter(3), part("m", "emit-many"))
    limited = line(counter(3), part("m", "emit-many"), queue(max_length=5), sink())
    assert workflow["nodes"] == limited["nodes"][:2]
    writer = house.start(limited)
    await until(lambda: writer.state is LoopState.BLOCKED)
    assert await house.length() == 7
    await house.run(limited, "r")
    assert await house.ended(writer) == "completed"
    assert house.values() == list(range(21))


@pytest.mark.parametrize("window", [1, 4, 100])
async def test_a_stop_while_blocked_ends_and_loses_nothing(house, window):
    workflow = line(counter(150), queue(max_length=5), sink())
    writer = house.start(workflow, commit_window=window)
    await until(lambda: writer.state is LoopState.BLOCKED)
    await house.stop(writer)
    again = house.start(workflow, token=2)
    await house.run(workflow, "r")
    assert await house.ended(again) == "completed"
    assert house.values() == list(range(150))


async def test_a_stop_while_blocked_charges_no_delivery(house):
    workflow = line(
        counter(40), queue(), part("w2", "queue-writer", queue_name="full", max_length=5)
    )
    await house.run(workflow)
    for token in range(1, 6):
        relay = house.start(workflow, "r", token=token)
        await until(lambda relay=relay: relay.state is LoopState.BLOCKED)
        await house.stop(relay)
    assert await house.dead() == []
    pending = await house.store.queue.pending(house.lease("r", 6), ["q"])
    assert {entry.deliveries for entry in pending} == {0}
    assert await house.queued_values("full") + await house.queued_values() == list(range(40))


# Leases


async def test_a_fenced_runner_commits_nothing_more(house):
    runner = house.start(line(counter(), queue(max_length=10**6)))
    await until(house.length)
    state = await house.store.queue.begin(house.lease(token=2), 1)
    with pytest.raises(LeaseLost):
        await house.ended(runner)
    assert await house.length() == state.sequence
    assert (await house.store.queue.begin(house.lease(token=3), 1)).sequence == state.sequence
    assert runner.state is LoopState.FAILED


async def test_a_fenced_runner_ends_while_its_producer_waits(house):
    async def slow_end(node, item):
        await until(lambda: fenced)
        return item

    fenced = []
    house.behind(pass_on)
    house.node(slow_end)
    workflow = line(counter(5, interval=3600), part("b", "pass-on"), part("s", "slow-end"), queue())
    runner = house.start(workflow)
    await until(lambda: runner.boundary.open and runner.iterations.in_flight)
    await house.store.queue.begin(house.lease(token=2), 1)
    fenced.append(True)
    with pytest.raises(LeaseLost):
        await house.ended(runner)
    assert await house.length() == 0


async def test_nothing_is_committed_on_a_lease_that_was_not_renewed(house, monkeypatch):
    commit = house.store.queue.commit
    valid, committed = [True], []

    async def watched(*args):
        committed.append(valid[-1])
        return await commit(*args)

    monkeypatch.setattr(house.store.queue, "commit", watched)
    workflow = line(counter(), sink())
    runner = house.start(workflow, lease_valid=lambda: valid[-1])
    await until(house.values)
    valid.append(False)
    with pytest.raises(LeaseLost, match="not renewed"):
        await house.ended(runner)
    assert all(committed)
    valid.append(True)
    # what was written and not committed is cut off again
    await house.stop(house.start(workflow, token=2))
    assert house.values() == list(range(len(house.values())))


async def test_a_slot_with_a_newer_owner_does_not_begin(house):
    await house.store.queue.begin(house.lease(token=2), 1)
    with pytest.raises(LeaseLost):
        await house.ended(house.start(line(counter(5), sink())))


# Crashes


class Lethal:
    """Makes a runner die with the item in hand, for a value, so many times."""

    def __init__(self, house, value, deaths):
        self.begun = []
        self.house, self.value, self.deaths = house, value, deaths
        self.dying = asyncio.Event()

        async def lethal(node, item):
            self.begun.append(item.data["value"])
            if item.data["value"] == self.value and self.deaths > 0:
                self.deaths -= 1
                self.dying.set()
                await asyncio.Event().wait()
            return item

        house.node(lethal)

    async def run_until_death(self, workflow, loop, token):
        self.dying.clear()
        runner = self.house.start(workflow, loop, token=token)
        async with asyncio.timeout(20):
            await self.dying.wait()
        await self.house.kill(runner)

    async def dies(self, workflow, loop, token):
        """Run to the death or to the completion, and tell whether it died."""
        self.dying.clear()
        runner = self.house.start(workflow, loop, token=token)
        await until(lambda: self.dying.is_set() or runner.state == "completed")
        if self.dying.is_set():
            await self.house.kill(runner)
        return self.dying.is_set()


async def test_a_crash_of_a_producers_loop_loses_nothing(house):
    lethal = Lethal(house, 250, 1)
    workflow = line(counter(400), part("x", "lethal"), sink(), queue())
    await lethal.run_until_death(workflow, "in", 1)
    assert len(house.values()) <= 250
    await house.run(workflow, token=2)
    assert house.values() == await house.queued_values() == list(range(400))
    again = [value for value in set(lethal.begun) if lethal.begun.count(value) > 1]
    assert 250 in again
    assert len(again) <= 200


async def test_a_crash_of_a_queue_fed_loop_loses_nothing(house):
    lethal = Lethal(house, 250, 1)
    workflow = line(counter(400), queue(), part("x", "lethal"), sink())
    await house.run(workflow)
    await lethal.run_until_death(workflow, "r", 1)
    await house.run(workflow, "r", token=2)
    assert sorted(house.values()) == list(range(400))
    assert await house.dead() == []


async def test_a_crash_with_work_in_the_background_loses_nothing(house):
    lethal = Lethal(house, 250, 1)
    house.behind(pass_on)
    house.node(pause_a_little)
    workflow = line(
        counter(400), part("b", "pass-on", max_in_flight=20), part("p", "pause-a-little"),
        part("x", "lethal"), sink(), queue(),
    )  # fmt: skip
    await lethal.run_until_death(workflow, "in", 1)
    await house.run(workflow, token=2)
    assert house.values() == await house.queued_values() == list(range(400))


async def test_what_was_in_hand_at_a_crash_runs_alone_and_is_charged(house):
    alone = []

    async def look(node, item):
        alone.append((item.data["value"], runner.iterations.in_flight))
        return item

    house.node(look)
    lethal = Lethal(house, 30, 2)
    workflow = line(counter(60), queue(), part("look", "look"), part("x", "lethal"), sink())
    await house.run(workflow)
    runner = house.start(workflow, "r")
    await lethal.dying.wait()
    await house.kill(runner)
    queue_store = house.store.queue
    charged = {e.id: e.deliveries for e in await queue_store.pending(house.lease("r", 2), ["q"])}
    assert set(charged.values()) == {1}
    alone.clear()
    lethal.dying.clear()
    runner = house.start(workflow, "r", token=2)
    await lethal.dying.wait()
    await house.kill(runner)
    assert {others for _, others in alone} == {0}
    left = await queue_store.pending(house.lease("r", 3), ["q"])
    assert [entry.deliveries for entry in left] == [2, *[1] * (len(left) - 1)]


@pytest.mark.parametrize("limit", [2, 3])
async def test_an_item_that_kills_its_worker_becomes_a_dead_letter(house, limit):
    lethal = Lethal(house, 7, 99)
    workflow = line(counter(20), queue(), part("x", "lethal"), sink())
    workflow["nodes"][2]["data"]["config"]["max_deliveries"] = limit
    await house.run(workflow)
    for token in range(1, limit + 1):
        await lethal.run_until_death(workflow, "r", token)
    await house.run(workflow, "r", token=limit + 1)
    assert lethal.begun.count(7) == limit
    [dead] = await house.dead()
    assert (dead["reason"], dead["item"]) == ("worker_lost", {"value": 7})
    assert dead["deliveries"] == limit
    assert sorted([*house.values(), 7]) == list(range(20))


async def test_a_producers_item_that_kills_its_worker_becomes_a_dead_letter(house):
    lethal = Lethal(house, 7, 99)
    workflow = line(counter(20), part("x", "lethal"), sink())
    token = 1
    while await lethal.dies(workflow, "in", token):
        token += 1
    # twice at one place among others, which may be nobody's fault, and three times alone
    assert lethal.begun.count(7) in (5, 6)
    [dead] = await house.dead()
    assert (dead["reason"], dead["item"], dead["deliveries"]) == ("worker_lost", {"value": 7}, 3)
    assert house.values() == [value for value in range(20) if value != 7]


async def test_crashes_while_nothing_is_in_hand_are_no_items_fault(house):
    released = asyncio.Event()

    async def patient(node, item):
        n = (node.state or {"n": 0})["n"]
        if n == 1:
            await released.wait()
        node.state = {"n": n + 1}
        return ExecutionCompleted() if n == 3 else item.with_data({"value": n})

    house.source(patient)
    workflow = line(part("in", "patient"), sink())
    for token in range(1, 7):
        runner = house.start(workflow, token=token)
        await until(lambda runner=runner: runner.boundary.open and house.values() == [0])
        await house.kill(runner)
    released.set()
    await house.run(workflow, token=7)
    assert house.values() == list(range(3))
    assert await house.dead() == []


async def test_a_crash_in_the_middle_of_a_batch_loses_nothing(house):
    lethal = Lethal(house, 250, 1)
    workflow = line(counter(400), part("x", "lethal"), part("b", "batch", {"size": 7}), sink())
    await lethal.run_until_death(workflow, "in", 1)
    await house.run(workflow, token=2)
    values = [inner["value"] for row in house.rows() for inner in row["items"]]
    assert values == list(range(400))


# The store away


class Proxy:
    """A way to the server that can be cut off; its data stay."""

    def __init__(self, url):
        self._host, _, self._port = url.removeprefix("redis://").partition("/")[0].partition(":")
        self._server = None
        self._ways = set()
        self.port = 0

    async def open(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self):
        self._server.close()
        for task in self._ways:
            task.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def _connected(self, reader, writer):
        task = asyncio.create_task(self._serve(reader, writer))
        self._ways.add(task)
        task.add_done_callback(self._ways.discard)

    async def _serve(self, reader, writer):
        back = writer
        try:
            there, back = await asyncio.open_connection(self._host, int(self._port))
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        finally:
            writer.transport.abort()
            back.transport.abort()

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def proxied(redis_url, tmp_path):
    from storage.datastore import open_store

    direct = open_store(redis_url)
    await direct.queue.forget("w")
    await direct.close()
    proxy = Proxy(redis_url)
    await proxy.open()
    store = open_store(f"redis://127.0.0.1:{proxy.port}/0")
    house = House(store, tmp_path)
    yield proxy, house
    await house.close()
    await store.close()
    await proxy.cut()


async def test_loops_wait_for_the_store_and_go_on(proxied):
    proxy, house = proxied
    seen_enough = []

    async def endless(node, item):
        n = (node.state or {"n": 0})["n"]
        await asyncio.sleep(0)
        if seen_enough:
            return ExecutionCompleted()
        node.state = {"n": n + 1}
        return item.with_data({"value": n})

    house.source(endless)
    workflow = line(part("in", "endless"), queue(), sink())
    writer, reader = house.start(workflow), house.start(workflow, "r")
    for _ in range(2):
        before = len(house.values())
        await until(lambda before=before: len(house.values()) > before + 200)
        await proxy.cut()
        for runner in (writer, reader):
            await until(lambda runner=runner: runner.reason == "redis_down")
            assert runner.state is LoopState.DEGRADED
        await proxy.open()
        for runner in (writer, reader):
            await until(lambda runner=runner: runner.state is LoopState.RUNNING)
    seen_enough.append(True)
    assert await house.ended(writer) == await house.ended(reader) == "completed"
    assert sorted(house.values()) == list(range(writer.iterations.items))

    async def answered():
        with contextlib.suppress(StoreUnavailable):  # by a connection of before the cut
            return [await house.dead()]

    assert await until(answered) == [[]]


async def test_a_stop_while_the_store_is_away_ends_and_loses_nothing(proxied):
    proxy, house = proxied
    workflow = line(counter(300, interval=0.001), queue(), sink())
    writer = house.start(workflow)
    await until(house.length)
    await proxy.cut()
    await until(lambda: writer.reason == "redis_down")
    await house.stop(writer)
    await proxy.open()
    await house.run(workflow, "in", "r", token=2)
    assert house.values() == list(range(300))


async def test_a_stop_of_a_plain_chain_ends_while_the_store_is_away(house, monkeypatch):
    async def away(*args):
        raise StoreUnavailable

    house.node(pass_on)
    runner = house.start(line(counter(), part("a", "pass-on")), commit_window=1)
    await until(lambda: runner.snapshot()["iterations"])
    monkeypatch.setattr(house.store.queue, "commit", away)
    await until(lambda: runner.reason == "redis_down")
    await house.stop(runner)


@pytest.fixture
async def silent(house, monkeypatch):
    """A loop whose producer only waits, while its inbox cannot be read."""

    async def quiet(node, item):
        await asyncio.Event().wait()

    async def away(*args):
        raise StoreUnavailable

    monkeypatch.setattr(house.store.queue, "read", away)
    house.source(quiet)
    runner = house.start(line(part("in", "quiet"), sink()))
    await until(lambda: runner.boundary.open and runner.outages > 1)
    return runner


async def test_a_stop_interrupts_a_producer_whose_inbox_cannot_be_read(house, silent):
    await house.stop(silent)


async def test_a_failed_commit_does_so_too(house, silent):
    silent.iterations.window.fail(LeaseLost())
    with pytest.raises(LeaseLost):
        await house.ended(silent)


async def test_a_loop_that_waits_for_the_store_does_so_patiently(house, monkeypatch):
    begin = house.store.queue.begin

    async def away(*args):
        raise StoreUnavailable

    monkeypatch.setattr(house.store.queue, "begin", away)
    runner = house.start(line(counter(5), sink()))
    runner.pause()  # no wish but a stop may cut the wait short
    for _ in range(300):
        await asyncio.sleep(0)
    assert 1 <= runner.outages < 10
    assert (runner.state, runner.reason) == (LoopState.DEGRADED, "redis_down")
    monkeypatch.setattr(house.store.queue, "begin", begin)
    await until(lambda: runner.state is LoopState.PAUSED)
    runner.resume()
    assert await house.ended(runner) == "completed"


async def test_an_answer_that_was_lost_is_fetched(house, monkeypatch):
    read = house.store.queue.read
    lost = []

    async def losing(lease, queues, count, wait):
        entries = await read(lease, queues, 5, wait)
        if entries and not lost:
            lost.extend(entries)
            raise StoreUnavailable
        return entries

    workflow = line(counter(20), queue(), sink())
    await house.run(workflow)
    monkeypatch.setattr(house.store.queue, "read", losing)
    await house.run(workflow, "r")
    assert lost
    assert house.values() == list(range(20))
    assert await house.dead() == []


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(house, monkeypatch):
    commit = house.store.queue.commit
    lost = []

    async def losing(*args):
        result = await commit(*args)
        if len(lost) < 3:
            lost.append(result)
            raise StoreUnavailable
        return result

    monkeypatch.setattr(house.store.queue, "commit", losing)
    await house.run(line(counter(20), queue(), sink()), "in", "r")
    assert house.values() == list(range(20))
