"""The one envelope in which an item travels through a queue."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import InvalidPayload
from storage.codec import MAX_BYTES, decode_own, encode

VERSION = 1


@dataclass(slots=True, kw_only=True)
class Envelope:
    """An item with what is known of its way.

    born: when its producer gave the item it comes from, in seconds since the epoch.
    entry_node: the node that gets the item; None for what is behind the loop's producer.
    start: with what the iteration began before it was entered at a node.
    attempts: those that failed so far, see `retry`. origin: the dead letter that is replayed.
    """

    item: NodeOutput
    born: float
    entry_node: str | None = None
    start: NodeOutput | None = None
    attempts: Sequence[Json] = ()
    origin: int | None = None


def seal(
    item: NodeOutput,
    *,
    activation: int,
    version: int,
    born: float,
    entry_node: str | None = None,
    start: NodeOutput | None = None,
    attempts: Sequence[Json] = (),
    origin: int | None = None,
) -> bytes:
    """Return the envelope of an item as JSON bytes.

    Raises:
        InvalidPayload: the item's data is not strict JSON.
        PayloadTooLarge: it is too large.
    """
    envelope: dict[str, Json] = {
        "v": VERSION,
        "id": item.id,
        "parent_ids": [],
        "activation": activation,
        "workflow_version": version,
        "ts": time.time(),
        "born": born,
        "hdr": item.metadata,
        "body": item.data,
    }
    if entry_node is None and not attempts and origin is None:
        return encode(envelope)
    more = {"entry_node": entry_node, "attempts": list(attempts) or None, "origin": origin}
    envelope |= {name: value for name, value in more.items() if value is not None}
    if start is not None:
        envelope["start"] = {"hdr": start.metadata, "body": start.data}
    # What was small enough to travel may come back, with a second payload and a history.
    return encode(envelope, 4 * MAX_BYTES)


def sent_at(raw: bytes) -> float | None:
    """Return when an envelope was put into its queue, in seconds since the epoch by the clock of
    whoever did; None if it does not say."""
    try:
        found: Any = decode_own(raw)
    except InvalidPayload:
        return None
    at = found.get("ts") if isinstance(found, dict) else None
    return at if isinstance(at, int | float) else None


def unseal(raw: bytes) -> Envelope:
    """Return what an envelope holds.

    Raises:
        InvalidPayload: it is no envelope of this version.
    """
    found: Any = decode_own(raw)
    if not isinstance(found, dict) or found.get("v") != VERSION:
        raise InvalidPayload("not an envelope of version 1")
    item_id, body, headers = found.get("id"), found.get("body"), found.get("hdr")
    born, entry_node = found.get("born"), found.get("entry_node")
    if not (isinstance(item_id, str) and isinstance(body, dict) and isinstance(headers, dict)):
        raise InvalidPayload("an envelope without id, body or hdr")
    if not (isinstance(born, (float, int)) and (entry_node is None or isinstance(entry_node, str))):
        raise InvalidPayload("an envelope without born, or with a wrong entry_node")
    envelope = Envelope(item=NodeOutput(item_id, body, headers), born=born, entry_node=entry_node)
    if entry_node is not None or "attempts" in found or "origin" in found:
        _unseal_rest(envelope, found)
    return envelope


def _unseal_rest(envelope: Envelope, found: dict[str, Any]) -> None:
    start, attempts, origin = found.get("start"), found.get("attempts", []), found.get("origin")
    if start is not None:
        body = start.get("body") if isinstance(start, dict) else None
        headers = start.get("hdr") if isinstance(start, dict) else None
        if not (isinstance(body, dict) and isinstance(headers, dict)):
            raise InvalidPayload("an envelope whose start has no body or hdr")
        envelope.start = NodeOutput(envelope.item.id, body, headers)
    if not (isinstance(attempts, list) and all(isinstance(a, dict) for a in attempts)):
        raise InvalidPayload("an envelope whose attempts are no list of objects")
    if not isinstance(origin, int | None):
        raise InvalidPayload("an envelope whose origin is no number")
    envelope.attempts, envelope.origin = attempts, origin
