"""Redaction: taking secrets out of what people are shown.

A value is a secret by the name of its key, wherever in the data that is. What stands in a text,
such as a URL, is not looked into, but for the secrets that `secret_values` knows.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.security.secret_values import REDACTED, scrub

_SECRETS = re.compile(
    "accesskey|apikey|authorization|cookie|credential|passphrase|passwd|password|privatekey|pwd"
    "|secret|sessionid|signingkey|token"
)
_SEPARATORS = re.compile(r"[\W_]+")
_LONGEST_KEPT = 200
_AROUND_VALUE = 4
"""Characters that a value has around it in JSON, more or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A copy without secrets. found: there was one. whole: there was room for everything."""

    value: Any
    found: bool
    whole: bool


def is_secret(key: object) -> bool:
    """Tell whether what is kept under a key is a secret, however the key is written."""
    if not isinstance(key, str):
        return False
    return _known(key) if len(key) <= _LONGEST_KEPT else _names_secret(key)


def _names_secret(key: str) -> bool:
    return _SECRETS.search(_SEPARATORS.sub("", key.lower())) is not None


_known = lru_cache(maxsize=10_000)(_names_secret)


def redact(value: Any, room: float = math.inf) -> Redaction:
    """Return a copy of a JSON value in which every secret is replaced by REDACTED.

    It is linear in what is copied, however deep that is. What is no JSON is handed over as it is.

    Args:
        room: about how many characters of JSON to copy. What is longer, or contains itself, is cut.
    """
    top: list[Any] = []
    ahead: list[tuple[Any, Iterator[Any]]] = [(top, iter(((None, value),)))]
    found = False
    while ahead and room > 0:
        copy, rest = ahead[-1]
        for key, inner in rest:
            if is_secret(key):
                found, inner = True, REDACTED
            elif isinstance(inner, str):
                clean = scrub(inner)
                found, inner = found or clean is not inner, clean
            shown, inside = _opened(inner, room)
            room -= _AROUND_VALUE + _length(key) + _length(inner)
            _put(copy, key, shown)
            if inside is not None:
                ahead.append((shown, inside))
            if inside is not None or room <= 0:
                break
        else:
            ahead.pop()
    return Redaction(value=top[0] if top else None, found=found, whole=not ahead)


def _opened(value: Any, room: float) -> tuple[Any, Iterator[Any] | None]:
    """Return what stands for a value in the copy, and what has to be put into that."""
    if isinstance(value, dict):
        return {}, iter(value.items())
    if isinstance(value, list | tuple):
        return [], iter(enumerate(value))
    if isinstance(value, str) and len(value) > room:
        return value[: int(room)], None
    return value, None


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


def _put(copy: Any, key: Any, value: Any) -> None:
    if isinstance(copy, dict):
        copy[key] = value
    else:
        copy.append(value)
