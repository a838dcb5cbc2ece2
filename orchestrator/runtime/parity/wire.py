"""Calls of a queue store as JSON lines, and back: a closed set of types, and nothing that could
make the reader run code."""

import base64
import enum
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

from storage.records import (
    Commit,
    CommitResult,
    Completion,
    Entry,
    Lease,
    Outcome,
    QueueStats,
    Room,
    SlotState,
)

_TYPES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Commit,
        CommitResult,
        Completion,
        Entry,
        Lease,
        Outcome,
        QueueStats,
        Room,
        SlotState,
    )
}
_SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def to_line(message: Any) -> bytes:
    """Return a message as a line.

    Raises:
        TypeError: it holds what no call of a queue store takes or gives.
    """
    return orjson.dumps(_packed(message)) + b"\n"


def from_line(raw: bytes) -> Any:
    """Return the message of a line.

    Raises:
        ValueError, KeyError: it is none.
    """
    return _unpacked(orjson.loads(raw))


def _packed(value: Any) -> Any:
    """Return plain JSON for what JSON has, and `[type, content]` for everything else."""
    kind = type(value).__name__
    if isinstance(value, enum.Enum):
        return [kind, value.value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, list | tuple | set | frozenset):
        return [kind, [_packed(inner) for inner in value]]
    if isinstance(value, Mapping):
        return ["dict", [[_packed(key), _packed(inner)] for key, inner in value.items()]]
    if kind in _TYPES and is_dataclass(value):
        return [kind, {f.name: _packed(getattr(value, f.name)) for f in fields(value)}]
    raise TypeError(f"a {kind} cannot be sent")


def _unpacked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "bytes":
        return base64.b64decode(content)
    if kind == "dict":
        return {_unpacked(key): _unpacked(inner) for key, inner in content}
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](_unpacked(inner) for inner in content)
    if isinstance(content, dict):
        return _TYPES[kind](**{name: _unpacked(inner) for name, inner in content.items()})
    return _TYPES[kind](content)
