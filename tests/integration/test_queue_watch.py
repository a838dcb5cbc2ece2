"""Samples of queues: what came in and went out, in the feed and in `/queues/`."""

import asyncio

import orjson
import pytest

from orchestrator.runtime.queue_watch import QUEUES, QueueWatch
from storage.datastore import open_store
from storage.records import Commit, Lease
from tests.waiting import until

HOLDER = Lease(workflow="w", loop="a", slot=0, token=1)


@pytest.fixture
async def watch(store):
    await store.queue.begin(HOLDER, 1)
    return QueueWatch(store.queue, store.feed)


async def put(store, count, queue="q"):
    for _ in range(count):
        await store.queue.put("w", queue, b"x")


async def finish(store, count, number=1):
    """Let entries be worked on, which leaves the queue."""
    entries = await store.queue.read(HOLDER, ["q"], count, 0)
    await store.queue.commit(
        HOLDER, Commit(number=number, sequence=number, activation=1, acks=entries)
    )


async def told(store, queue="q"):
    return orjson.loads((await store.feed.latest("w"))[QUEUES])["queues"][queue]


async def test_the_first_sample_has_no_rates(store, watch):
    await put(store, 3)
    await watch.sample({"w": ["q"]})
    assert await told(store) == {
        "depth": 3,
        "bytes": 3,
        "dropped": 0,
        "in_per_second": None,
        "out_per_second": None,
    }


async def test_what_came_in_and_what_went_out(store, watch):
    await put(store, 2)
    await watch.sample({"w": ["q"]})
    await put(store, 4)
    await finish(store, 1)
    await watch.sample({"w": ["q"]})
    sample = await told(store)
    assert sample["depth"] == 5
    assert sample["in_per_second"] == pytest.approx(4 * sample["out_per_second"], rel=0.1)
    assert sample["out_per_second"] > 0
    await watch.sample({"w": ["q"]})
    sample = await told(store)
    assert (sample["in_per_second"], sample["out_per_second"]) == (0, 0)


async def test_a_store_that_lost_its_counts_has_no_rates(store, watch):
    await put(store, 5)
    await watch.sample({"w": ["q"]})
    await store.queue.forget("w")
    await put(store, 1)
    await watch.sample({"w": ["q"]})
    sample = await told(store)
    assert (sample["in_per_second"], sample["out_per_second"]) == (None, None)


async def test_what_does_not_run_any_more_begins_anew(store, watch):
    await watch.sample({"w": ["q"]})
    await watch.sample({})
    await watch.sample({"w": ["q"]})
    assert (await told(store))["in_per_second"] is None


async def test_an_event_tells_of_a_change_and_only_of_one(store, watch):
    events = []

    async def listen():
        async for workflow, body in store.feed.subscribe():
            events.append((workflow, orjson.loads(body)))

    listening = asyncio.create_task(listen())

    async def heard():
        await store.feed.publish("w", {}, [b'{"type": "hello"}'])
        return events

    await until(heard)
    await put(store, 1)
    for _ in range(5):  # no rate, a rate of one entry at most, and then nothing new
        await watch.sample({"w": ["q"]})
    await store.feed.publish("w", {}, [b'{"type": "end"}'])
    await until(lambda: events[-1][1]["type"] == "end")
    listening.cancel()
    sampled = [event for _, event in events if event["type"] == "queue_stats"]
    assert [event["queues"]["q"]["in_per_second"] for event in sampled] == [None, 0]
    assert all(event["queues"]["q"]["depth"] == 1 for event in sampled)


async def test_without_redis_nothing_happens():
    store = open_store("redis://127.0.0.1:1/0")
    await QueueWatch(store.queue, store.feed).sample({"w": ["q"]})
    await store.close()
