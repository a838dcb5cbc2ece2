"""The one envelope in which an item travels through a queue."""

import time
from typing import Any

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload
from storage.codec import decode, encode

VERSION = 1


def seal(
    item: NodeOutput, *, activation: int, version: int, entry_node: str | None = None
) -> bytes:
    """Return the envelope of an item as JSON bytes.

    Raises:
        InvalidPayload: the item's data is not strict JSON.
        PayloadTooLarge: it is too large.
    """
    return encode(
        {
            "v": VERSION,
            "id": item.id,
            "parent_ids": [],
            "activation": activation,
            "workflow_version": version,
            "entry_node": entry_node,
            "ts": time.time(),
            "hdr": item.metadata,
            "body": item.data,
        }
    )


def unseal(raw: bytes) -> NodeOutput:
    """Return the item of an envelope.

    Raises:
        InvalidPayload: it is no envelope of this version.
    """
    envelope: Any = decode(raw)
    if not isinstance(envelope, dict) or envelope.get("v") != VERSION:
        raise InvalidPayload("not an envelope of version 1")
    item_id, body, headers = envelope.get("id"), envelope.get("body"), envelope.get("hdr")
    if not (isinstance(item_id, str) and isinstance(body, dict) and isinstance(headers, dict)):
        raise InvalidPayload("an envelope without id, body or hdr")
    return NodeOutput(item_id, body, headers)
