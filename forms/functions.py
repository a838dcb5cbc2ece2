"""What a template may call: filters, tests and methods. Each is linear in its input and makes
little more than it was given; Jinja's own are not used, because several are not (`center`,
`replace`, `round` with a large precision, `sum` over lists, `odd` on a format string)."""

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from forms.limits import MAX_OUTPUT, number, text, too_large
from orchestrator.exceptions import TemplateFailed
from storage.codec import encode

Function = Callable[..., Any]


def _join(values: Any, separator: str = "") -> str:
    pieces: list[str] = []
    left = MAX_OUTPUT
    for value in values:
        pieces.append(text(value))
        left -= len(pieces[-1]) + len(separator)
        if left < 0:
            raise too_large()
    return separator.join(pieces)


def _integer(value: Any, default: int = 0) -> Any:
    try:
        return number(int(value))
    except (TypeError, ValueError, OverflowError):
        return _truncated(value, default)


def _truncated(value: Any, default: int) -> Any:
    try:
        return number(int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return default


def _real(value: Any, default: float = 0.0) -> float:
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return result if math.isfinite(result) else default


def _round(value: float, precision: int = 0) -> Any:
    if not -15 <= precision <= 15:
        raise TemplateFailed("round takes a precision of -15 to 15")
    return round(value, precision) if precision else float(round(value))


def _sum(values: list[Any], start: float = 0) -> Any:
    if not all(isinstance(value, int | float) for value in (start, *values)):
        raise TemplateFailed("sum adds numbers only")
    return number(sum(values, start))


def _sort(values: Any, reverse: bool = False) -> list[Any]:
    return sorted(values, reverse=bool(reverse))


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def _reverse(value: Any) -> Any:
    return value[::-1]


def _truncate(value: Any, length: int = 255, end: str = "...") -> str:
    whole = text(value)
    if len(whole) <= length:
        return whole
    return whole[: max(0, length - len(end))] + end


def _json(value: Any) -> str:
    return encode(value, MAX_OUTPUT).decode()


def _items(value: Mapping[str, Any]) -> list[list[Any]]:
    return [list(pair) for pair in value.items()]


def _urlencode(value: Any) -> str:
    return quote(text(value), safe="/")


def _text_filter(function: Callable[[str], Any]) -> Function:
    def apply(value: Any) -> Any:
        return function(text(value))

    return apply


def _max(values: Any) -> Any:
    return max(values)


def _min(values: Any) -> Any:
    return min(values)


def _first(value: Any) -> Any:
    return value[0] if value else None


def _last(value: Any) -> Any:
    return value[-1] if value else None


FILTERS: dict[str, Function] = {
    "abs": abs,
    "capitalize": _text_filter(str.capitalize),
    "count": len,
    "first": _first,
    "float": _real,
    "int": _integer,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": len,
    "list": list,
    "lower": _text_filter(str.lower),
    "max": _max,
    "min": _min,
    "reverse": _reverse,
    "round": _round,
    "sort": _sort,
    "string": text,
    "sum": _sum,
    "title": _text_filter(str.title),
    "tojson": _json,
    "trim": _text_filter(str.strip),
    "truncate": _truncate,
    "unique": _unique,
    "upper": _text_filter(str.upper),
    "urlencode": _urlencode,
    "wordcount": _text_filter(lambda value: len(value.split())),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TESTS: dict[str, Function] = {
    "boolean": lambda value: isinstance(value, bool),
    "divisibleby": lambda value, by: _is_integer(value) and _is_integer(by) and value % by == 0,
    "even": lambda value: _is_integer(value) and value % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "integer": _is_integer,
    "mapping": lambda value: isinstance(value, dict),
    "none": lambda value: value is None,
    "number": _is_number,
    "odd": lambda value: _is_integer(value) and value % 2 == 1,
    "sequence": lambda value: isinstance(value, list | str),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
}

_STR = (
    "capitalize casefold count endswith find isalnum isalpha isdecimal isdigit islower isnumeric "
    "isspace isupper lower lstrip removeprefix removesuffix rfind rsplit rstrip split splitlines "
    "startswith strip swapcase title upper"
)

METHODS: dict[type, dict[str, Function]] = {
    str: {name: getattr(str, name) for name in _STR.split()},
    dict: {
        "get": dict.get,
        "items": _items,
        "keys": list,
        "values": lambda value: list(value.values()),
    },
    list: {"count": list.count, "index": list.index},
}
METHOD_NAMES = frozenset(name for methods in METHODS.values() for name in methods)


def short_range(*bounds: int) -> list[int]:
    """Return the numbers of a range of at most 1000."""
    numbers = range(*bounds)
    if len(numbers) > 1000:
        raise TemplateFailed("a range has at most 1000 numbers")
    return list(numbers)
