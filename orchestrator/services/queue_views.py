"""What is shown of queues and their entries, as JSON."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.exceptions import InvalidPayload
from orchestrator.execution.envelope import unseal
from orchestrator.flow.queues import PlannedQueue
from orchestrator.runtime.queue_watch import QUEUES
from storage.codec import decode
from storage.records import Entry, QueueStats

logger = logging.getLogger(__name__)
RATES_LAST = 10.0
"""Seconds after which a rate that nobody has sampled again is not told any more."""
MAX_SHOWN = 1024 * 1024
"""Bytes of entries shown in one answer; the first is shown whatever its size."""
MAX_TEXT = 2048
_NO_RATES: Mapping[str, Any] = {"in_per_second": None, "out_per_second": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the store knows of a workflow's queues. delayed: by loop. latest: of the feed."""

    stats: Mapping[str, QueueStats]
    delayed: Mapping[str, int]
    latest: Mapping[str, bytes]


def kind(plan: PlannedQueue) -> str:
    return "queue" if plan.inbox_of is None else "inbox"


def row(workflow: str, plan: PlannedQueue, held: Contents) -> dict[str, Any]:
    """Return a queue as the API shows it."""
    stats = held.stats[plan.name]
    rates = _sampled(held.latest.get(QUEUES)).get(plan.name, _NO_RATES)
    policies = sorted({writer.overflow for writer in plan.writers})
    return {
        "workflow_id": workflow,
        "name": plan.name,
        "kind": kind(plan),
        "writers": [asdict(writer) for writer in plan.writers],
        "readers": list(plan.readers),
        "depth": stats.length,
        "bytes": stats.bytes,
        "oldest_age": age(stats.oldest_at),
        **{name: rates.get(name) for name in _NO_RATES},
        "dropped": stats.dropped,
        "in_hand": {str(slot): count for slot, count in sorted(stats.in_hand.items())},
        "delayed": None if plan.inbox_of is None else held.delayed[plan.inbox_of],
        "max_length": plan.max_length,
        "max_bytes": plan.max_bytes,
        "overflow": "mixed" if len(policies) > 1 else next(iter(policies), None),
        "fill": fill(plan, stats),
    }


def items(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return entries as the API shows them. Those beyond MAX_SHOWN come without their content."""
    shown, found = 0, []
    for entry in entries:
        size = len(entry.body)
        omitted = shown > 0 and shown + size > MAX_SHOWN
        shown += 0 if omitted else size
        head = {"id": entry.id, "deliveries": entry.deliveries, "size": size, "omitted": omitted}
        found.append({**head, **_NOTHING, **({} if omitted else _content(entry.body))})
    return found


_NOTHING: Mapping[str, Any] = dict.fromkeys(
    (
        *("item_id", "age", "born_age", "activation", "version", "entry_node", "attempts"),
        *("origin", "start", "headers", "data", "unreadable", "text"),
    )
)


def _content(body: bytes) -> dict[str, Any]:
    """Return what an envelope holds; of something else why it is none, and the text of it."""
    try:
        envelope, raw = unseal(body), decode(body)
    except InvalidPayload as error:
        text = body[:MAX_TEXT].decode("utf-8", "replace")
        return {"unreadable": error.message, "text": text}
    return {
        "item_id": envelope.item.id,
        "age": age(raw.get("ts")),
        "born_age": age(envelope.born),
        "activation": raw.get("activation"),
        "version": raw.get("workflow_version"),
        "entry_node": envelope.entry_node,
        "attempts": list(envelope.attempts),
        "origin": envelope.origin,
        "start": envelope.start.data if envelope.start else None,
        "headers": envelope.item.metadata,
        "data": envelope.item.data,
    }


def age(at: Any) -> float | None:
    """Return for how many seconds something has been there."""
    if not isinstance(at, int | float):
        return None
    return round(max(0.0, time.time() - at), 3)


def fill(plan: PlannedQueue, stats: QueueStats) -> float | None:
    """Return the greater share of the limits that is used; None without a limit."""
    used = ((stats.length, plan.max_length), (stats.bytes, plan.max_bytes))
    return max((round(held / limit, 4) for held, limit in used if limit), default=None)


def _sampled(body: bytes | None) -> Mapping[str, Mapping[str, Any]]:
    """Return what runners have sampled of each queue a moment ago."""
    if body is None:
        return {}
    try:
        sample = decode(body)
        fresh = time.time() - sample["at"] < RATES_LAST
        return dict(sample["queues"]) if fresh else {}
    except (InvalidPayload, KeyError, TypeError, ValueError):
        logger.warning("the feed holds a sample of queues that cannot be read")
        return {}
