"""What a loop counts for those who watch: of slow and fast nodes, of very many, of two owners."""

import asyncio

import orjson
import pytest

from orchestrator.execution.durations import BOUNDS, BUCKETS, Durations
from orchestrator.execution.measures import MAX_NODES, OTHER, folded, measures
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.measures import Measures, read
from tests.integration.loops import House, counter, line, part, queue, sink


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


def slot(loop="in", number=0, workflow="w"):
    return Slot(
        pk=1, workflow=workflow, loop=loop, slot=number, activation=1, version=1, active=1,
        desired="running", state="running", isolated=False, token=1, drains=False, mine=True,
        free=False,
    )  # fmt: skip


def counts(iterations=3, nodes=("1",)):
    told = [0.5, 1, *[0] * (BUCKETS - 1)]
    return {
        **{"iterations": iterations, "failures": 1, "retries": 0, "in_flight": 0},
        **{"commits": told, "hops": told, "nodes": {node: [3, 1, *told] for node in nodes}},
    }


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (0.05, 4), (60, 10), (61, 11), (-1, 0)],
)
def test_a_duration_is_in_one_bucket_whose_bound_it_may_reach(seconds, place):
    durations = Durations()
    durations.add(seconds)
    assert durations.buckets.index(1) == place
    assert sum(durations.buckets) == 1
    assert durations.seconds == max(0, seconds)
    assert len(durations.told()) == len(BOUNDS) + 2


async def test_nothing_is_told_of_a_loop_that_has_not_begun(house):
    assert measures(house.runner(line(counter(1), sink()))) is None


async def test_each_call_is_counted_and_the_slow_ones_are_measured(house):
    async def slow(self, item):
        await asyncio.sleep(0.012)
        return item

    house.node(slow)
    runner = house.start(line(counter(10), part("slow", "slow"), sink()))
    assert await house.ended(runner) == "completed"
    told = measures(runner)
    answers, failed, seconds, *buckets = told["nodes"]["slow"]
    assert (answers, failed, sum(buckets)) == (10, 0, 10)
    assert seconds >= 0.12
    assert sum(buckets[: BOUNDS.index(0.01) + 1]) == 0
    assert told["iterations"] == told["nodes"]["in"][0] == 10
    assert sum(told["commits"][1:]) >= 1
    assert told["hops"][1:] == [0] * BUCKETS


async def test_of_fast_nodes_few_calls_are_measured(house):
    async def fast(self, item):
        return item

    house.node(fast)
    runner = house.start(line(counter(5000), part("fast", "fast")))
    assert await house.ended(runner) == "completed"
    answers, _, _, *buckets = measures(runner)["nodes"]["fast"]
    assert answers == 5000
    assert 0 < sum(buckets) < answers


async def test_a_hop_is_the_time_in_the_queue(house):
    flow = line(counter(3), queue(), sink())
    await house.run(flow)
    await asyncio.sleep(0.06)  # what is measured
    runner = house.start(flow, "r")
    await asyncio.sleep(0)
    assert await house.ended(runner) == "completed"
    seconds, *buckets = measures(runner)["hops"]
    assert sum(buckets) == 1
    assert seconds >= 0.06
    assert buckets.index(1) >= BOUNDS.index(0.1)


async def test_of_2000_nodes_some_are_told_apart(house):
    async def fast(self, item):
        return item

    house.node(fast)
    parts = [part(f"n{number}", "fast") for number in range(1999)]
    runner = house.start(line(counter(7), parts))
    assert await house.ended(runner) == "completed"
    nodes = measures(runner)["nodes"]
    assert len(nodes) == MAX_NODES + 1
    assert nodes["n1"][0] == 7
    assert nodes[OTHER][0] == 7 * (2000 - MAX_NODES)


