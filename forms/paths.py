"""The paths that an input offers to a template, for completion."""

import json
from collections import deque
from typing import Any, TypedDict

MAX_ELEMENTS = 3
"""How many elements of a list are offered: the others are most often alike."""
MAX_KEY = 200
MAX_SAMPLE = 60

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
)


class Path(TypedDict):
    """One path: how a template writes it, the type of its value, and a short sample of it."""

    path: str
    type: str
    sample: str


def paths(data: Any, limit: int = 500, root: str = "data") -> list[Path]:
    """Return the paths of what is inside a value, breadth first.

    A key that is no name is written `data["a b"]`; of a list the first elements are offered.
    """
    found: list[Path] = []
    waiting = deque([(root, data)])
    while waiting and len(found) < limit:
        prefix, value = waiting.popleft()
        for step, inner in _steps(value):
            if len(found) == limit:
                break
            path = prefix + step
            found.append(Path(path=path, type=type_of(inner), sample=_sample(inner)))
            if isinstance(inner, dict | list):
                waiting.append((path, inner))
    return found


def path_of(part: Any, data: Any, limit: int = 10_000) -> str | None:
    """Return the path of a list or an object inside `data`, which must be the very same object."""
    waiting = deque([("data", data)])
    for _ in range(limit):
        if not waiting:
            break
        path, value = waiting.popleft()
        if value is part:
            return path
        inside = ((path + step, inner) for step, inner in _steps(value, limit))
        waiting.extend(pair for pair in inside if isinstance(pair[1], dict | list))
    return None


def type_of(value: Any) -> str:
    """Return the name of a value's type, as a user knows it."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


def _steps(value: Any, elements: int = MAX_ELEMENTS) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(f"[{index}]", inner) for index, inner in enumerate(value[:elements])]
    if not isinstance(value, dict):
        return []
    return [(_step(key), inner) for key, inner in value.items() if _can_be_written(key)]


def _can_be_written(key: Any) -> bool:
    return isinstance(key, str) and len(key) <= MAX_KEY and not key.startswith("__")


def _step(key: str) -> str:
    if key.isascii() and key.isidentifier():
        return f".{key}"
    return f"[{json.dumps(key, ensure_ascii=False)}]"


def _sample(value: Any) -> str:
    if isinstance(value, dict):
        return f"{len(value)} fields"
    if isinstance(value, list):
        return f"{len(value)} elements"
    text = value[: MAX_SAMPLE + 1] if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MAX_SAMPLE else f"{text[: MAX_SAMPLE - 1]}…"
