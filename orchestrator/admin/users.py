"""Users: Django's own pages, with what they may do here and their tokens."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from orchestrator.admin.audit import Audited
from orchestrator.models import ApiToken
from orchestrator.security.actors import actor_of

User = get_user_model()


class TokenInline(admin.TabularInline):
    model = ApiToken
    fields = ("name", "prefix", "created_at", "expires_at", "last_used_at")
    readonly_fields = fields
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UserAdmin(Audited, DjangoUserAdmin):
    """A user's role is the group of its name."""

    audit_action, audit_kind = "user.manage", "user"
    list_display = ("username", "role", "is_active", "is_staff", "tokens", "last_login")
    list_filter = ("groups", "is_active", "is_staff", "is_superuser")
    inlines = (TokenInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).prefetch_related("groups")
        return rows.annotate(tokens=Count("api_tokens", distinct=True))

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.inlines if obj is not None else ()

    def told(self, row: Any) -> dict[str, Any]:
        return {
            "username": row.get_username(),
            "active": row.is_active,
            "staff": row.is_staff,
            "superuser": row.is_superuser,
            "groups": sorted(row.groups.values_list("name", flat=True)),
            "rights": _codenames(row.user_permissions),
        }

    @admin.display(description="Role")
    def role(self, user: Any) -> str:
        role = actor_of(user).role
        return role.name.lower() if role else "none"

    @admin.display(description="Tokens", ordering="tokens")
    def tokens(self, user: Any) -> int:
        return user.tokens


class GroupAdmin(Audited, DjangoGroupAdmin):
    """A group gives rights; those that are named like a role are roles."""

    audit_action, audit_kind = "user.manage", "group"

    def told(self, row: Group) -> dict[str, Any]:
        return {"name": row.name, "rights": _codenames(row.permissions)}


def _codenames(permissions: Any) -> list[str]:
    return sorted(permissions.values_list("codename", flat=True))


admin.site.unregister([User, Group])
admin.site.register(User, UserAdmin)
admin.site.register(Group, GroupAdmin)
admin.site.site_header = admin.site.site_title = "Workflow Orchestrator"
