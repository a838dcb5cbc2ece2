"""Credentials: who made them and who may use them. Their values are nowhere to be seen."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import Credential


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Values are set at `/credentials/`, see `docs/credentials.md`."""

    list_display = ("name", "kind", "ends_with", "who", "created_by", "updated_at")
    list_filter = ("kind", "restricted")
    search_fields = ("name",)
    fields = ("name", "kind", "ends_with", "who", "created_by", "created_at", "updated_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("created_by")
        return rows.prefetch_related("users", "groups")

    @admin.display(description="Ends with")
    def ends_with(self, credential: Credential) -> str:
        return f"…{credential.fingerprint}" if credential.fingerprint else "-"

    @admin.display(description="Who may use it")
    def who(self, credential: Credential) -> str:
        if not credential.restricted:
            return "every editor"
        users = [user.get_username() for user in credential.users.all()]
        groups = [f"group {group.name}" for group in credential.groups.all()]
        return ", ".join([*users, *groups, "whoever made it", "admins"])
