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
from orchestrator.security.secret_values import found_in, scrub_value

MAX_DEPTH = 64
MAX_BYTES = 256 * 1024

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_STRICT_INTEGER
)


def encode(value: Any, limit: int = MAX_BYTES) -> bytes:
    """Return the value as strict JSON, without the secrets that this process has in the clear.

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
    if _may_be_refused(body):
        check(value)
    elif b"null" in body and orjson.loads(body) != value:
        check(value)  # a number that is not finite becomes null, and so does not come back
    if found_in(body):
        return orjson.dumps(scrub_value(orjson.loads(body)), option=_OPTIONS)
    return body


def decode(body: bytes | str) -> Any:
    """Return the value of JSON bytes.

    Raises:
        InvalidPayload: they are not JSON, contain NUL, or are nested too deeply.
    """
    value = decode_own(body)
    if _may_be_refused(body.encode() if isinstance(body, str) else body):
        check(value)
    return value


def decode_own(body: bytes | str) -> Any:
    """Return the value of JSON bytes that `encode` has made: what it refuses is not looked for.

    Raises:
        InvalidPayload: they are not JSON after all.
    """
    try:
        return orjson.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"not JSON: {error}") from None


def printable(value: Any) -> str:
    """Return a value as text, bytes as what they spell, with what JSON cannot hold escaped."""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\0")


def _may_be_refused(body: bytes) -> bool:
    """Tell whether there may be a NUL, or too many levels. Looking for one character is fast."""
    if b"\\" in body and b"\\u0000" in body:
        return True
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH


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
