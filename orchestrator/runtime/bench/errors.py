"""Errors as they travel from a bench child: told there, raised again here."""

import traceback
from typing import Any

from nodes.contract import NodeOutput
from orchestrator.exceptions import (
    Conflict,
    InvalidPayload,
    NodeFailed,
    NodeTimeout,
    NotReached,
    OrchestratorError,
    PayloadTooLarge,
    TemplateFailed,
    TemplateInvalid,
)
from orchestrator.security.secret_values import scrub

_TEXT_LIMIT = 8_000
_PLAIN = {
    kind.code: kind
    for kind in (Conflict, NotReached, InvalidPayload, PayloadTooLarge, TemplateFailed)
}


def told(error: OrchestratorError) -> dict[str, Any]:
    """Return an error of ours as JSON."""
    if isinstance(error, NodeFailed):
        return {
            "failed": {
                "message": _text(error.message),
                "node_id": error.node_id,
                "error_type": error.error_type,
                "trace": _text(error.trace),
                "node_input": _data(error.node_input),
                "kinds": list(error.kinds),
            },
            "late": isinstance(error, NodeTimeout),
        }
    if isinstance(error, TemplateInvalid):
        return {"template": [_text(error.message), error.line, error.column]}
    return {"error": [error.code, _text(error.message)]}


def unexpected(error: BaseException) -> dict[str, Any]:
    """Return what a node raised where nothing else would have taken it."""
    kind = type(error).__name__
    trace = "".join(traceback.format_exception(error))
    last = trace.rstrip().rpartition("\n")[2]
    return told(NodeFailed(f"the node raised {last}", error_type=kind, trace=trace))


def opened(reply: dict[str, Any], node_id: str) -> dict[str, Any]:
    """Return the answer of a child, or raise what it tells.

    Raises:
        NodeFailed, Conflict, InvalidPayload, PayloadTooLarge, TemplateFailed, TemplateInvalid.
        KeyError, TypeError, ValueError: that was no answer.
    """
    if "failed" in reply:
        raise _failure(reply["failed"], NodeTimeout if reply["late"] else NodeFailed, node_id)
    if "lost" in reply:
        raise NodeFailed(str(reply["lost"]), node_id=node_id, error_type="ProcessEnded")
    if "template" in reply:
        message, place, column = reply["template"]
        raise TemplateInvalid(message, line=place, column=column)
    if "error" in reply:
        code, message = reply["error"]
        raise _PLAIN.get(code, Conflict)(message)
    return dict(reply["answer"])


def _failure(told: dict[str, Any], kind: type[NodeFailed], node_id: str) -> NodeFailed:
    data = told["node_input"]
    return kind(
        told["message"],
        node_id=told["node_id"] or node_id,
        error_type=told["error_type"],
        trace=told["trace"],
        node_input=None if data is None else NodeOutput("bench", data),
        kinds=tuple(told["kinds"]),
    )


def _text(text: str) -> str:
    """Return the end of a text, without the lone surrogates that JSON cannot hold."""
    return scrub(text)[-_TEXT_LIMIT:].encode("utf-8", "backslashreplace").decode()


def _data(item: Any) -> Any:
    return item.data if isinstance(item, NodeOutput) else None
