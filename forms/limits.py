"""How much a template may produce. Everything it computes passes one of these checks."""

import math
from typing import Any

from orchestrator.exceptions import TemplateFailed

MAX_OUTPUT = 1024 * 1024
"""Characters that one template may yield."""
MAX_ITEMS = 250_000
"""Elements of a list made by adding lists."""
MAX_INTEGER = 2**53
_PART = 4
"""What a part of a value weighs beside its characters; walking many takes time as well."""


def weigh(value: Any) -> None:
    """Walk a value that is about to be written out, and stop as soon as it is too large.

    Several references to one large value each count, because each would be written.

    Raises:
        TemplateFailed: it is too large, or not JSON.
    """
    left = MAX_OUTPUT
    stack = [value]
    while stack:
        current = stack.pop()
        left -= _weight(current)
        if left < 0:
            raise too_large()
        if isinstance(current, dict):
            stack.extend(current.keys())
            stack.extend(current.values())
        elif isinstance(current, list | tuple):
            stack.extend(current)


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + _PART
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TemplateFailed("the keys of an object must be text")
        return _PART
    if isinstance(value, list | tuple):
        return _PART
    number(value)
    return _PART


def number(value: Any) -> Any:
    """Return a scalar that JSON can hold.

    Raises:
        TemplateFailed: it is too large, not finite, or of another type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise TemplateFailed("the number is too large")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TemplateFailed("the number is not finite")
        return value
    raise TemplateFailed(f"a {type(value).__name__} is not a JSON value")


def bounded(value: Any) -> Any:
    """Return what a filter or method made.

    Raises:
        TemplateFailed: it is a text or a list beyond what is allowed.
    """
    if isinstance(value, str):
        if len(value) > MAX_OUTPUT:
            raise too_large()
    elif isinstance(value, list) and len(value) > MAX_ITEMS:
        raise too_large()
    return value


def text(value: Any) -> str:
    """Return the value as text, as a template writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list | tuple):
        weigh(value)
    return str(value)


def too_large() -> TemplateFailed:
    return TemplateFailed(f"the template makes more than {MAX_OUTPUT} characters")
