"""The feed's fan-out: bounded for each client, and back after the server was away."""

import asyncio

import orjson

from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime import feed_hub
from orchestrator.runtime.feed_frames import Detail, Frame, numbered
from orchestrator.runtime.feed_hub import QUEUE_LENGTH, FeedClient, FeedHub
from storage.base import Feed
from storage.memory import MemoryFeed


def event(number, node="1", kind="node_stats"):
    place = {"loop": "1", "slot": 0, "node": node}
    return Frame({"workflow_id": "w", "type": kind, **place, "n": number})


async def get(client):
    return (await client.get()).event


async def drain(client, count):
    return [await get(client) for _ in range(count)]


async def test_a_client_gets_events_in_order():
    client = FeedClient(None)
    for number in range(QUEUE_LENGTH):
        client.put(event(number))
    assert [e["n"] for e in await drain(client, QUEUE_LENGTH)] == list(range(QUEUE_LENGTH))


async def test_a_full_queue_keeps_the_latest_of_each_thing_and_tells_the_gap():
    client = FeedClient(None)
    client.put(event(0, node="quiet"))
    for number in range(1000):
        client.put(event(number, node=str(number % 10)))
    gap, *events = await drain(client, QUEUE_LENGTH + 1)
    assert gap == {"type": "gap", "dropped": 1001 - QUEUE_LENGTH}
    assert {e["node"]: e["n"] for e in events} == {
        "quiet": 0,
        **{str(n % 10): n for n in range(990, 1000)},
    }


async def test_the_oldest_goes_when_nothing_is_alike():
    client = FeedClient(None)
    for number in range(QUEUE_LENGTH + 5):
        client.put(event(number, node=str(number)))
    gap, first, *_ = await drain(client, QUEUE_LENGTH + 1)
    assert (gap["dropped"], first["n"]) == (5, 5)


async def publish(feed, client, workflow="w", body=b'{"type": "loop_state"}'):
    """Publish until the client has something: the subscription begins when it begins."""
    while not client._frames:
        await feed.publish(workflow, {}, [body])
        await asyncio.sleep(0)


async def test_one_subscription_serves_everybody():
    class Counted(MemoryFeed):
        subscriptions = 0

        def subscribe(self):
            self.subscriptions += 1
            return super().subscribe()

    feed = Counted()
    hub = FeedHub(feed)
    with hub.client("w") as one, hub.client("w") as two, hub.client() as everything:
        with hub.client("other") as other:
            await publish(feed, one)
            for client in (one, two, everything):
                assert await get(client) == {"type": "loop_state", "workflow_id": "w"}
            assert not other._frames
    assert feed.subscriptions == 1
    assert not hub._clients
    await hub.close()


async def test_what_is_no_event_is_left_out():
    feed = MemoryFeed()
    hub = FeedHub(feed)
    with hub.client("w") as client:
        await publish(feed, client)
        client._frames.clear()
        for body in (b"{", b"[]", b"5", b'{"type": "after"}'):
            await feed.publish("w", {}, [body])
        assert (await get(client))["type"] == "after"
    await hub.close()


async def test_the_hub_comes_back_and_tells_the_gap(monkeypatch):
    monkeypatch.setattr(feed_hub, "BACKOFF", (0.0,))

    class Flaky(Feed):
        """Fails three times, then is there."""

        def __init__(self):
            self.attempts = 0

        async def publish(self, workflow, latest, events):
            raise NotImplementedError

        async def latest(self, workflow):
            return {}

        async def subscribe(self):
            self.attempts += 1
            if self.attempts <= 3:
                raise StoreUnavailable
            yield "w", orjson.dumps({"type": "loop_state"})
            await asyncio.Event().wait()

    feed = Flaky()
    hub = FeedHub(feed)
    with hub.client("w") as client:
        assert (await get(client)) == {"type": "gap", "dropped": 0}
        while (received := await get(client))["type"] == "gap":
            pass
        assert received["type"] == "loop_state"
        assert feed.attempts == 4
    await hub.close()


async def test_what_is_no_workflow_is_shown_only_to_who_asks_for_it():
    feed = MemoryFeed()
    hub = FeedHub(feed)
    with hub.client() as everything, hub.client("!run:a") as one:
        await publish(feed, one, "!run:a")
        await publish(feed, everything, "w")
        seen = {e["workflow_id"] for e in await drain(everything, len(everything._frames))}
        assert seen == {"w"}
        assert {e["run_id"] for e in await drain(one, len(one._frames))} == {"a"}
    await hub.close()


async def test_one_that_keeps_up_misses_nothing_of_a_long_list():
    feed = MemoryFeed()
    hub = FeedHub(feed)
    with hub.client("w") as client:
        await publish(feed, client)
        await asyncio.sleep(0)
        client._frames.clear()
        read = asyncio.create_task(drain(client, 10 * QUEUE_LENGTH))
        events = [{"type": "node_completed", "node": n} for n in range(10 * QUEUE_LENGTH)]
        await feed.publish("w", {}, [orjson.dumps(events)])
        assert [e["node"] for e in await read] == list(range(10 * QUEUE_LENGTH))
    await hub.close()


async def test_who_wants_less_detail_is_sent_less():
    feed = MemoryFeed()
    hub = FeedHub(feed)
    stats = {"type": "node_stats", "iterations": 5, "nodes": {"1": {}}}
    events = [{"type": "node_completed", "node": "1"}, stats, {"type": "after"}]
    with hub.client(detail=Detail.LOOPS) as loops, hub.client(detail=Detail.COUNTERS) as counters:
        await publish(feed, loops)
        for client in (loops, counters):
            client._frames.clear()
        await feed.publish("w", {}, [orjson.dumps(events)])
        told = [orjson.loads(numbered((await loops.get()).text(Detail.LOOPS), 7)) for _ in "12"]
        assert told == [
            {"type": "node_stats", "iterations": 5, "workflow_id": "w", "seq": 7},
            {"type": "after", "workflow_id": "w", "seq": 7},
        ]
        told = [orjson.loads(numbered((await counters.get()).text(Detail.COUNTERS), 0))]
        assert told == [{**stats, "workflow_id": "w", "seq": 0}]
    await hub.close()


def test_a_text_is_made_once_for_all():
    frame = event(1)
    assert frame.text(Detail.ALL) is frame.text(Detail.COUNTERS) is frame.text(Detail.ALL)


async def test_what_slow_clients_missed_is_counted_over_all_of_them():
    hub = FeedHub(MemoryFeed())
    with hub.client() as slow, hub.client():
        for number in range(QUEUE_LENGTH + 3):
            slow.put(Frame({"type": "x", "node": str(number)}))
        assert (hub.listeners, hub.lost) == (2, 3)
        for _ in range(QUEUE_LENGTH):
            await slow.get()
        assert hub.lost == 3
    assert (hub.listeners, hub.lost) == (0, 3)
    await hub.close()
