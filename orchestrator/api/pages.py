"""The pages for people."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from orchestrator.api.credential_kinds import KINDS
from orchestrator.security.actors import actor_of_request
from orchestrator.services import audit as audit_log


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


@require_safe
@login_required
def credentials(request: HttpRequest) -> HttpResponse:
    """Show the credentials without their values, and store one."""
    return _page(request, "credentials", needs="credential.list", kinds=KINDS)


@require_safe
@login_required
def credential(request: HttpRequest, name: str) -> HttpResponse:
    """Show one credential, where it is used and who may use it; the page says so when there is
    none."""
    context = {"name": name, "kinds": KINDS, "page": "credentials"}
    return _page(request, "credential", needs="credential.list", **context)


@require_safe
@login_required
def audit(request: HttpRequest) -> HttpResponse:
    """Show who did what, when and from where."""
    return _page(request, "audit", needs="audit.read", actions=audit_log.RECORDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whoever looks at a page. role: empty without one. rights: the actions that are allowed."""

    role: str
    rights: frozenset[str]


def person(request: HttpRequest) -> dict[str, Any]:
    """Tell every template what whoever looks at it may do; asked for when a template asks.

    Pages offer that and no more; the services decide again.
    """
    return {"person": SimpleLazyObject(lambda: _person(request))}


def _person(request: HttpRequest) -> Person:
    actor = actor_of_request(request)
    role = actor.role.name.lower() if actor.role else ""
    return Person(role=role, rights=actor.rights or frozenset())


def _page(request: HttpRequest, template: str, *, needs: str = "", **context: Any) -> HttpResponse:
    """Render a page, or 403 a page that says which right is missing."""
    context.setdefault("page", template)
    if needs and not actor_of_request(request).may(needs):
        context["needs"] = needs
        return render(request, "orchestrator/forbidden.html", context, status=403)
    return render(request, f"orchestrator/{template}.html", context)


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
