"""What a runner tells the world about its loops: the latest state, and what changed since.

Loops never wait for it. What comes in is gathered for a moment and published together; while Redis
is away it is kept, each slot's newest status only, and published when Redis is back.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.events import (
    Event,
    LoopStateChanged,
    NodeCompleted,
    NodeErred,
    NodeStarted,
    NodeStats,
)
from orchestrator.exceptions import OrchestratorError
from storage.base import Feed

logger = logging.getLogger(__name__)
GATHER = 0.05
"""Seconds that the first news waits for more. A host sends its own four times a second."""
_TIMEOUT = 0.25
_REST = 0.5
"""Seconds without an attempt after one that failed."""
_ANNOUNCED = 1000
"""Events of their own that are kept while Redis is away."""
_IDLE = {"count": 0, "failed": 0, "executing": False}
Slot = tuple[str, str]


class Publisher:
    """Collects the status of slots and publishes what changed, some times a second."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._latest: dict[Slot, dict[str, Any]] = {}
        self._published: dict[Slot, tuple[float, dict[str, Any]]] = {}
        self._changed: dict[str, set[str]] = {}
        self._events: dict[str, list[Event]] = {}
        self._news = asyncio.Event()

    def update(self, workflow: str, slot: str, status: dict[str, Any]) -> None:
        """Take the newest status of a slot (`loop/slot`)."""
        self._latest[workflow, slot] = status
        self._changed.setdefault(workflow, set()).add(slot)
        self._news.set()

    def status(self, workflow: str, slot: str) -> dict[str, Any] | None:
        """Return the newest status of a slot."""
        return self._latest.get((workflow, slot))

    def announce(self, workflow: str, event: Event) -> None:
        """Send an event of its own, after the changes known so far."""
        events = self._events.setdefault(workflow, [])
        events.append(event)
        del events[:-_ANNOUNCED]
        self._news.set()

    def forget(self, workflow: str, slot: str) -> None:
        """Begin anew with a slot, whose counters start at zero."""
        self._published.pop((workflow, slot), None)
        self._latest.pop((workflow, slot), None)
        self._changed.get(workflow, set()).discard(slot)

    async def run(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER)
            self._news.clear()
            try:
                done = await self.publish()
            except Exception:
                logger.exception("the live state could not be published")
                done = False
            if not done:
                await asyncio.sleep(_REST)
                self._news.set()

    async def publish(self) -> bool:
        """Send what is new, and tell whether it was taken; what was not waits for the next time."""
        for workflow in [*{**self._changed, **self._events}]:
            slots = self._changed.pop(workflow, set())
            announced = self._events.pop(workflow, [])
            if not await self._publish(workflow, slots, announced):
                self._changed.setdefault(workflow, set()).update(slots)
                self._events[workflow] = [*announced, *self._events.get(workflow, [])][-_ANNOUNCED:]
                return False
        return True

    async def _publish(self, workflow: str, slots: set[str], announced: list[Event]) -> bool:
        """Send what is new of a workflow, its events as one list."""
        now = time.monotonic()
        known = {
            key: self._latest[key] for name in slots if (key := (workflow, name)) in self._latest
        }
        before = {key: self._published.get(key) for key in known}
        events: list[Event] = []
        for key, status in known.items():
            since, last = before[key] or (now, {})
            events += changes(key[1], last, status, now - since)
        # Not after it was sent: meanwhile a slot may have been forgotten.
        told = {key: (now, status) for key, status in known.items()}
        self._published.update(told)
        if await self._send(workflow, known, [*events, *announced]):
            return True
        for key, last in before.items():
            if self._published.get(key) is told[key]:
                self._restore(key, last)
        return False

    async def _send(
        self, workflow: str, known: Mapping[Slot, dict[str, Any]], events: list[Event]
    ) -> bool:
        latest = {name: orjson.dumps(status) for (_, name), status in known.items()}
        told = [orjson.dumps([event.marshal() for event in events])] if events else []
        if not latest and not told:
            return True
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._feed.publish(workflow, latest, told)
        except (OrchestratorError, TimeoutError):
            return False
        return True

    def _restore(self, key: Slot, last: tuple[float, dict[str, Any]] | None) -> None:
        if last is None:
            del self._published[key]
        else:
            self._published[key] = last


def changes(
    slot: str, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float
) -> list[Event]:
    """Return the events that lead from one status of a slot to the next."""
    loop, _, number = slot.rpartition("/")
    place: dict[str, Any] = {"loop": loop, "slot": int(number)}
    events: list[Event] = []
    if (before.get("state"), before.get("reason")) != (after["state"], after["reason"]):
        events.append(LoopStateChanged(**place, state=after["state"], reason=after["reason"]))
    nodes_before = before.get("nodes", {})
    for node, counters in after["nodes"].items():
        events += _node_events({**place, "node": node}, nodes_before.get(node, _IDLE), counters)
    if nodes_before != after["nodes"]:
        done = after["iterations"] - before.get("iterations", 0)
        events.append(
            NodeStats(
                **place,
                iterations=after["iterations"],
                failures=after["failures"],
                in_flight=after["in_flight"],
                per_second=round(done / seconds, 2) if seconds > 0 else None,
                nodes=after["nodes"],
            )
        )
    return events


def _node_events(
    place: dict[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Event]:
    events: list[Event] = []
    first = not (before["count"] or before["failed"]) and (after["count"] or after["failed"])
    if (after["executing"] or first) and not before["executing"]:
        events.append(NodeStarted(**place))
    if after["count"] > before["count"]:
        events.append(NodeCompleted(**place, count=after["count"], last_ms=after["last_ms"]))
    if after["failed"] > before["failed"]:
        events.append(NodeErred(**place, failed=after["failed"], error=after["last_error"]))
    return events
