"""Bearer tokens."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """A token can be taken away here; `manage.py create_token` makes one."""

    list_display = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    fields = ("name", "prefix", "user", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
