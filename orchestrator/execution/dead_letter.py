"""The record of an item that failed for good."""

import time
from typing import Any

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext
from storage.codec import check, encode

_MESSAGE_LIMIT = 2_000
_LIMIT = 1024 * 1024


def dead_letter(context: ExecutionContext, failure: NodeFailed) -> bytes:
    """Return the record as JSON bytes: where, why, the item and the failed node's input."""
    scope = context.scope
    record: dict[str, Any] = {
        "version": scope.version,
        "activation": scope.activation,
        "loop": scope.loop,
        "slot": scope.slot,
        "node_id": failure.node_id or scope.loop,
        "item_id": context.item.id,
        "reason": context.failure_reason,
        "error_type": failure.error_type,
        "message": _text(failure.message)[:_MESSAGE_LIMIT],
        "trace": _text(failure.trace),
        "deliveries": context.deliveries,
        "dead_at": time.time(),
        "item": _data(context.item),
        "node_input": _data(failure.node_input),
    }
    try:
        return encode(record, _LIMIT)
    except InvalidPayload:
        return encode({**record, "item": None, "node_input": None}, _LIMIT)


def _text(text: str) -> str:
    """Return text that strict JSON can hold."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _data(item: NodeOutput | None) -> Any:
    """Return an item's data, or what can be said of data that JSON cannot hold."""
    if item is None:
        return None
    try:
        encode(item.data)
        check(item.data)
    except InvalidPayload as error:
        return {"unencodable": error.message, "text": _text(repr(item.data))[:_MESSAGE_LIMIT]}
    return item.data
