"""What a runner tells the world about its loops: the latest state, and what changed since.

Loops never wait for it. States come in a few times a second and are published coalesced.
"""

import asyncio
import contextlib
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
from orchestrator.exceptions import StoreUnavailable
from storage.base import Feed

logger = logging.getLogger(__name__)
PERIOD = 0.25
_TIMEOUT = 1.0
_IDLE = {"count": 0, "failed": 0, "executing": False}


class Publisher:
    """Collects the status of slots and publishes what changed, some times a second."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._latest: dict[tuple[str, str], dict[str, Any]] = {}
        self._published: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._events: list[tuple[str, Event]] = []

    def update(self, workflow: str, slot: str, status: dict[str, Any]) -> None:
        """Take the newest status of a slot (`loop/slot`)."""
        self._latest[workflow, slot] = status
        self._changed.add((workflow, slot))

    def status(self, workflow: str, slot: str) -> dict[str, Any] | None:
        """Return the newest status of a slot."""
        return self._latest.get((workflow, slot))

    def announce(self, workflow: str, event: Event) -> None:
        """Send an event of its own, after the changes known so far."""
        self._events.append((workflow, event))

    def forget(self, workflow: str, slot: str) -> None:
        """Begin anew with a slot, whose counters start at zero."""
        self._published.pop((workflow, slot), None)
        self._latest.pop((workflow, slot), None)
        self._changed.discard((workflow, slot))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.publish()
            except Exception:
                logger.exception("the live state could not be published")

    async def publish(self) -> None:
        """Send what is new; what cannot be sent in time is superseded by the next."""
        latest: dict[str, dict[str, bytes]] = {}
        events: dict[str, list[bytes]] = {}
        now = time.monotonic()
        changed, self._changed = self._changed, set()
        for workflow, slot in changed:
            status = self._latest[workflow, slot]
            since, before = self._published.get((workflow, slot), (now, {}))
            self._published[workflow, slot] = (now, status)
            latest.setdefault(workflow, {})[slot] = orjson.dumps(status)
            news = changes(slot, before, status, now - since)
            events.setdefault(workflow, []).extend(orjson.dumps(event.marshal()) for event in news)
        announced, self._events = self._events, []
        for workflow, event in announced:
            events.setdefault(workflow, []).append(orjson.dumps(event.marshal()))
        for workflow in {*latest, *events}:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await self._feed.publish(
                        workflow, latest.get(workflow, {}), events.get(workflow, [])
                    )


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
