"""Values as both sides of a parity run can hold them next to each other."""

import math
import reprlib
from collections.abc import Iterator
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload
from storage.codec import MAX_DEPTH, decode_own, encode

_ANY_SIZE = 64 * 1024 * 1024
_SHOWN = 200


def faithful(value: Any) -> Json:
    """Return a copy of a value as JSON, in which what JSON cannot hold stands as `<type ...>`: a
    tuple must not pass for the list it would be encoded to."""
    try:
        copy = decode_own(encode(value, _ANY_SIZE))
        if copy == value:
            return copy
    except InvalidPayload:
        pass
    return _described(value, 0)


def _described(value: Any, depth: int) -> Json:
    if depth > MAX_DEPTH:
        return "<nested deeper>"
    if type(value) is dict:
        return {_key(key): _described(inner, depth + 1) for key, inner in value.items()}
    if type(value) is list:
        return [_described(inner, depth + 1) for inner in value]
    return value if _is_plain(value) else _named(value)


def _is_plain(value: Any) -> bool:
    if type(value) is str:
        return "\0" not in value and _encodable(value)
    if type(value) is int:
        return abs(value) <= 2**53
    return value is None or type(value) is bool or (type(value) is float and math.isfinite(value))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(key: Any) -> str:
    return key if type(key) is str and _is_plain(key) else _named(key)


def _named(value: Any) -> str:
    try:
        text = reprlib.repr(value)
    except Exception:  # an object may fail to describe itself
        text = "..."
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return f"<{type(value).__name__} {text}>"


def first_difference(bench: Json, production: Json) -> tuple[str, Json, Json] | None:
    """Return the path of the first values that differ, and both; None when there are none.

    Numbers of two types differ, as they do in JSON; the order of an object's keys does not count.
    """
    return next(_differences("", bench, production), None)


def _differences(path: str, bench: Json, production: Json) -> Iterator[tuple[str, Json, Json]]:
    if type(bench) is not type(production):
        yield path, bench, production
    elif isinstance(bench, dict):
        for key in dict.fromkeys([*bench, *production]):
            inner = f"{path}.{key}" if path else str(key)
            if key in bench and key in production:
                yield from _differences(inner, bench[key], production[key])
            else:
                yield inner, bench.get(key, _ABSENT), production.get(key, _ABSENT)
    elif isinstance(bench, list):
        for place, (one, other) in enumerate(zip(bench, production, strict=False)):
            yield from _differences(f"{path}[{place}]", one, other)
        if len(bench) != len(production):
            yield path, bench, production
    elif bench != production:
        yield path, bench, production


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


_ABSENT = _Absent()


def shown(value: Json) -> str:
    """Return a value as short text for a line of the report."""
    text = repr(value) if isinstance(value, _Absent) else _json(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _json(value: Json) -> str:
    return encode(value, _ANY_SIZE).decode()
