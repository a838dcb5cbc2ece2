"""Users: Django's own pages, with what they may do here and their tokens."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

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


class UserAdmin(DjangoUserAdmin):
    """A user's role is the group of its name."""

    list_display = ("username", "role", "is_active", "is_staff", "tokens", "last_login")
    list_filter = ("groups", "is_active", "is_staff", "is_superuser")
    inlines = (TokenInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).prefetch_related("groups")
        return rows.annotate(tokens=Count("api_tokens", distinct=True))

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.inlines if obj is not None else ()

    @admin.display(description="Role")
    def role(self, user: Any) -> str:
        role = actor_of(user).role
        return role.name.lower() if role else "none"

    @admin.display(description="Tokens", ordering="tokens")
    def tokens(self, user: Any) -> int:
        return user.tokens


admin.site.unregister(User)
admin.site.register(User, UserAdmin)
admin.site.site_header = admin.site.site_title = "Workflow Orchestrator"
