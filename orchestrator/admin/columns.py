"""Columns and fields that several pages of the admin have."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

Column = Callable[[Any, Any], Any]


def pretty(value: Any) -> str:
    """Return a JSON value as indented, escaped text."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


def json_field(name: str, label: str) -> Column:
    """Return a field that shows a JSON field."""

    @admin.display(description=label)
    def shown(model_admin: Any, row: Any) -> str:
        return pretty(getattr(row, name))

    return shown


@admin.display(description="Alive", boolean=True)
def alive(model_admin: Any, row: Any) -> bool:
    """Tell whether a lease has not expired yet."""
    return row.expires_at is not None and row.expires_at > timezone.now()
