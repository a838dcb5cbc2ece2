"""How full queues are and how fast items pass, sampled by whoever runs their workflow.

A sample goes to the feed: as the latest of the workflow under QUEUES, and as an event when it
differs from the one before. Several runners of a workflow each sample it; whoever was last is
read, and either is right.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.events import QueueStats as QueuesSampled
from orchestrator.exceptions import StoreUnavailable
from storage.base import Feed, QueueStore
from storage.records import QueueStats

QUEUES = "!queues"
"""The key among a workflow's latest; slots have names with a slash."""
PERIOD = 2.0


@dataclass(slots=True, kw_only=True)
class _Seen:
    """The sample before: when it was taken, and what was told of it."""

    at: float
    stats: Mapping[str, QueueStats]
    told: dict[str, Any] = field(default_factory=dict)


class QueueWatch:
    """Samples the queues of workflows; it keeps one sample of each."""

    def __init__(self, queues: QueueStore, feed: Feed) -> None:
        self._queues = queues
        self._feed = feed
        self._seen: dict[str, _Seen] = {}

    async def sample(self, names: Mapping[str, Sequence[str]]) -> None:
        """Sample these queues (names by workflow) and publish. Without Redis nothing happens."""
        for workflow in self._seen.keys() - names.keys():
            del self._seen[workflow]
        with contextlib.suppress(StoreUnavailable):
            for workflow, queues in names.items():
                await self._sample(workflow, list(dict.fromkeys(queues)))

    async def _sample(self, workflow: str, names: Sequence[str]) -> None:
        stats = await self._queues.stats(workflow, names)
        now = time.monotonic()
        before = self._seen.get(workflow)
        known, since = (before.stats, now - before.at) if before else ({}, 0.0)
        told = {name: _told(found, known.get(name), since) for name, found in stats.items()}
        self._seen[workflow] = _Seen(at=now, stats=stats, told=told)
        news = not before or told != before.told
        await self._feed.publish(
            workflow,
            {QUEUES: orjson.dumps({"at": time.time(), "queues": told})},
            [orjson.dumps(QueuesSampled(queues=told).marshal())] if news else [],
        )


def _told(now: QueueStats, before: QueueStats | None, seconds: float) -> dict[str, Any]:
    rates = _rates(now, before, seconds) if before and seconds > 0 else (None, None)
    return {
        "depth": now.length,
        "bytes": now.bytes,
        "dropped": now.dropped,
        "in_per_second": rates[0],
        "out_per_second": rates[1],
    }


def _rates(
    now: QueueStats, before: QueueStats, seconds: float
) -> tuple[float | None, float | None]:
    """Return what came in and what went out by itself per second, if the store still knows."""
    added, dropped = now.added - before.added, now.dropped - before.dropped
    gone = added - (now.length - before.length) - dropped
    if added < 0 or dropped < 0 or gone < 0:  # the store has lost its counts
        return None, None
    return round(added / seconds, 2), round(gone / seconds, 2)
