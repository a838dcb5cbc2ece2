"""The record of an item that failed for good."""

import reprlib
import time
from typing import Any

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext, Output, idempotency_key
from orchestrator.security.secret_values import scrub
from storage.codec import check, encode, printable

QUEUE_FULL = "queue_full"
_MESSAGE_LIMIT = 2_000
_LIMIT = 4 * 1024 * 1024


def dead_letter(context: ExecutionContext, failure: NodeFailed) -> bytes:
    """Return the record as JSON bytes: where, why, the item and the failed node's input."""
    record = {
        **_place(context, failure.node_id or context.scope.loop),
        "reason": context.failure_reason,
        "error_type": printable(failure.error_type),
        "message": printable(failure.message)[:_MESSAGE_LIMIT],
        "trace": printable(failure.trace),
        **_payload("node_input", "node_headers", failure.node_input),
    }
    return _encoded(record)


def overflow_letter(context: ExecutionContext, output: Output, limit: str) -> bytes:
    """Return the record of an item for which its queue has no room."""
    record = {
        **_place(context, output.node_id),
        "queue": output.queue,
        "reason": QUEUE_FULL,
        "error_type": "QueueFull",
        "message": f"the queue {output.queue} is full: {limit}",
        "trace": "",
        **_payload("node_input", "node_headers", output.item),
    }
    return _encoded(record)


def _place(context: ExecutionContext, node_id: str) -> dict[str, Any]:
    """Return what is known of an iteration, and of a node in it."""
    scope = context.scope
    now = time.time()
    item_id = printable(context.item.id)
    return {
        "version": scope.version,
        "activation": scope.activation,
        "loop": scope.loop,
        "slot": scope.slot,
        "token": scope.token,
        "queue": context.entry.queue if context.entry is not None else "",
        "node_id": printable(node_id),
        "item_id": item_id,
        "idempotency_key": idempotency_key(scope.workflow, printable(node_id), item_id),
        "deliveries": context.deliveries,
        "attempts": list(context.attempts),
        "born": context.born or now,
        "dead_at": now,
        "entry_node": context.entry_node or "",
        "origin": context.origin,
        **_payload("item", "headers", context.begun_with),
    }


def _encoded(record: dict[str, Any]) -> bytes:
    try:
        return encode(record, _LIMIT)
    except InvalidPayload:
        record |= {"item": None, "headers": {}, "node_input": None, "node_headers": {}}
        return encode(record, _LIMIT)


def _payload(data_name: str, headers_name: str, item: Any) -> dict[str, Any]:
    headers = _data(item.metadata) if isinstance(item, NodeOutput) else {}
    return {data_name: _data(item), headers_name: headers if isinstance(headers, dict) else {}}


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
        return {
            "unencodable": error.message,
            "text": printable(_Short().repr(value))[:_MESSAGE_LIMIT],
        }
    return value


class _Short(reprlib.Repr):
    """Bounded in length and depth, and silent about objects that fail to describe themselves."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(scrub(x), level)

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = 20
        self.maxstring = self.maxother = 500
