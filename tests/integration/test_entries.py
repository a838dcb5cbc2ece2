"""What enters a loop beside its producer: the inbox, items put off, and what closed slots left."""

import asyncio
import time

import pytest

from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from storage.records import DEAD_LETTERS_LIMIT, DELAYED_LIMIT, Commit, inbox
from tests.integration.loops import House, counter, edge, line, part, queue, sink
from tests.waiting import until

FAST = {"max_attempts": 3, "delay": 0.01, "jitter": 0}


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


def sealed(value, item_id="mail:1", **parts):
    item = NodeOutput(item_id, {"value": value})
    return seal(item, activation=1, version=1, born=time.time(), **parts)


def failing(house, times, error=RuntimeError):
    """Register `shaky`, which fails so often for each value before it passes it on."""
    tries = []

    async def shaky(node, item):
        tries.append(item.data["value"])
        if tries.count(item.data["value"]) <= times:
            raise error(f"not yet {item.data['value']}")
        return item

    house.node(shaky)
    return tries


def idle(house):
    """Register `idle`, a producer that has nothing to give."""

    async def idle(node, item):
        await asyncio.Event().wait()

    house.source(idle)


# The inbox


async def test_an_entry_of_the_inbox_runs_while_the_producer_waits(house):
    idle(house)
    runner = house.start(line(part("in", "idle"), sink()))
    await house.store.queue.put("w", inbox("in"), sealed(7))
    await until(lambda: house.values() == [7])
    await house.stop(runner)
    assert await house.length(inbox("in")) == 0


async def test_an_entry_of_the_inbox_runs_beside_a_busy_producer(house):
    runner = house.start(line(counter(), sink()))
    await house.store.queue.put("w", inbox("in"), sealed(-1))
    await until(lambda: -1 in house.values())
    await house.stop(runner)
    produced = [value for value in house.values() if value >= 0]
    assert produced == list(range(len(produced)))


async def test_a_queue_fed_loop_reads_its_inbox_first(house):
    workflow = line(counter(), *queue(), sink())
    for value in range(3):
        await house.store.queue.put("w", "q", sealed(value))
    await house.store.queue.put("w", inbox("r"), sealed(-1))
    runner = house.start(workflow, "r")
    await until(lambda: len(house.values()) == 4)
    await house.stop(runner)
    assert house.values() == [-1, 0, 1, 2]


async def test_an_entry_enters_at_its_node(house):
    tries = failing(house, 0)
    idle(house)
    runner = house.start(line(part("in", "idle"), part("a", "shaky"), sink()))
    start = NodeOutput("mail:1", {"value": 1})
    body = sealed(2, entry_node="sink", start=start)
    await house.store.queue.put("w", inbox("in"), body)
    await until(lambda: house.values() == [2])
    await house.stop(runner)
    assert tries == []


async def test_an_entry_for_a_node_that_is_gone_is_a_dead_letter(house):
    idle(house)
    runner = house.start(line(part("in", "idle"), sink()))
    body = sealed(2, entry_node="gone", start=NodeOutput("mail:1", {"value": 1}), origin=5)
    await house.store.queue.put("w", inbox("in"), body)
    await until(house.dead)
    await house.stop(runner)
    [letter] = await house.dead()
    assert (letter["reason"], letter["entry_node"], letter["origin"]) == ("unknown_node", "gone", 5)
    assert (letter["item"], letter["node_input"]) == ({"value": 1}, {"value": 2})


async def test_a_producer_completes_only_with_an_empty_inbox(house):
    workflow = line(counter(3), sink())
    for value in (7, 8):
        await house.store.queue.put("w", inbox("in"), sealed(value))
    await house.run(workflow)
    assert sorted(house.values()) == [0, 1, 2, 7, 8]
    assert await house.length(inbox("in")) == 0


