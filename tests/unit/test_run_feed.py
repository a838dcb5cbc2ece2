"""What a run tells the world while it goes on."""

from datetime import UTC, datetime

import orjson

from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime.run_feed import MAX_EVENT, publish_status, publish_step
from storage.memory import MemoryFeed
from storage.runs import StepRecord


class Kept(MemoryFeed):
    def __init__(self):
        super().__init__()
        self.events = []

    async def publish(self, workflow, latest, events):
        self.events += [(workflow, orjson.loads(event)) for event in events]


def step(value):
    change = {"path": "a", "op": "add", "after": value}
    return StepRecord(
        number=1, node="n", started_at=datetime(2026, 1, 2, tzinfo=UTC), seconds=0.5,
        changes=[change], position=3,
    )  # fmt: skip


async def test_a_step_is_told_as_the_log_has_it():
    feed = Kept()
    await publish_step(feed, "r", step(1))
    [(name, event)] = feed.events
    assert (name, event["type"]) == ("!run:r", "run_step")
    assert event["step"]["started_at"] == "2026-01-02T00:00:00+00:00"
    assert (event["step"]["position"], event["step"]["changes"][0]["after"]) == (3, 1)


async def test_of_a_step_that_changes_much_the_changes_are_left_out():
    feed = Kept()
    await publish_step(feed, "r", step("x" * MAX_EVENT))
    [(_, event)] = feed.events
    assert (event["step"]["changes"], event["step"]["node"]) == (None, "n")


async def test_a_run_goes_on_when_nobody_can_be_told():
    class Away(MemoryFeed):
        async def publish(self, workflow, latest, events):
            raise StoreUnavailable("away")

    await publish_status(Away(), "r", "failed", error={"code": "node_failed"})
