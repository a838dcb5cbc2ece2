"""The pages for people."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator.security.actors import actor_of


@require_safe
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show every workflow; the page fills itself from the API and the dashboard's socket."""
    return _page(request, "dashboard")


@require_safe
@login_required
def workflow(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """Show one workflow live, and its bench; the page says so when there is no such workflow."""
    return _page(request, "workflow", workflow_id=workflow_id)


def _page(request: HttpRequest, name: str, **context: str) -> HttpResponse:
    """Render a page; it offers what the role may do, which the services decide again."""
    role = actor_of(request.user).role
    context["role"] = role.name.lower() if role else ""
    return render(request, f"orchestrator/{name}.html", context)


login = LoginView.as_view(template_name="orchestrator/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()
