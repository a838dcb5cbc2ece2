"""Workflows with their versions, slots and nodes."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path

from orchestrator.admin import node_page
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.exceptions import NotAllowed, NotFound, OrchestratorError
from orchestrator.models import LoopSlot, Workflow, WorkflowVersion
from orchestrator.security.actors import Actor, actor_of
from orchestrator.services import node_forms, production


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

    def get_urls(self) -> list[Any]:
        node = path(
            "<slug:workflow_id>/nodes/<str:node_id>/",
            self.admin_site.admin_view(self.node_view),
            name="orchestrator_workflow_node",
        )
        return [node, *super().get_urls()]

    def node_view(self, request: HttpRequest, workflow_id: str, node_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**self.admin_site.each_context(request), "opts": self.opts}
        return node_page.respond(request, context, workflow_id, node_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if workflow := kwargs.get("obj"):
            with suppress(NotAllowed, NotFound):
                context["nodes"] = node_forms.list_all(actor_of(request.user), workflow.pk)
        return super().render_change_form(request, context, *args, **kwargs)

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
