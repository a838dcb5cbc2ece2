"""The pages for people."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orchestrator.security.actors import actor_of_request


@require_safe
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show every workflow; the page fills itself from the API and the dashboard's socket."""
    return _page(request, "dashboard")


@require_safe
@login_required
def studio(request: HttpRequest, workflow_id: str = "") -> HttpResponse:
    """Edit a workflow, or a new one; the page says so when there is no such workflow."""
    return _page(request, "studio", workflow_id=workflow_id)


@require_safe
@login_required
def runs(request: HttpRequest) -> HttpResponse:
    """Show the graphs and their runs, and start one."""
    return _page(request, "runs")


@require_safe
@login_required
def run(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show one run; the page says so when there is no such run."""
    return _page(request, "run", run_id=run_id, page="runs")


@require_safe
@login_required
def dead_letters(request: HttpRequest) -> HttpResponse:
    """Show what failed for good, by error or one by one."""
    return _page(request, "dead_letters", page="dead-letters")


@require_safe
@login_required
def dead_letter(request: HttpRequest, dead_letter_id: str) -> HttpResponse:
    """Show one dead letter; the page says so when there is none."""
    return _page(request, "dead_letter", dead_letter_id=dead_letter_id, page="dead-letters")


@require_safe
@login_required
def queues(request: HttpRequest) -> HttpResponse:
    """Show every queue and inbox, live."""
    return _page(request, "queues")


@require_safe
@login_required
def queue(request: HttpRequest, workflow_id: str, queue: str) -> HttpResponse:
    """Show one queue and what is in it; the page says so when there is none."""
    return _page(request, "queue", workflow_id=workflow_id, queue=queue, page="queues")


def _page(request: HttpRequest, name: str, **context: str) -> HttpResponse:
    """Render a page; it offers what the role may do, which the services decide again."""
    role = actor_of_request(request).role
    context["role"] = role.name.lower() if role else ""
    context.setdefault("page", name)
    return render(request, f"orchestrator/{name}.html", context)


class LoginForm(AuthenticationForm):
    """Tells the same of a wrong name, a wrong password, and too many tries."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The name or the password is wrong, or there were too many tries: "
        "then wait a quarter of an hour.",
    }


login = LoginView.as_view(
    template_name="orchestrator/login.html",
    authentication_form=LoginForm,
    redirect_authenticated_user=True,
)
logout = LogoutView.as_view()
