"""What a database gives, as JSON."""

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from nodes.contract import Json

_LARGEST = 2**53 - 1


def to_json(value: Any) -> Json:
    """Return a value of a column as JSON.

    Numbers that a JSON number cannot hold exactly become texts, times ISO texts, bytes base64.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {str(name): to_json(one) for name, one in value.items()}
    return str(value)


def _decimal(value: Decimal) -> Json:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) <= _LARGEST:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)
