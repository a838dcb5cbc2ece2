"""Snapshots of a run as bytes that are whole or refused, and what differs between two states."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload
from storage import codec
from storage.records import MISSING

VERSION = 1
MAX_BYTES = 16 * 1024**2
_HEAD = b'{"sha256":"'
_BODY = b'","snapshot":'
_BEGIN = len(_HEAD) + 64 + len(_BODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is needed to go on with a run: JSON only.

    version: of this shape. digest: of the graph. state: the newest. steps: taken so far.
    pending: what is to run next, `{"node", "data"}` each. joins: by node, what has arrived by
    place; None for a dead edge. completed: how often, by node. results: by node.
    channel: the run's own values. budgets: what is left, by edge. flags: what else the walk knows.
    """

    version: int = VERSION
    digest: str
    state: Mapping[str, Json]
    pending: Sequence[Mapping[str, Json]] = ()
    joins: Mapping[str, Mapping[int, Json]] = field(default_factory=dict)
    completed: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Json] = field(default_factory=dict)
    channel: Mapping[str, Json] = field(default_factory=dict)
    steps: int = 0
    budgets: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, Json] = field(default_factory=dict)


def encode(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON with its SHA-256 in front.

    Raises:
        InvalidPayload: it holds what is not JSON. PayloadTooLarge: more than MAX_BYTES.
    """
    value = {f.name: getattr(snapshot, f.name) for f in fields(snapshot)}
    value["pending"] = list(snapshot.pending)
    value["joins"] = {
        node: {str(place): data for place, data in arrived.items()}
        for node, arrived in snapshot.joins.items()
    }
    raw = codec.encode(value, MAX_BYTES)
    return _sealed(raw)


def decode(body: bytes) -> Snapshot:
    """Return the snapshot.

    Raises:
        InvalidPayload: it is torn, changed, or has another version.
    """
    raw = body[_BEGIN:-1]
    if _sealed(raw) != body:
        raise InvalidPayload("the checkpoint is not whole")
    value = codec.decode_own(raw)
    if value.get("version") != VERSION:
        raise InvalidPayload(f"the checkpoint has version {value.get('version')}, not {VERSION}")
    value["joins"] = {
        node: {int(place): data for place, data in arrived.items()}
        for node, arrived in value["joins"].items()
    }
    return Snapshot(**value)


def _sealed(raw: bytes) -> bytes:
    return b"".join((_HEAD, hashlib.sha256(raw).hexdigest().encode(), _BODY, raw, b"}"))


def changes(before: Json, after: Json) -> list[dict[str, Json]]:
    """Return how two values differ, place by place, in the order of the keys.

    Each is `{"path", "op", ...}` with `op` add (and `after`), remove (and `before`) or change (and
    both). A path is like `orders[2].total`; that of the value itself is empty.
    """
    return list(_changes("", before, after))


def _changes(path: str, before: Any, after: Any) -> Iterator[dict[str, Json]]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key, MISSING), after.get(key, MISSING)
            yield from _at(_key(path, key), old, new)
    elif isinstance(before, list) and isinstance(after, list):
        for index, (old, new) in enumerate(zip_longest(before, after, fillvalue=MISSING)):
            yield from _at(f"{path}[{index}]", old, new)
    elif type(before) is not type(after) or before != after:
        yield {"path": path, "op": "change", "before": before, "after": after}


def _at(path: str, before: Any, after: Any) -> Iterator[dict[str, Json]]:
    if after is MISSING:
        yield {"path": path, "op": "remove", "before": before}
    elif before is MISSING:
        yield {"path": path, "op": "add", "after": after}
    else:
        yield from _changes(path, before, after)


def _key(path: str, key: str) -> str:
    if not key.isidentifier():
        return f"{path}[{codec.encode(key).decode()}]"
    return f"{path}.{key}" if path else key
