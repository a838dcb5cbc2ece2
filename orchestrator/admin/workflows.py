"""Workflows with their versions, slots and nodes."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

from orchestrator.admin import node_page
from orchestrator.admin.asking import ask_each
from orchestrator.admin.columns import json_field
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.exceptions import NotAllowed, NotFound
from orchestrator.models import LoopSlot, Workflow, WorkflowVersion
from orchestrator.security.actors import Actor, actor_of_request
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
    list_filter = ("desired", "updated_at")
    list_select_related = ("active_version",)
    search_fields = ("name", "id")
    date_hierarchy = "updated_at"
    inlines = (VersionInline, SlotInline)
    actions = ("start", "stop", "pause", "resume", "drain", "force_stop")

    def view_on_site(self, workflow: Workflow) -> str:
        return reverse("studio", args=[workflow.pk])

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
                context["nodes"] = node_forms.list_all(actor_of_request(request), workflow.pk)
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
        ask_each(self, request, rows, lambda actor, row: change(actor, row.pk).status["status"])


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(ReadOnlyAdmin):
    list_display = ("workflow", "number", "digest", "created_at", "created_by")
    list_filter = (("workflow", admin.RelatedOnlyFieldListFilter), "created_by")
    list_select_related = ("workflow", "created_by")
    search_fields = ("workflow__id", "workflow__name", "digest")
    date_hierarchy = "created_at"
    fields = (("workflow", "number"), ("created_at", "created_by"), "digest", "definition_json")
    actions = ("start",)
    definition_json = json_field("definition", "Definition")

    def view_on_site(self, version: WorkflowVersion) -> str:
        return reverse("studio", args=[version.workflow_id])

    @admin.action(description="Start this version")
    def start(self, request: HttpRequest, rows: QuerySet[WorkflowVersion]) -> None:
        ask_each(self, request, rows, _start_version)


def _start_version(actor: Actor, version: WorkflowVersion) -> str:
    status = production.start(actor, version.workflow_id, number=version.number).status
    return f"{version}: {status['status']}"
