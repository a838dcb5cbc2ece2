"""Strict JSON: the one way values become bytes.

Refused: NaN and infinities, integers beyond 2**53, lone surrogates, NUL, keys that are not text,
anything that is not a JSON type, more than MAX_DEPTH levels, more than the size allowed.

The common value costs one `orjson.dumps` and three scans of the bytes; only a value that might be
refused is walked in Python.
"""

import math
from typing import Any

import orjson

from orchestrator.exceptions import InvalidPayload, PayloadTooLarge

MAX_DEPTH = 64
MAX_BYTES = 256 * 1024

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_STRICT_INTEGER
)


def encode(value: Any, limit: int = MAX_BYTES) -> bytes:
    """Return the value as strict JSON.

    Raises:
        InvalidPayload: it is not strict JSON.
        PayloadTooLarge: it has more than `limit` bytes.
    """
    try:
        body = orjson.dumps(value, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"not JSON: {error}") from None
    if len(body) > limit:
        raise PayloadTooLarge(f"{len(body)} bytes, {limit} are allowed")
    if b"null" in body or b"\\u0000" in body or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        check(value)
    return body


def decode(body: bytes | str) -> Any:
    """Return the value of JSON bytes.

    Raises:
        InvalidPayload: they are not JSON, contain NUL, or are nested too deeply.
    """
    try:
        value = orjson.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"not JSON: {error}") from None
    raw = body.encode() if isinstance(body, str) else body
    if b"\\u0000" in raw or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        check(value)
    return value


def check(value: Any) -> None:
    """Walk a value and raise for what the encoder lets through.

    Raises:
        InvalidPayload: naming what was found.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise InvalidPayload(f"nested more than {MAX_DEPTH} levels deep")


def _children(value: Any) -> list[Any]:
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidPayload("text contains NUL")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidPayload("a number is not finite")
    elif isinstance(value, dict):
        return [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        return list(value)
    elif value is not None and not isinstance(value, bool | int):
        raise InvalidPayload(f"not JSON: {type(value).__name__}")
    return []