def test_a_node_that_is_named_other_is_among_the_others():
    rows = {OTHER: [1, 2], "a": [1, 0], "b": [5, 5], "c": [1, 1]}
    assert folded(rows, 2) == {"a": [1, 0], "b": [5, 5], OTHER: [2, 3]}
    assert folded(rows, 4) == rows
    assert folded(rows, 0) == {OTHER: [8, 8]}


async def test_what_runners_publish_is_read_and_the_newest_owner_counts(store):
    ours, theirs = Measures("ours", store.cache), Measures("theirs", store.cache)
    ours.take(slot(), 1, counts(3))
    ours.take(slot(loop="r"), 1, counts(4))
    theirs.take(slot(), 2, counts(1))
    for each in (ours, theirs):
        await each.publish(())
    for order in (["ours", "theirs", "nobody"], ["theirs", "ours"]):
        rows = {(row["loop"], row["token"]): row for row in await read(store.cache, order)}
        assert rows.keys() == {("in", 2), ("r", 1)}
        assert rows["in", 2]["iterations"] == 1
        assert rows["r", 1]["nodes"] == counts()["nodes"]
    assert await read(store.cache, []) == []


async def test_what_was_overtaken_on_its_way_is_not_taken(store):
    runner = Measures("r", store.cache)
    for token, iterations, kept in ((1, 5, 5), (1, 4, 5), (1, 6, 6), (2, 1, 1)):
        runner.take(slot(), token, counts(iterations))
        await runner.publish(())
        [row] = await read(store.cache, ["r"])
        assert (row["token"], row["iterations"]) == (token, kept)


async def test_a_runner_with_many_loops_publishes_so_many_nodes(store):
    runner = Measures("many", store.cache)
    for number in range(30):
        nodes = [f"n{n}" for n in range(150)]
        runner.take(slot(workflow=f"w{number}"), 1, counts(nodes=nodes))
    await runner.publish(())
    rows = await read(store.cache, ["many"])
    assert len(rows) == 30
    assert 2000 <= sum(len(row["nodes"]) for row in rows) < 2100
    assert sum(values[0] for row in rows for values in row["nodes"].values()) == 30 * 150 * 3


async def test_a_slot_that_has_ended_is_told_of_for_some_minutes(store, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("orchestrator.runtime.measures.time.monotonic", lambda: now)
    runner = Measures("r", store.cache)
    for loop in ("in", "r"):
        runner.take(slot(loop=loop), 1, counts())
    for later, known in ((299, 2), (301, 1), (302, 1)):
        now = 1000.0 + later
        await runner.publish({slot().key})
        assert len(await read(store.cache, ["r"])) == known


@pytest.mark.parametrize(
    "body",
    [b"{", b"{}", b"[1]", b'[{"workflow": "w"}]', b"[]", b"null"],
    ids=["broken", "object", "number", "short", "empty", "null"],
)
async def test_what_cannot_be_used_is_left_out(store, body):
    await store.cache.set("measures:r", body, 10)
    assert await read(store.cache, ["r"]) == []


@pytest.mark.parametrize(
    "other",
    [{"hops": [1, 2]}, {"commits": None}, {"nodes": []}, {"nodes": {"a": 1}}],
    ids=["shorter", "nothing", "no-object", "number"],
)
async def test_rows_of_another_release_are_left_out(store, other):
    told = {"workflow": "w", "loop": "in", "slot": 0, "token": 1, **counts(), **other}
    whole = {**told, **counts(), "loop": "r"}
    await store.cache.set("measures:r", orjson.dumps([told, whole]), 10)
    assert [row["loop"] for row in await read(store.cache, ["r"])] == ["r"]


async def test_an_entry_that_does_not_say_when_it_was_put_is_no_hop(house, store):
    flow = line(counter(1), queue(), sink())
    await house.run(flow)
    await store.queue.put("w", "q", b"[]")
    runner = house.start(flow, "r")
    assert await house.ended(runner) == "completed"
    assert sum(measures(runner)["hops"][1:]) == 1
    assert house.values() == [0]
