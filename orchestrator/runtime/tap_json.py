"""The JSON of a tap's sample: without secrets, and never large."""

import contextlib
from collections.abc import Iterable
from typing import Any

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload
from orchestrator.execution.tap import Sample
from orchestrator.security.redaction import Redaction, redact
from storage.codec import encode, printable

SAMPLE_LIMIT = 16 * 1024
PREVIEW = 2 * 1024
_SIDES = ("input", "output")


def encoded(head: dict[str, Any], sample: Sample) -> bytes:
    """Return a sample as JSON. A node may have handed on anything: what cannot be shown is said."""
    sides = [_data(sample.item), _data(sample.output)]
    try:
        found = redact(sides, SAMPLE_LIMIT)
        if found.whole:
            with contextlib.suppress(InvalidPayload):
                return _with_data(head, found)
        return _with_beginnings(head, sides)
    except Exception as error:  # a thread changes it, or it is no plain dict
        return _without_data(head, f"cannot be shown: {type(error).__name__}", redacted=False)


def _with_data(head: dict[str, Any], sides: Redaction) -> bytes:
    data = dict(zip(_SIDES, sides.value, strict=True))
    told = {"redacted": sides.found, "truncated": False, "text": None}
    return encode({**head, **data, **told}, SAMPLE_LIMIT)


def _with_beginnings(head: dict[str, Any], sides: Iterable[Any]) -> bytes:
    shown = [redact(side, PREVIEW) for side in sides]
    texts = [f"{name}: {_preview(side)}" for name, side in zip(_SIDES, shown, strict=True)]
    return _without_data(head, "\n".join(texts), redacted=any(side.found for side in shown))


def _without_data(head: dict[str, Any], text: str, *, redacted: bool) -> bytes:
    told = {"redacted": redacted, "truncated": True, "text": text}
    return encode({**{k: _short(v) for k, v in head.items()}, **dict.fromkeys(_SIDES), **told})


def _short(value: Any) -> Any:
    return printable(value)[:500] if isinstance(value, str) else value


def _preview(side: Redaction) -> str:
    """Return the beginning of a value's JSON, or why there is none."""
    try:
        return encode(side.value).decode()[: PREVIEW // 2]
    except InvalidPayload as error:
        return error.message[:PREVIEW]


def _data(item: Any) -> Any:
    return item.data if isinstance(item, NodeOutput) else item
