"""Bearer tokens."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from orchestrator.admin.audit import Audited
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.exceptions import NotAllowed, OrchestratorError
from orchestrator.models import ApiToken
from orchestrator.security.actors import actor_of_request, authorize
from orchestrator.services import access


class TokenForm(forms.Form):
    """What `services.access.create_token` asks for."""

    user = forms.ModelChoiceField(get_user_model().objects.filter(is_active=True))
    name = forms.CharField(max_length=100, help_text="What it is for.")
    days = forms.IntegerField(
        min_value=1, max_value=36_500, required=False, label="Expires after",
        help_text="Days; without a number it holds until it is deleted.",
    )  # fmt: skip
    scopes = forms.CharField(
        required=False,
        help_text="Actions, such as queue.read, queue.* or viewer, with spaces between them; "
        "without one it may do all that the user may.",
    )


@admin.register(ApiToken)
class ApiTokenAdmin(Audited, ReadOnlyAdmin):
    """A token is made here, shown once, and can be taken away."""

    audit_action, audit_kind = "token.manage", "token"
    list_display = ("name", "prefix", "user", "holds", "created_at", "expires_at", "last_used_at")
    list_filter = ("created_at", "last_used_at", ("user", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "prefix", "user__username")
    fields = ("name", "prefix", "user", "scopes", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)

    def told(self, row: ApiToken) -> dict[str, Any]:
        return access.describe_token(row)

    @admin.display(description="Holds", boolean=True)
    def holds(self, token: ApiToken) -> bool:
        expired = token.expires_at is not None and token.expires_at <= timezone.now()
        return token.user.is_active and not expired

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        try:
            authorize(actor_of_request(request), "token.manage")
        except NotAllowed:
            return False
        return True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make a token; it is in this one answer and nowhere else."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST or None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form}
        if request.method == "POST" and form.is_valid():
            context |= self._made(request, form)
        return render(request, "admin/orchestrator/apitoken/add.html", context)

    def _made(self, request: HttpRequest, form: TokenForm) -> dict[str, Any]:
        wanted = form.cleaned_data
        try:
            raw = access.create_token(
                actor_of_request(request),
                wanted["user"].get_username(),
                name=wanted["name"],
                days=wanted["days"],
                scopes=wanted["scopes"].split() or None,
            )
        except OrchestratorError as error:
            form.add_error(None, str(error))
            return {}
        return {"token": raw, "owner": wanted["user"].get_username()}
