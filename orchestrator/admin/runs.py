"""Graphs, their runs, and what is recorded of these."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import Graph, Run, RunCheckpoint, RunStep

LONGEST_LOG = 1000


def _pretty(value: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


@admin.register(Graph)
class GraphAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "created_at")
    search_fields = ("name", "id")
    date_hierarchy = "created_at"
    fields = ("id", "name", "digest", "created_at", "definition_json")

    @admin.display(description="Definition")
    def definition_json(self, graph: Graph) -> str:
        return _pretty(graph.definition)


class StepInline(admin.TabularInline):
    """The log of a run; nobody adds, changes or deletes it here."""

    model = RunStep
    extra = 0
    can_delete = False
    fields = (
        "position",
        "number",
        "node",
        "round",
        "started_at",
        "seconds",
        "port",
        "error",
        "changed",
    )
    readonly_fields = ("changed",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Changes")
    def changed(self, step: RunStep) -> str:
        return _pretty(step.changes)


@admin.register(RunStep)
class RunStepAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "position", "node", "started_at", "seconds", "port", "error")
    search_fields = ("run__id", "node")
    fields = (*StepInline.fields[:-1], "changed")
    readonly_fields = ("changed",)
    show_full_result_count = False
    changed = StepInline.changed


@admin.register(RunCheckpoint)
class RunCheckpointAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "number", "steps", "attempt", "created_at")
    search_fields = ("run__id",)
    fields = ("run", "number", "steps", "attempt", "checksum", "created_at")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunCheckpoint]:
        return super().get_queryset(request).defer("body")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "graph",
        "status",
        "steps",
        "attempt",
        "owner",
        "created_at",
        "started_at",
        "ended_at",
    )
    list_filter = ("status", "graph")
    list_select_related = ("graph",)
    search_fields = ("id", "idempotency_key")
    date_hierarchy = "created_at"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("graph", "digest", "entry"),
                    ("status", "message"),
                    "error_json",
                    ("steps", "max_steps", "timeout", "checkpoint_every"),
                    ("created_at", "started_at", "ended_at"),
                )
            },
        ),
        ("State", {"fields": ("state_json", "initial_state_json")}),
        (
            "Execution",
            {
                "fields": (
                    ("attempt", "resume_from", "parent"),
                    ("owner", "token", "beat_at", "crashes", "cancel_requested"),
                    "idempotency_key",
                )
            },
        ),
    )

    def get_inlines(self, request: HttpRequest, obj: Run | None = None) -> list[type[StepInline]]:
        """Show the log of a run below it, unless that is too long for a page."""
        return [StepInline] if obj is not None and obj.logged <= LONGEST_LOG else []

    @admin.display(description="Error")
    def error_json(self, run: Run) -> str:
        return _pretty(run.error) if run.error else "-"

    @admin.display(description="State")
    def state_json(self, run: Run) -> str:
        return _pretty(run.state)

    @admin.display(description="Initial state")
    def initial_state_json(self, run: Run) -> str:
        return _pretty(run.initial_state)
