"""What a runner tells the world about its loops: the latest state, and what changed since.

Loops never wait for it. States come in a few times a second and are published coalesced.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.exceptions import StoreUnavailable
from storage.base import Feed

PERIOD = 0.25
_TIMEOUT = 1.0


class Publisher:
    """Collects the status of slots and publishes what changed, some times a second."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._latest: dict[tuple[str, str], dict[str, Any]] = {}
        self._published: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._events: list[tuple[str, dict[str, Any]]] = []

    def update(self, workflow: str, slot: str, status: dict[str, Any]) -> None:
        """Take the newest status of a slot (`loop/slot`)."""
        self._latest[workflow, slot] = status
        self._changed.add((workflow, slot))

    def status(self, workflow: str, slot: str) -> dict[str, Any] | None:
        """Return the newest status of a slot."""
        return self._latest.get((workflow, slot))

    def announce(self, workflow: str, event: dict[str, Any]) -> None:
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
            await self.publish()

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
            events.setdefault(workflow, []).extend(orjson.dumps(event) for event in news)
        announced, self._events = self._events, []
        for workflow, event in announced:
            events.setdefault(workflow, []).append(orjson.dumps(event))
        for workflow in {*latest, *events}:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await self._feed.publish(
                        workflow, latest.get(workflow, {}), events.get(workflow, [])
                    )


def changes(
    slot: str, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float
) -> list[dict[str, Any]]:
    """Return the events that lead from one status of a slot to the next."""
    loop, _, number = slot.rpartition("/")
    place = {"loop": loop, "slot": int(number)}
    events: list[dict[str, Any]] = []
    if (before.get("state"), before.get("reason")) != (after["state"], after["reason"]):
        events.append(
            {"type": "loop_state", **place, "state": after["state"], "reason": after["reason"]}
        )
    nodes_before = before.get("nodes", {})
    for node, counters in after["nodes"].items():
        old = nodes_before.get(node, {"count": 0, "failed": 0, "executing": False})
        events += _node_events({**place, "node": node}, old, counters)
    if before.get("nodes") != after["nodes"]:
        done = after["iterations"] - before.get("iterations", 0)
        events.append(
            {
                "type": "node_stats",
                **place,
                "iterations": after["iterations"],
                "failures": after["failures"],
                "in_flight": after["in_flight"],
                "per_second": round(done / seconds, 2) if seconds > 0 else None,
                "nodes": after["nodes"],
            }
        )
    return events


def _node_events(
    place: dict[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[dict[str, Any]]:
    events = []
    first = not (before["count"] or before["failed"]) and (after["count"] or after["failed"])
    if (after["executing"] or first) and not before["executing"]:
        events.append({"type": "node_started", **place})
    if after["count"] > before["count"]:
        events.append(
            {
                "type": "node_completed",
                **place,
                "count": after["count"],
                "last_ms": after["last_ms"],
            }
        )
    if after["failed"] > before["failed"]:
        events.append(
            {
                "type": "node_failed",
                **place,
                "failed": after["failed"],
                "error": after["last_error"],
            }
        )
    return events
