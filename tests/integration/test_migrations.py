"""Migrations are applied while the version before works on: it must go on with the new tables."""

import pytest
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AddIndex,
    AlterModelOptions,
    CreateModel,
    RunPython,
)
from django.db.models import NOT_PROVIDED

SINCE = "0010"
"""Before, there was nobody to work on."""
FREE = (CreateModel, AlterModelOptions, AddIndex, RunPython)
"""What an older version does not notice. RunPython: keep it short, its locks are held meanwhile."""


def new_migrations():
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    names = [name for app, name in found if app == "orchestrator" and name >= SINCE]
    return {name: found["orchestrator", name] for name in sorted(names)}


def problem(operation):
    """Return why a version that does not know of it would fail."""
    if isinstance(operation, AddField):
        field = operation.field
        if field.null or field.db_default is not NOT_PROVIDED or field.many_to_many:
            return None
        return f"{operation.model_name}.{operation.name} needs null or db_default: others insert"
    if isinstance(operation, FREE):
        return None
    return f"{type(operation).__name__} takes away what others use: do it a version later"


def test_no_migration_breaks_the_version_that_still_works():
    problems = [
        f"{name}: {found}"
        for name, migration in new_migrations().items()
        for operation in migration.operations
        if (found := problem(operation))
    ]
    assert not problems


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (AddField("run", "a", models.IntegerField(default=0)), "run.a needs null or db_default"),
        (AddField("run", "a", models.IntegerField(db_default=0)), None),
        (AddField("run", "a", models.IntegerField(null=True)), None),
    ],
    ids=["default", "db_default", "null"],
)
def test_a_column_needs_a_value_where_nobody_gives_one(operation, words):
    found = problem(operation)
    assert found is None if words is None else found.startswith(words)
