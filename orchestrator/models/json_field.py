"""JSON columns that give numbers back as they were given."""

import json
import re
from typing import Any

from django.db import models

_POWER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[\d.]+e\+\d+')


class _Encoder(json.JSONEncoder):
    """Writes 1e+22 as 10000000000000000000000.0: PostgreSQL would make a whole number of it, which
    is not the same value, and none that strict JSON may hold."""

    def encode(self, o: Any) -> str:
        text = super().encode(o)
        return _POWER.sub(_in_full, text) if "e+" in text else text


def _in_full(found: re.Match[str]) -> str:
    token = found[0]
    return token if token.startswith('"') else f"{float(token):.1f}"


class JSONField(models.JSONField):
    """Django's, but for how it writes large numbers; to migrations it is the same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "encoder": _Encoder})

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        del options["encoder"]
        return name, "django.db.models.JSONField", args, options
