"""Labels: what a process is good for, or what is asked of one."""

from typing import Any

from django.db import models


def labels_field() -> Any:
    """Return a field for a list of labels. The database fills it in where a process of the version
    before writes a row."""
    return models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
