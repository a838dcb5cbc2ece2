"""What a runner publishes: coalesced, and kept while Redis is away."""

import asyncio

import orjson

from orchestrator.events import WorkflowCompleted
from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime.publisher import Publisher
from storage.memory import MemoryFeed
from tests.waiting import until


class Recorder(MemoryFeed):
    """Notes what was published; `away` as long as somebody says so."""

    def __init__(self):
        super().__init__()
        self.away = False
        self.attempts = 0
        self.events = []

    async def publish(self, workflow, latest, events):
        self.attempts += 1
        if self.away:
            raise StoreUnavailable
        await super().publish(workflow, latest, events)
        for body in events:
            self.events += [{**event, "of": workflow} for event in orjson.loads(body)]


def status(iterations, state="running"):
    counters = {"count": iterations, "failed": 0, "executing": False, "last_ms": 1.0}
    return {
        "state": state, "reason": "", "iterations": iterations, "failures": 0, "in_flight": 0,
        "nodes": {"1": counters},
    }  # fmt: skip


def kinds(events):
    return [event["type"] for event in events]


async def test_only_the_newest_of_what_came_in_is_sent_in_one_message():
    feed = Recorder()
    publisher = Publisher(feed)
    for iterations in range(1, 50):
        publisher.update("w", "1/0", status(iterations))
    assert await publisher.publish()
    assert feed.attempts == 1
    assert kinds(feed.events) == ["loop_state", "node_started", "node_completed", "node_stats"]
    assert feed.events[-1]["iterations"] == 49
    assert await publisher.publish()
    assert feed.attempts == 1  # nothing is new


async def test_what_could_not_be_sent_is_sent_when_redis_is_back():
    feed = Recorder()
    publisher = Publisher(feed)
    publisher.update("w", "1/0", status(5))
    assert await publisher.publish()
    feed.away, feed.events = True, []
    publisher.update("w", "1/0", status(9, "completed"))
    publisher.update("other", "1/0", status(1))
    publisher.announce("w", WorkflowCompleted(activation=1))
    before = feed.attempts
    assert not await publisher.publish()
    assert feed.attempts == before + 1  # the others are not tried while it is away
    feed.away = False
    assert await publisher.publish()
    told = kinds(event for event in feed.events if event["of"] == "w")
    assert told == ["loop_state", "node_completed", "node_stats", "workflow_completed"]
    assert orjson.loads((await feed.latest("w"))["1/0"])["state"] == "completed"
    assert orjson.loads((await feed.latest("other"))["1/0"])["iterations"] == 1


async def test_a_slot_that_was_forgotten_while_it_was_sent_begins_anew():
    feed = Recorder()
    publisher = Publisher(feed)

    class Slow(Recorder):
        async def publish(self, workflow, latest, events):
            publisher.forget("w", "1/0")
            await feed.publish(workflow, latest, events)

    publisher._feed = Slow()
    publisher.update("w", "1/0", status(5))
    await publisher.publish()
    feed.events = []
    publisher._feed = feed
    publisher.update("w", "1/0", status(2))
    await publisher.publish()
    assert kinds(feed.events)[0] == "loop_state"


async def test_news_is_sent_soon_and_again_after_a_failure(monkeypatch):
    monkeypatch.setattr("orchestrator.runtime.publisher._REST", 0.0)
    feed = Recorder()
    feed.away = True
    publisher = Publisher(feed)
    running = asyncio.create_task(publisher.run())
    publisher.update("w", "1/0", status(5))
    await until(lambda: feed.attempts > 2)
    feed.away = False
    await until(lambda: feed.events)
    running.cancel()
    assert feed.events[-1]["iterations"] == 5
