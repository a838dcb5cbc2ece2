"""Cleaned values as JSON types."""

import datetime
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from forms.limits import MAX_INTEGER


def to_json(value: Any) -> Any:
    """Return a cleaned form value as JSON types: dates as ISO text, durations in seconds.

    Raises:
        TypeError: there is no JSON for it.
    """
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, uuid.UUID | PurePath):
        return str(value)
    raise TypeError(f"a {kind.__name__} is not a JSON value")


def _number(value: int | float | Decimal) -> int | float:
    if not math.isfinite(value):
        raise TypeError("the number is not finite")
    if isinstance(value, float) or value != int(value):
        return float(value)
    if abs(int(value)) > MAX_INTEGER:
        raise TypeError("the number is too large")
    return int(value)
