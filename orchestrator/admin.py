"""The admin: read-only where services or the engine own the rows; actions call services."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from orchestrator.exceptions import OrchestratorError
from orchestrator.models import (
    ApiToken,
    Checkpoint,
    DeadLetter,
    LoopSlot,
    Runner,
    Workflow,
    WorkflowVersion,
)
from orchestrator.security.actors import Actor, actor_of
from orchestrator.services import dead_letters_bulk, production
from orchestrator.services.dead_letters_bulk import BulkChange, Selection


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that can be looked at; nobody adds, changes or deletes them here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(admin.TabularInline):
    model = WorkflowVersion
    fields = ("number", "digest", "created_at", "created_by")
    readonly_fields = fields
    can_delete = False
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SlotInline(admin.TabularInline):
    model = LoopSlot
    fields = (
        "loop",
        "slot",
        "desired",
        "state",
        "reason",
        "owner",
        "activation",
        "version",
        "token",
        "isolated",
    )
    readonly_fields = fields
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "desired", "activation", "active_version", "updated_at")
    list_filter = ("desired",)
    search_fields = ("name", "id")
    inlines = (VersionInline, SlotInline)
    actions = ("start", "stop", "pause", "resume", "drain", "force_stop")

    @admin.action(description="Start")
    def start(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, production.start)

    @admin.action(description="Stop")
    def stop(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, production.stop)

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, production.pause)

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, production.resume)

    @admin.action(description="Drain: stop when everything has gone through")
    def drain(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, production.drain)

    @admin.action(description="Force to stop: give up the items in hand, which run again later")
    def force_stop(self, request: HttpRequest, rows: QuerySet[Workflow]) -> None:
        self._ask(request, rows, partial(production.stop, force=True))

    def _ask(
        self,
        request: HttpRequest,
        rows: QuerySet[Workflow],
        change: Callable[[Actor, str], production.Change],
    ) -> None:
        for workflow in rows:
            try:
                status = change(actor_of(request.user), workflow.pk).status["status"]
            except OrchestratorError as error:
                self.message_user(request, f"{workflow.pk}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{workflow.pk}: {status}", messages.SUCCESS)


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(ReadOnlyAdmin):
    list_display = ("workflow", "number", "digest", "created_at", "created_by")
    list_filter = ("workflow",)
    list_select_related = ("workflow", "created_by")


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    list_display = ("id", "host", "pid", "started_at", "expires_at")


@admin.register(LoopSlot)
class LoopSlotAdmin(ReadOnlyAdmin):
    list_display = (
        "workflow",
        "loop",
        "slot",
        "desired",
        "state",
        "reason",
        "owner",
        "activation",
        "version",
        "token",
    )
    list_filter = ("state", "desired", "workflow")
    list_select_related = ("workflow", "owner")


def _pretty(name: str, label: str) -> Callable[[Any, DeadLetter], str]:
    """Return a column that shows a JSON field as indented, escaped text."""

    @admin.display(description=label)
    def shown(model_admin: Any, letter: DeadLetter) -> str:
        value = getattr(letter, name)
        return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))

    return shown


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("workflow", "loop", "slot", "activation", "sequence", "oldest_at", "created_at")
    list_filter = ("workflow",)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = (
        "item_id",
        "workflow",
        "loop",
        "node_id",
        "reason",
        "error_type",
        "status",
        "replay_count",
        "dead_at",
    )
    list_filter = ("status", "reason", "workflow", "error_type", "node_type")
    search_fields = ("item_id", "node_id", "message")
    list_select_related = ("workflow",)
    date_hierarchy = "dead_at"
    actions = ("replay_from_start", "replay_at_node", "discard")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("status", "reason", "error_type"),
                    "message",
                    ("workflow", "version", "activation"),
                    ("loop", "slot", "token", "queue"),
                    ("node_id", "node_type", "entry_node"),
                    ("item_id", "idempotency_key"),
                    ("deliveries", "born_at", "dead_at"),
                    "note",
                )
            },
        ),
        ("Data", {"fields": ("item_json", "node_input_json", "edited_json")}),
        ("Headers", {"fields": ("headers_json", "node_headers_json")}),
        ("Failure", {"fields": ("attempts_json", "trace_text")}),
        (
            "Replays",
            {
                "fields": (
                    ("replay_count", "replay_from", "replay_at"),
                    ("replayed_at", "replayed_by"),
                    ("discarded_at", "discarded_by"),
                    "origin",
                )
            },
        ),
    )
    item_json = _pretty("item", "Item")
    node_input_json = _pretty("node_input", "Input of the node")
    edited_json = _pretty("edited", "Edited")
    headers_json = _pretty("headers", "Of the item")
    node_headers_json = _pretty("node_headers", "Of the node's input")
    attempts_json = _pretty("attempts", "Attempts")

    @admin.display(description="Trace")
    def trace_text(self, letter: DeadLetter) -> str:
        return format_html("<pre>{}</pre>", letter.trace)

    @admin.action(description="Replay from the start of the loop")
    def replay_from_start(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        self._replay(request, rows, DeadLetter.ReplayFrom.START)

    @admin.action(description="Replay at the node that failed")
    def replay_at_node(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        self._replay(request, rows, DeadLetter.ReplayFrom.NODE)

    @admin.action(description="Discard")
    def discard(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        change = partial(dead_letters_bulk.discard_all, actor_of(request.user))
        self._ask(request, rows, "discarded", change)

    def _replay(self, request: HttpRequest, rows: QuerySet[DeadLetter], origin: str) -> None:
        change = partial(dead_letters_bulk.replay_all, actor_of(request.user), origin=origin)
        self._ask(request, rows, "being replayed", change)

    def _ask(
        self,
        request: HttpRequest,
        rows: QuerySet[DeadLetter],
        done: str,
        change: Callable[[Selection], BulkChange],
    ) -> None:
        try:
            answer = change(Selection(ids=list(rows.values_list("pk", flat=True))))
        except OrchestratorError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        level = messages.WARNING if answer.skipped else messages.SUCCESS
        message = f"{answer.count} {done}, {answer.skipped} left as they are"
        self.message_user(request, message, level)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """A token can be taken away here; `manage.py create_token` makes one."""

    list_display = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    fields = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
