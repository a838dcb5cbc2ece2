"""The page with one node's form: shown, filled in and saved as a new version."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse

from forms.cascades import is_absent
from nodes.contract import Json
from orchestrator.exceptions import (
    Conflict,
    FormFailed,
    NotAllowed,
    NotFound,
    Problem,
    UnknownNodeType,
    WorkflowInvalid,
)
from orchestrator.security.actors import Actor, actor_of_request
from orchestrator.services import node_forms
from orchestrator.services.node_fields.controls import Control, make_control
from orchestrator.services.node_fields.fragment import Fragment, Reading, read, unseen
from orchestrator.services.node_fields.values import typed
from orchestrator.services.node_forms import Problems

_TEMPLATE = "admin/orchestrator/workflow/node.html"
_NO_VERSION = "the page did not say which version it was opened with"


def respond(
    request: HttpRequest, site: dict[str, Any], workflow_id: str, node_id: str
) -> HttpResponse:
    """Return the page, or save what it holds.

    Raises:
        PermissionDenied: the user's role does not suffice.
        Http404: there is no such workflow, version or node.
    """
    actor = actor_of_request(request)
    try:
        if request.method == "POST":
            number = _number(request.POST)
            return _Page(request, site, actor, workflow_id, node_id, number).save(number)
        return _Page(request, site, actor, workflow_id, node_id).show()
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from None
    except NotFound as error:
        raise Http404(str(error)) from None


class _Page:
    """The form of one node, in the version that the page was opened with."""

    def __init__(
        self,
        request: HttpRequest,
        site: dict[str, Any],
        actor: Actor,
        workflow_id: str,
        node_id: str,
        number: int | None = None,
    ) -> None:
        self.request = request
        self.site = site
        self.actor = actor
        self.workflow_id = workflow_id
        self.node = node_forms.get(actor, workflow_id, node_id, number)
        self.reason = ""

    def show(self) -> HttpResponse:
        found = node_forms.problems(self.actor, self.node)
        here = Problems(fields=self._sorted(self.node.values, found).fields)
        return self._page(self._unchanged(), here)

    def save(self, number: int | None) -> HttpResponse:
        if not self.node.editable:
            raise NotAllowed("workflow.save needs the role editor")
        reading = read(self._fields(self.node.values), self.node.values, self.request.POST)
        problems = Problems(fields=reading.errors)
        if problems.fields:
            return self._page(reading, problems, status=422)
        if number is None:
            return self._page(reading, problems, conflict=_NO_VERSION, status=409)
        try:
            version, new = node_forms.save(
                self.actor, self.workflow_id, self.node.node_id, reading.values, after=number
            )
        except Conflict as error:
            return self._page(reading, problems, conflict=error.message, status=409)
        except WorkflowInvalid as error:
            found = self._sorted(reading.values, error.problems)
            return self._page(reading, found, status=422)
        text = f"Saved as version {version.number}." if new else "Nothing was changed."
        messages.success(self.request, text)
        return HttpResponseRedirect(self.request.get_full_path())

    def _unchanged(self) -> Reading:
        return Reading(values=self.node.values, given={}, errors={})

    def _page(
        self, reading: Reading, problems: Problems, *, conflict: str = "", status: int = 200
    ) -> HttpResponse:
        controls = tuple(
            self._control(field, reading, problems) for field in self._fields(reading.values)
        )
        others = (*problems.others, *unseen(controls))
        node = self.node
        context = {
            **self.site,
            "title": f"{node.label}: node {node.node_id}",
            "workflow": node.version.workflow,
            "node": node,
            "reason": self.reason,
            "form": Fragment(type=node.type, controls=controls, values=None, others=others),
            "invalid": status == 422,
            "conflict": conflict,
        }
        return TemplateResponse(self.request, _TEMPLATE, context, status=status)

    def _control(self, field: dict[str, Any], reading: Reading, problems: Problems) -> Control:
        name, value = field["name"], reading.values.get(field["name"], field["initial"])
        shown = reading.given.get(name) or typed(field["kind"], value)
        kept = field["kind"] == "password" and not is_absent(value)
        return make_control(field, shown, problems.fields.get(name, ()), kept=kept)

    def _fields(self, values: Mapping[str, Json]) -> list[dict[str, Any]]:
        """Return the fields; when there are none, the page has the reason."""
        try:
            found = node_forms.fields(self.actor, self.node, values)
        except (UnknownNodeType, FormFailed) as error:
            self.reason = error.message
            return []
        self.reason = "" if found else "This node has no settings."
        return found

    def _sorted(self, values: Mapping[str, Json], found: Sequence[Problem]) -> Problems:
        names = [field["name"] for field in self._fields(values)] if found else []
        return node_forms.sort_problems(self.node, names, found)


def _number(data: QueryDict) -> int | None:
    """Return the version that the page was opened with."""
    text = data.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
