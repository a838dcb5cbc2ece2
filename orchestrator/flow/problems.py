"""Problems: their JSON paths, how they are raised, and where a value is not strict JSON."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.exceptions import (
    InvalidPayload,
    OrchestratorError,
    PayloadTooLarge,
    Problem,
    WorkflowInvalid,
)
from storage import codec

MAX_PROBLEMS = 1000

_MAX_INTEGER = 2**53 - 1
_MAX_MESSAGE = 500
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

Loc = tuple[str | int, ...]


def json_path(loc: Iterable[str | int]) -> str:
    """Return `nodes[2].data.form.url`; a key that is no plain word is quoted: `form["a b"]`."""
    parts: list[str] = []
    for part in loc:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif _PLAIN_KEY.fullmatch(part):
            parts.append(f".{part}" if parts else part)
        else:
            parts.append(f"[{json.dumps(part[:64])}]")
    return "".join(parts)


def problem_of(path: str, error: Exception) -> Problem:
    """Return what went wrong in code that is anybody's: a node's, or a condition's."""
    known = isinstance(error, OrchestratorError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return Problem(path, message[:_MAX_MESSAGE])


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raise when there are problems; what exceeds MAX_PROBLEMS is counted, not listed.

    Raises:
        WorkflowInvalid: with the problems.
    """
    found = tuple(problems)
    if not found:
        return
    listed = found[:MAX_PROBLEMS]
    if len(found) > MAX_PROBLEMS:
        listed += (Problem("", f"{len(found) - MAX_PROBLEMS} more problems are not listed"),)
    first = ": ".join(part for part in found[0] if part)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise WorkflowInvalid(first + more, problems=listed)


def not_strict_json(raw: Any, max_bytes: int) -> list[tuple[Loc, str]]:
    """Return where the value is not strict JSON. Only one that the codec refuses is walked."""
    try:
        codec.encode(raw, max_bytes)
    except PayloadTooLarge as error:
        return [((), error.message)]
    except InvalidPayload as error:
        return list(_flaws(raw)) or [((), error.message)]
    return []


def _flaws(raw: Any) -> Iterator[tuple[Loc, str]]:
    stack: list[tuple[Any, Loc]] = [(raw, ())]
    while stack:
        value, loc = stack.pop()
        flaw = _flaw(value)
        if flaw:
            yield loc, flaw
        elif len(loc) == codec.MAX_DEPTH and isinstance(value, dict | list | tuple) and value:
            yield loc, f"nested more than {codec.MAX_DEPTH} levels deep"
        elif isinstance(value, dict):
            yield from (((*loc, str(key)), flaw) for key in value if (flaw := _key_flaw(key)))
            stack += [(inner, (*loc, str(key))) for key, inner in reversed(value.items())]
        elif isinstance(value, list | tuple):
            stack += [(inner, (*loc, i)) for i, inner in reversed([*enumerate(value)])]


def _key_flaw(key: Any) -> str:
    return _flaw(key) if type(key) is str else "a key is not text"


def _flaw(value: Any) -> str:
    """Return why this value, apart from what is inside it, is not strict JSON."""
    kind = type(value)
    if kind is str:
        if "\0" in value:
            return "text contains NUL"
        return "" if _is_unicode(value) else "text contains a lone surrogate"
    if kind is float:
        return "" if math.isfinite(value) else "a number is not finite"
    if kind is int:
        return "" if abs(value) <= _MAX_INTEGER else "an integer is beyond 2**53"
    return "" if value is None or kind in (bool, dict, list, tuple) else f"no JSON: {kind.__name__}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
