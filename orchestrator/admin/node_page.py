"""The page with one node's form: shown, filled in and saved as a new version."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse

from nodes.contract import Json
from orchestrator.admin.node_controls import Control, make_control
from orchestrator.admin.node_values import Typed, posted, typed, value_of
from orchestrator.exceptions import (
    Conflict,
    FormFailed,
    InvalidPayload,
    NotAllowed,
    NotFound,
    Problem,
    UnknownNodeType,
    WorkflowInvalid,
)
from orchestrator.security.actors import Actor, actor_of
from orchestrator.services import node_forms
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
    actor = actor_of(request.user)
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
        return self._page(self.node.values, {}, here)

    def save(self, number: int | None) -> HttpResponse:
        if not self.node.editable:
            raise NotAllowed("workflow.save needs the role editor")
        values, given, problems = self._read()
        if problems.fields:
            return self._page(values, given, problems, status=422)
        if number is None:
            return self._page(values, given, problems, conflict=_NO_VERSION, status=409)
        try:
            version, new = node_forms.save(
                self.actor, self.workflow_id, self.node.node_id, values, after=number
            )
        except Conflict as error:
            return self._page(values, given, problems, conflict=error.message, status=409)
        except WorkflowInvalid as error:
            found = self._sorted(values, error.problems)
            return self._page(values, given, found, status=422)
        text = f"Saved as version {version.number}." if new else "Nothing was changed."
        messages.success(self.request, text)
        return HttpResponseRedirect(self.request.get_full_path())

    def _read(self) -> tuple[dict[str, Json], dict[str, Typed], Problems]:
        """Return the values that were posted, what the controls held, and what is no value."""
        values, given, problems = dict(self.node.values), {}, Problems()
        for field in self._fields(self.node.values):
            name, kind = field["name"], field["kind"]
            now = posted(kind, name, self.request.POST)
            before = values.get(name, field["initial"])
            if now is None or now == typed(kind, before):
                continue
            given[name] = now
            try:
                values[name] = value_of(field, now, before)
            except InvalidPayload as error:
                problems.fields[name] = [error.message]
        return values, given, problems

    def _page(
        self,
        values: Mapping[str, Json],
        given: Mapping[str, Typed],
        problems: Problems,
        *,
        conflict: str = "",
        status: int = 200,
    ) -> HttpResponse:
        fields = self._fields(values)
        controls = [
            make_control(
                field, _typed(field, values, given), problems.fields.get(field["name"], ())
            )
            for field in fields
        ]
        node = self.node
        context = {
            **self.site,
            "title": f"{node.label}: node {node.node_id}",
            "workflow": node.version.workflow,
            "node": node,
            "reason": self.reason,
            "controls": controls,
            "others": [*problems.others, *_unseen(controls)],
            "invalid": status == 422,
            "conflict": conflict,
        }
        return TemplateResponse(self.request, _TEMPLATE, context, status=status)

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


def _unseen(controls: Sequence[Control]) -> list[str]:
    """Return the errors of fields that are not shown."""
    return [
        f"{control.field['label']}: {text}"
        for control in controls
        if control.widget == "hidden" or not control.field["visible"]
        for text in control.errors
    ]


def _typed(
    field: Mapping[str, Any], values: Mapping[str, Json], given: Mapping[str, Typed]
) -> Typed:
    name = field["name"]
    return given.get(name) or typed(field["kind"], values.get(name, field["initial"]))


def _number(data: QueryDict) -> int | None:
    """Return the version that the page was opened with."""
    text = data.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
