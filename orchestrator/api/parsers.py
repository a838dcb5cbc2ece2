"""The one way in for JSON from clients. What passes can be stored, queued and sent back."""

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from orchestrator.exceptions import InvalidPayload, PayloadTooLarge, Problem
from orchestrator.flow.problems import MAX_PROBLEMS, json_path, not_strict_json
from storage.codec import MAX_DEPTH, encode

MAX_BODY = 2 * 1024 * 1024
MAX_CONTAINERS = 50_000
"""Objects and lists in a body: each takes far more memory than its two characters."""
# An unterminated string runs to the end, so that the scan stays linear whatever comes.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SAME_BRACKETS = bytes.maketrans(b"{}", b"[]")


def parse_json(body: bytes) -> Any:
    """Return the value of a request body.

    Raises:
        PayloadTooLarge: it has more than MAX_BODY bytes.
        InvalidPayload: it is not strict JSON, nested more than MAX_DEPTH levels deep, or has more
            than MAX_CONTAINERS objects and lists.
    """
    if len(body) > MAX_BODY:
        raise PayloadTooLarge(f"the body has more than {MAX_BODY} bytes")
    _check_brackets(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"not JSON: {error}") from None
    _check_values(value)
    return value


def _check_values(value: Any) -> None:
    """Let the encoder refuse the rest (lone surrogates, NUL, integers beyond 2**53), and say
    where it is."""
    limit = 4 * MAX_BODY
    try:
        encode(value, limit)
    except PayloadTooLarge:
        raise
    except InvalidPayload as error:
        flaws = not_strict_json(value, limit)[:MAX_PROBLEMS]
        problems = tuple(Problem(json_path(loc), message) for loc, message in flaws)
        raise InvalidPayload(error.message, problems=problems) from None


def _check_brackets(body: bytes) -> None:
    """Peel off one level of brackets per pass, all of it in C."""
    brackets = _STRING.sub(b"", body).translate(_SAME_BRACKETS, _NOT_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise InvalidPayload(f"more than {MAX_CONTAINERS} objects and lists")
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise InvalidPayload(f"brackets do not match, or nest more than {MAX_DEPTH} levels deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:100]!r} is there twice")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


class StrictJSONParser(BaseParser):
    """`parse_json` for REST framework."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse_json(stream.read(MAX_BODY + 1))