@pytest.mark.parametrize("fed", ["producer", "queue"])
async def test_what_comes_while_a_loop_completes_is_not_left_behind(house, fed):
    loop = "in" if fed == "producer" else "r"
    sent = []

    async def late(node, item):
        return item

    async def flush(node, context):
        if not sent:
            sent.append(await house.store.queue.put("w", inbox(loop), sealed(7)))

    house.node(late, flush=flush)
    parts = [] if fed == "producer" else queue()
    workflow = line(counter(2), parts, part("a", "late"), sink())
    await house.run(workflow, *dict.fromkeys(["in", loop]))
    assert sorted(house.values()) == [0, 1, 7]
    assert set(await house.store.queue.completed("w")) == {"in/0", f"{loop}/0"}


async def test_a_paused_loop_leaves_its_inbox_alone(house):
    idle(house)
    runner = house.start(line(part("in", "idle"), sink()))
    await until(lambda: runner.state == "running")
    runner.pause()
    await until(lambda: runner.state == "paused")
    await house.store.queue.put("w", inbox("in"), sealed(7))
    await until(lambda: runner.boundary.busy)
    assert house.values() == []
    runner.resume()
    await until(lambda: house.values() == [7])
    await house.stop(runner)


async def test_an_entry_in_hand_at_a_crash_is_run_by_the_next_owner(house):
    held = asyncio.Event()

    async def hold(node, item):
        if not held.is_set():
            held.set()
            await asyncio.Event().wait()
        return item

    house.node(hold)
    idle(house)
    workflow = line(part("in", "idle"), part("a", "hold"), sink())
    runner = house.start(workflow)
    await house.store.queue.put("w", inbox("in"), sealed(7))
    await held.wait()
    await house.kill(runner)
    again = house.start(workflow, token=2)
    await until(lambda: house.values() == [7])
    await house.stop(again)


async def test_a_stop_leaves_the_rest_of_the_inbox_to_the_next_start(house):
    begun = asyncio.Event()
    free = asyncio.Event()

    async def wait(node, item):
        begun.set()
        await free.wait()
        return item

    house.node(wait)
    idle(house)
    workflow = line(part("in", "idle"), part("a", "wait"), sink())
    runner = house.start(workflow)
    for value in range(3):
        await house.store.queue.put("w", inbox("in"), sealed(value))
    await begun.wait()
    runner.stop()
    free.set()
    assert await house.ended(runner) == "stopped"
    assert house.values() == [0]
    again = house.start(workflow, token=2)
    await until(lambda: sorted(house.values()) == [0, 1, 2])
    await house.stop(again)


# Items that are put off


@pytest.mark.parametrize("fed", ["producer", "queue"])
async def test_a_failed_item_is_tried_again_while_others_pass(house, fed):
    tries = failing(house, 2)
    node = part("a", "shaky", retry=FAST)
    if fed == "producer":
        await house.run(line(counter(3), node, sink()))
    else:
        await house.run(line(counter(3), *queue(), node, sink()), "in", "r")
    assert sorted(house.values()) == [0, 1, 2]
    assert sorted(tries) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert await house.dead() == []


async def test_the_attempts_of_a_policy_are_all_there_are(house):
    tries = failing(house, 9)
    await house.run(line(counter(1), part("a", "shaky", retry=FAST), sink()))
    assert tries == [0, 0, 0]
    [letter] = await house.dead()
    assert (letter["reason"], letter["node_id"], letter["item"]) == (
        "max_attempts", "a", {"value": 0},
    )  # fmt: skip
    assert [attempt["n"] for attempt in letter["attempts"]] == [1, 2, 3]
    assert {attempt["error_type"] for attempt in letter["attempts"]} == {"RuntimeError"}
    assert letter["deliveries"] == 1


async def test_what_is_upstream_of_the_failed_node_is_not_run_again(house):
    seen = []

    async def before(node, item):
        seen.append(item.data["value"])
        return item.with_data({"value": item.data["value"] + 10})

    house.node(before)
    tries = failing(house, 1)
    await house.run(line(counter(2), part("b", "before"), part("a", "shaky", retry=FAST), sink()))
    assert seen == [0, 1]
    assert sorted(tries) == [10, 10, 11, 11]
    assert sorted(house.values()) == [10, 11]


