"""Graphs, their runs, and what is recorded of these."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from orchestrator.admin.asking import ask_each
from orchestrator.admin.columns import json_field, pretty
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import Graph, Run, RunCheckpoint, RunStep
from orchestrator.security.actors import Actor
from orchestrator.services import graphs, runs

LONGEST_LOG = 1000


@admin.register(Graph)
class GraphAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "times", "created_at")
    search_fields = ("name", "id", "digest")
    date_hierarchy = "created_at"
    fields = ("id", "name", "digest", "created_at", "definition_json")
    actions = ("remove",)
    definition_json = json_field("definition", "Definition")

    def view_on_site(self, graph: Graph) -> str:
        return f"{reverse('runs-page')}?{urlencode({'graph': graph.pk})}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Graph]:
        return super().get_queryset(request).annotate(times=Count("runs"))

    @admin.display(description="Runs", ordering="times")
    def times(self, graph: Any) -> int:
        return graph.times

    @admin.action(description="Remove, with all runs")
    def remove(self, request: HttpRequest, rows: QuerySet[Graph]) -> None:
        ask_each(self, request, rows, _remove_graph)


def _remove_graph(actor: Actor, graph: Graph) -> str:
    graphs.delete(actor, graph.pk)
    return "removed"


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
        return pretty(step.changes)


@admin.register(RunStep)
class RunStepAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "position", "node", "started_at", "seconds", "port", "error")
    search_fields = ("run__id", "node", "error")
    fields = ("run", *StepInline.fields[:-1], "changed")
    readonly_fields = ("changed",)
    show_full_result_count = False
    changed = StepInline.changed


@admin.register(RunCheckpoint)
class RunCheckpointAdmin(ReadOnlyAdmin):
    list_display = ("run_id", "number", "steps", "attempt", "created_at")
    search_fields = ("run__id",)
    list_filter = ("attempt",)
    fields = ("run", "number", "steps", "attempt", "checksum", "created_at")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunCheckpoint]:
        return super().get_queryset(request).defer("body")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "status",
        "graph",
        "steps",
        "attempt",
        "lasted",
        "created_at",
        "owner",
    )
    list_filter = ("status", ("graph", admin.RelatedOnlyFieldListFilter), "cancel_requested")
    list_select_related = ("graph",)
    search_fields = ("id", "idempotency_key", "graph__name", "graph__id", "owner", "message")
    date_hierarchy = "created_at"
    actions = ("cancel", "resume", "restart", "remove")
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        whole = match is not None and "object_id" in match.kwargs
        return rows if whole else rows.defer("state", "initial_state", "graph__definition")

    def view_on_site(self, run: Run) -> str:
        return reverse("run-page", args=[run.pk])

    @admin.display(description="Seconds")
    def lasted(self, run: Run) -> str:
        ended = run.started_at and run.ended_at
        return f"{(run.ended_at - run.started_at).total_seconds():.3f}" if ended else "-"

    @admin.display(description="Error")
    def error_json(self, run: Run) -> str:
        return pretty(run.error) if run.error else "-"

    state_json = json_field("state", "State")
    initial_state_json = json_field("initial_state", "Initial state")

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        ask_each(self, request, rows, _cancel)

    @admin.action(description="Resume from the newest checkpoint")
    def resume(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        ask_each(self, request, rows, partial(_retry, "error"))

    @admin.action(description="Retry from the start")
    def restart(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        ask_each(self, request, rows, partial(_retry, "start"))

    @admin.action(description="Remove, with log and checkpoints")
    def remove(self, request: HttpRequest, rows: QuerySet[Run]) -> None:
        ask_each(self, request, rows, _remove)


def _cancel(actor: Actor, run: Run) -> str:
    found = runs.cancel(actor, run.pk)
    return "is being cancelled" if found.status == Run.Status.RUNNING else str(found.status)


def _retry(origin: str, actor: Actor, run: Run) -> str:
    return str(runs.retry(actor, run.pk, origin).status)


def _remove(actor: Actor, run: Run) -> str:
    runs.delete(actor, run.pk)
    return "removed"
