"""The operators of if-condition.

A setting is text, so both sides are compared as what the item's value is: a number as a number, a
truth value as `true` or `false`, anything else as text. What is missing is equal to nothing but
the empty text, and neither greater nor less.
"""

import math
import re
from collections.abc import Callable

from nodes.builtin.items import MAX_SCANNED
from nodes.contract import Json
from orchestrator.exceptions import NodeFailed
from storage.codec import encode

Test = Callable[[Json], bool]

OPERATORS = {
    "equals": "equals",
    "not_equals": "does not equal",
    "greater": "is greater than",
    "greater_or_equal": "is at least",
    "less": "is less than",
    "less_or_equal": "is at most",
    "contains": "contains",
    "not_contains": "does not contain",
    "matches": "matches the pattern",
    "is_empty": "is empty",
    "is_not_empty": "is not empty",
}
"""Operators and how people read them."""


def make_test(operator: str, right: Json) -> Test:
    """Return the test of an item's value against the right side.

    Raises:
        NodeFailed: the pattern of `matches` is not a regular expression.
    """
    if operator.startswith("not_"):
        test = make_test(operator.removeprefix("not_"), right)
        return lambda left: not test(left)
    return _TESTS[operator](right)


def as_text(value: Json) -> str:
    """Return a JSON value as people write it: `true`, `12`, the text itself, JSON for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else encode(value).decode()


def as_number(value: Json) -> int | float | None:
    """Return a number, also one that is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return number if math.isfinite(number) else None


def _equals(right: Json) -> Test:
    text, number = as_text(right), as_number(right)

    def test(left: Json) -> bool:
        if number is not None and isinstance(left, int | float) and not isinstance(left, bool):
            return left == number
        return as_text(left) == text

    return test


def _ordered(compare: Callable[[Json, Json], bool]) -> Callable[[Json], Test]:
    def make(right: Json) -> Test:
        text, number = as_text(right), as_number(right)

        def test(left: Json) -> bool:
            if left is None:
                return False
            left_number = as_number(left)
            if number is not None and left_number is not None:
                return compare(left_number, number)
            return compare(as_text(left), text)

        return test

    return make


def _contains(right: Json) -> Test:
    text = as_text(right)

    def test(left: Json) -> bool:
        if isinstance(left, list):
            return any(as_text(element) == text for element in left)
        return text in left if isinstance(left, dict) else text in as_text(left)

    return test


def _matches(right: Json) -> Test:
    try:
        search = re.compile(as_text(right)).search
    except (re.error, RecursionError, OverflowError) as error:
        raise NodeFailed(f"not a regular expression: {error}") from None

    def test(left: Json) -> bool:
        text = as_text(left)
        if len(text) > MAX_SCANNED:
            raise NodeFailed(f"{len(text)} characters to match, {MAX_SCANNED} are allowed")
        return search(text) is not None

    return test


def _is_empty(right: Json) -> Test:
    return lambda left: left is None or left == "" or left == [] or left == {}


_TESTS: dict[str, Callable[[Json], Test]] = {
    "equals": _equals,
    "greater": _ordered(lambda left, right: left > right),
    "greater_or_equal": _ordered(lambda left, right: left >= right),
    "less": _ordered(lambda left, right: left < right),
    "less_or_equal": _ordered(lambda left, right: left <= right),
    "contains": _contains,
    "matches": _matches,
    "is_empty": _is_empty,
    "is_not_empty": lambda right: lambda left: not _is_empty(right)(left),
}