async def test_an_iteration_that_has_staged_something_begins_again_as_a_whole(house):
    failing(house, 1)
    workflow = line(
        counter(2), sink("first.jsonl", "first"), part("a", "shaky", retry=FAST), sink()
    )
    await house.run(workflow)
    assert sorted(house.values("first.jsonl")) == sorted(house.values()) == [0, 1]


async def test_a_fork_begins_again_as_a_whole(house):
    tries = failing(house, 1)

    async def behind(node, item):
        """Let the other branch fail before this one has staged anything."""
        await until(lambda: tries.count(item.data["value"]) == 2)
        return item

    house.node(behind)
    workflow = line(counter(2), part("a", "shaky", retry=FAST), sink())
    workflow["nodes"] += [part("b", "behind"), sink("side.jsonl", "side")]
    workflow["edges"] += [edge("in b"), edge("b side")]
    await house.run(workflow)
    assert sorted(house.values("side.jsonl")) == sorted(house.values()) == [0, 1]


async def test_a_put_off_item_survives_a_crash(house):
    tries = failing(house, 1)
    idle(house)
    late = part("a", "shaky", retry={**FAST, "delay": 0.3})
    workflow = line(part("in", "idle"), late, sink())
    runner = house.start(workflow)
    await house.store.queue.put("w", inbox("in"), sealed(7))
    await until(lambda: tries)
    await until(lambda: not runner.iterations.in_flight)
    await house.kill(runner)
    again = house.start(workflow, token=2)
    await until(lambda: house.values() == [7])
    await house.stop(again)
    assert tries == [7, 7]


class Gone(LookupError):
    pass


@pytest.mark.parametrize(
    "names, expected",
    [
        ({"retry_on": ["LookupError"]}, 3),
        ({"retry_on": ["OSError"]}, 1),
        ({"give_up_on": ["Gone"]}, 1),
        ({"retry_on": ["Gone"], "give_up_on": ["LookupError"]}, 1),
        ({"give_up_on": ["OSError"]}, 3),
    ],
)
async def test_a_policy_chooses_by_the_kind_of_error(house, names, expected):
    tries = failing(house, 9, Gone)
    await house.run(line(counter(1), part("a", "shaky", retry={**FAST, **names}), sink()))
    assert len(tries) == expected
    [letter] = await house.dead()
    assert letter["reason"] == ("max_attempts" if expected == 3 else "non_retryable")


async def test_a_timeout_is_tried_again_too(house):
    tries = []

    async def slow(node, item):
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(60)
        return item

    house.node(slow)
    await house.run(line(counter(1), part("a", "slow", retry=FAST, timeout=0.05), sink()))
    assert house.values() == [0]


async def test_each_node_has_its_own_attempts(house):
    first = failing(house, 2)
    seen = []

    async def second(node, item):
        seen.append(1)
        if len(seen) <= 2:
            raise OSError("later")
        return item

    house.node(second)
    nodes = part("a", "shaky", retry=FAST), part("b", "second", retry=FAST)
    await house.run(line(counter(1), *nodes, sink()))
    assert (len(first), len(seen)) == (3, 3)
    assert house.values() == [0]


async def test_a_node_keeps_its_state_over_a_retry_downstream(house):
    failing(house, 1)

    async def numbering(node, item):
        node.state = {"n": (node.state or {"n": 0})["n"] + 1}
        return item.with_data({"value": item.data["value"], "n": node.state["n"]})

    house.node(numbering, stateful=True)
    nodes = part("b", "numbering"), part("a", "shaky", retry=FAST)
    await house.run(line(counter(3), *nodes, sink()))
    assert sorted(row["n"] for row in house.rows()) == [1, 2, 3]


async def test_a_node_that_fails_has_the_state_of_before(house):
    seen = []

    async def counting(node, item):
        node.state = {"n": (node.state or {"n": 0})["n"] + 1}
        seen.append(node.state["n"])
        if len(seen) < 3:
            raise OSError
        return item

    house.node(counting, stateful=True)
    await house.run(line(counter(1), part("a", "counting", retry=FAST), sink()))
    assert seen == [1, 1, 1]


