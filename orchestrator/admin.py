"""The admin: read-only where services or the engine own the rows; actions call services."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from orchestrator.exceptions import OrchestratorError
from orchestrator.models import (
    ApiToken,
    DeadLetter,
    LoopSlot,
    Runner,
    Workflow,
    WorkflowVersion,
)
from orchestrator.security.actors import Actor, actor_of
from orchestrator.services import production


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
    fields = ("loop", "slot", "state", "reason", "owner", "activation", "token", "isolated")
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
    actions = ("start", "stop", "pause", "resume")

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
    list_display = ("workflow", "loop", "slot", "state", "reason", "owner", "activation", "token")
    list_filter = ("state", "workflow")
    list_select_related = ("workflow", "owner")


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = ("item_id", "workflow", "node_id", "reason", "error_type", "dead_at")
    list_filter = ("workflow", "reason", "error_type")
    search_fields = ("item_id", "node_id", "message")
    list_select_related = ("workflow",)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """A token can be taken away here; `manage.py create_token` makes one."""

    list_display = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    fields = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
