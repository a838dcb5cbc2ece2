"""A dead letter's record as a row. Whatever a record lacks or holds, a row comes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload
from orchestrator.models import DeadLetter
from orchestrator.runtime.dead_groups import fingerprint
from storage.codec import decode, printable
from storage.records import Entry

UNREADABLE = "invalid_payload"
_MAX_INT = 2**31 - 1
_MAX_BIGINT = 2**63 - 1
_RAW_LIMIT = 16_000


@dataclass(frozen=True, slots=True)
class Record:
    """The JSON object of an outbox entry, read without ever failing."""

    values: Mapping[str, Json]

    def text(self, name: str, limit: int | None = None) -> str:
        value = self.values.get(name)
        return "" if value is None else str(value)[:limit]

    def number(self, name: str, default: int = 0, largest: int = _MAX_INT) -> int:
        value = self.values.get(name)
        if type(value) is not int or not 0 <= value <= largest:
            return default
        return value

    def moment(self, name: str) -> datetime | None:
        """Return what seconds since the epoch stand for."""
        value = self.values.get(name)
        if type(value) not in (int, float) or value <= 0:
            return None
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, ValueError, OSError):
            return None

    def object(self, name: str) -> dict[str, Json]:
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    def objects(self, name: str) -> list[dict[str, Json]]:
        value = self.values.get(name)
        rows = value if isinstance(value, list) else []
        return [row for row in rows if isinstance(row, dict)]

    @property
    def version(self) -> int:
        return self.number("version")

    @property
    def origin(self) -> int:
        """The dead letter that was replayed, or 0."""
        return self.number("origin", largest=_MAX_BIGINT)


def read(entry: Entry) -> Record:
    """Return the record of an entry; of one that cannot be read, a record that says so."""
    try:
        value = decode(entry.body)
    except InvalidPayload as error:
        return _unreadable(entry, f"the record cannot be read: {error.message}")
    return Record(value) if isinstance(value, dict) else _unreadable(entry, "it is no object")


def row(
    workflow: str,
    entry: Entry,
    record: Record,
    *,
    types: Mapping[str, str],
    origins: Collection[int],
) -> DeadLetter:
    """Return the row of a record.

    Args:
        types: node types by node id, in the version that the record names.
        origins: the dead letters of this workflow among those that records name as origin.
    """
    node_id = record.text("node_id", 200)
    reason = record.text("reason", 32) or UNREADABLE
    error_type = record.text("error_type", 200)
    message = record.text("message")
    return DeadLetter(
        workflow_id=workflow,
        entry_id=entry.id,
        version=record.version,
        activation=record.number("activation", largest=_MAX_BIGINT),
        loop=record.text("loop", 200),
        slot=record.number("slot"),
        token=record.number("token", largest=_MAX_BIGINT),
        queue=record.text("queue", 200),
        node_id=node_id,
        node_type=types.get(node_id, "")[:100],
        item_id=record.text("item_id", 500),
        idempotency_key=record.text("idempotency_key", 64),
        reason=reason,
        error_type=error_type,
        message=message,
        trace=record.text("trace"),
        item=record.values.get("item"),
        headers=record.object("headers"),
        node_input=record.values.get("node_input"),
        node_headers=record.object("node_headers"),
        entry_node=record.text("entry_node", 200),
        attempts=record.objects("attempts"),
        deliveries=record.number("deliveries", 1),
        born_at=record.moment("born"),
        dead_at=record.moment("dead_at") or timezone.now(),
        origin_id=record.origin if record.origin in origins else None,
        fingerprint=fingerprint(workflow, node_id, reason, error_type, message),
    )


def bare(workflow: str, entry: Entry, refusal: Exception | None) -> DeadLetter:
    """Return a row for a record that the database refuses, with as much as is sure to fit."""
    why = type(refusal).__name__ if refusal is not None else "a constraint"
    found = _unreadable(entry, f"the record cannot be kept: {why}")
    return row(workflow, entry, found, types={}, origins=())


def _unreadable(entry: Entry, why: str) -> Record:
    raw = printable(entry.body[:_RAW_LIMIT])
    return Record({"reason": UNREADABLE, "message": why, "item": {"raw": raw}})