# Full queues


async def overfull(house, overflow):
    """Run a writer that gives twice what its queue may hold."""
    writer = part("w", "queue-writer", queue_name="q", max_length=5, overflow=overflow)
    await house.run(line(counter(10), writer))


async def test_the_oldest_give_way(house):
    await overfull(house, "drop_oldest")
    assert await house.queued_values() == [5, 6, 7, 8, 9]
    assert (await house.store.queue.stats("w", ["q"]))["q"].dropped == 5


async def test_what_finds_no_room_becomes_a_dead_letter(house):
    await overfull(house, "dead_letter")
    assert await house.queued_values() == [0, 1, 2, 3, 4]
    letters = await house.dead()
    assert [letter["node_input"]["value"] for letter in letters] == [5, 6, 7, 8, 9]
    assert {(x["reason"], x["queue"], x["node_id"]) for x in letters} == {("queue_full", "q", "w")}


@pytest.mark.parametrize("reason", ["dead_letters_full", "retries_full"])
async def test_a_loop_waits_while_what_failed_has_no_room(house, reason):
    """Everything fails; the outbox, or the delayed set, is full already."""
    failing(house, 9)
    policy = {**FAST, "delay": 3600} if reason == "retries_full" else {"max_attempts": 1}
    other = house.lease("other")
    full = {"dead": [b"{}"] * DEAD_LETTERS_LIMIT}
    if reason == "retries_full":
        other, full = house.lease(), {"delayed": [(3600.0, b"{}")] * DELAYED_LIMIT}
    await house.store.queue.begin(other, 1)
    commit = Commit(number=1, sequence=0, activation=1, **full)
    await house.store.queue.commit(other, commit)
    await house.store.queue.end(other, [])
    runner = house.start(line(counter(), part("a", "shaky", retry=policy)), token=2)
    await until(lambda: (runner.state, runner.reason) == ("blocked", reason))
    assert runner.iterations.in_flight <= runner.job.commit_window
    if reason == "dead_letters_full":
        letters = await house.store.queue.dead("w", 1000)
        await house.store.queue.forget_dead("w", [letter.id for letter in letters])
        await until(lambda: runner.state == "running" or runner.iterations.failures > 200)
    await house.stop(runner)


# Slots


async def test_a_sibling_takes_over_what_a_closed_slot_had(house):
    held = asyncio.Event()

    async def hold(node, item):
        if not held.is_set():
            held.set()
            await asyncio.Event().wait()
        return item

    house.node(hold)
    workflow = line(counter(), *queue(), part("a", "hold"), sink())
    workflow["nodes"][2]["data"]["config"]["replicas"] = 2
    await house.store.queue.put("w", "q", sealed(7))
    runner = house.start(workflow, "r", slot=1)
    await held.wait()
    await house.kill(runner)
    await house.store.queue.close(house.lease("r", slot=1))
    again = house.start(workflow, "r", slot=0)
    await until(lambda: house.values() == [7])
    await house.stop(again)


async def test_a_killed_loop_ends_with_the_item_in_hand_uncommitted(house):
    held = asyncio.Event()

    async def hold(node, item):
        held.set()
        if item.data["value"] == 2 and not runner.stopping:
            await asyncio.Event().wait()
        return item

    house.node(hold)
    workflow = line(counter(4), part("a", "hold"), sink())
    runner = house.start(workflow)
    await until(lambda: runner.plan.steps["a"].executions == 2)
    runner.kill()
    assert await house.ended(runner) == "stopped"
    again = house.start(workflow, token=2)
    assert await house.ended(again) == "completed"
    assert house.values() == [0, 1, 2, 3]


async def test_a_loop_can_be_killed_while_its_producer_waits(house):
    idle(house)
    runner = house.start(line(part("in", "idle"), sink()))
    await until(lambda: runner.state == "running")
    runner.kill()
    assert await house.ended(runner) == "stopped"
