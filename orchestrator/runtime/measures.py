"""What the loops of a runner have counted, published for whoever asks a web process for metrics.

One value in the cache for each runner: it is written every few seconds and ends by itself with the
runner that wrote it. A slot that has ended is told of for some minutes more, so that what a short
life has counted is seen.
"""

import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from orchestrator.execution.durations import BUCKETS
from orchestrator.execution.measures import folded
from orchestrator.runtime.leases import Slot
from storage.base import CacheStore
from storage.records import Missing

logger = logging.getLogger(__name__)
PERIOD = 5.0
_TTL = 60.0
_KEPT = 300.0
"""Seconds for which a slot is told of that the runner does not hold any more."""
_MAX_NODES = 2_000
"""Nodes that a runner tells apart, over all of its slots."""
_FIELDS = frozenset(
    {
        *("workflow", "loop", "slot", "token", "iterations", "failures", "retries", "in_flight"),
        *("commits", "hops", "nodes"),
    }
)


@dataclass(slots=True)
class _Row:
    told: dict[str, Any]
    held_at: float


class Measures:
    """Collects what hosts report of the slots of a runner."""

    def __init__(self, runner_id: str, cache: CacheStore) -> None:
        self._key = _key(runner_id)
        self._cache = cache
        self._rows: dict[str, _Row] = {}

    def take(self, slot: Slot, token: int, counted: dict[str, Any]) -> None:
        """Take the newest counts of a slot; those of one life never fall, but may overtake."""
        before = self._rows.get(slot.key)
        if before is not None and before.told["token"] == token:
            if before.told["iterations"] > counted["iterations"]:
                return
        place = {"workflow": slot.workflow, "loop": slot.loop, "slot": slot.slot, "token": token}
        self._rows[slot.key] = _Row({**place, **counted}, time.monotonic())

    async def publish(self, held: Collection[str]) -> None:
        """Write what is known.

        Args:
            held: keys of the slots that the runner holds at this moment.

        Raises:
            StoreUnavailable: the server is away.
        """
        now = time.monotonic()
        for key, row in list(self._rows.items()):
            if key in held:
                row.held_at = now
            elif now - row.held_at > _KEPT:
                del self._rows[key]
        await self._cache.set(self._key, orjson.dumps(self._told()), _TTL)

    def _told(self) -> list[dict[str, Any]]:
        told, left = [], _MAX_NODES
        for row in self._rows.values():
            nodes = folded(row.told["nodes"], max(0, left))
            left -= len(nodes)
            told.append({**row.told, "nodes": nodes})
        return told


async def read(cache: CacheStore, runner_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return what runners have published: of each slot the counts of its newest owner.

    Raises:
        StoreUnavailable: the server is away.
    """
    newest: dict[tuple[str, str, int], dict[str, Any]] = {}
    for body in await cache.get_many([_key(runner_id) for runner_id in runner_ids]):
        for row in [] if isinstance(body, Missing) else _rows(body):
            place = row["workflow"], row["loop"], row["slot"]
            if place not in newest or newest[place]["token"] < row["token"]:
                newest[place] = row
    return list(newest.values())


def _rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows in a value of the store; a runner of another release may write others."""
    try:
        found = orjson.loads(body)
    except ValueError:
        logger.warning("what a runner has published of its counts cannot be read")
        found = []
    return [row for row in found if _is_ours(row)] if isinstance(found, list) else []


def _is_ours(row: Any) -> bool:
    if not isinstance(row, dict) or not row.keys() >= _FIELDS or not isinstance(row["nodes"], dict):
        return False
    lists = [(row["commits"], 1), (row["hops"], 1), *((told, 3) for told in row["nodes"].values())]
    return all(isinstance(told, list) and len(told) == BUCKETS + more for told, more in lists)


def _key(runner_id: str) -> str:
    return f"measures:{runner_id}"
