"""The record of an item that failed for good."""

import reprlib
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
        "node_id": _text(failure.node_id or scope.loop),
        "item_id": _text(context.item.id),
        "reason": context.failure_reason,
        "error_type": _text(failure.error_type),
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


def _text(value: Any) -> str:
    """Return text that strict JSON can hold."""
    return str(value).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _data(item: Any) -> Any:
    """Return an item's data, or what can be said of what JSON cannot hold.

    A node may have handed on anything: nothing that it is may keep the record from being made.
    """
    if item is None:
        return None
    value = item.data if isinstance(item, NodeOutput) else item
    try:
        encode(value)
        check(value)
    except InvalidPayload as error:
        return {"unencodable": error.message, "text": _text(_Short().repr(value))[:_MESSAGE_LIMIT]}
    return value


class _Short(reprlib.Repr):
    """Bounded in length and depth, and silent about objects that fail to describe themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = 20
        self.maxstring = self.maxother = 500
