"""The audit log, and what the admin's own pages add to it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from orchestrator.admin.columns import json_field
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import AuditEntry
from orchestrator.security.actors import actor_of_request
from orchestrator.services import audit


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "object", "address", "token")
    list_filter = ("action", "at")
    search_fields = ("actor", "object", "address", "token")
    date_hierarchy = "at"
    show_full_result_count = False
    fields = (
        ("at", "actor", "actor_id"),
        ("action", "object"),
        ("address", "agent", "token"),
        "before_json",
        "after_json",
    )
    before_json = json_field("before", "Before")
    after_json = json_field("after", "After")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of_request(request).may("audit.read")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


class Audited(admin.ModelAdmin):
    """Pages that change rows of their own; each change is written down in its transaction.

    `told` says of a row what the log tells.
    """

    audit_action: str
    audit_kind: str

    def told(self, row: Any) -> Any:
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            stored = type(obj)._default_manager.get(pk=obj.pk)
            request.audited_before = self.told(stored)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, after=self._fresh(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        before = getattr(request, "audited_before", None)
        after = {**self._fresh(obj), "changed": message}
        self._record(request, obj, before=before, after=after)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for row in queryset:
            self._record(request, row, before=self.told(row))
        return super().log_deletions(request, queryset)

    def _fresh(self, obj: Any) -> Any:
        return self.told(type(obj)._default_manager.get(pk=obj.pk))

    def _record(self, request: HttpRequest, obj: Any, **values: Any) -> None:
        actor = actor_of_request(request)
        audit.record(actor, self.audit_action, f"{self.audit_kind}:{obj}", **values)
