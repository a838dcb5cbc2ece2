"""Where credentials are used: by workflows, in the newest version and the one that runs, and by
graphs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast

from nodes.contract import Json
from orchestrator.exceptions import UnknownNodeType
from orchestrator.models import Graph, Workflow, WorkflowVersion
from orchestrator.runtime.desires import ENDS
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A workflow or a graph that uses a credential.

    kind: `workflow` or `graph`. version: None for a graph. nodes: their ids.
    running: whether it is a version that is to run.
    """

    kind: str
    id: str
    name: str
    version: int | None
    nodes: tuple[str, ...]
    running: bool


def list_all(actor: Actor, credential: str) -> list[Use]:
    """Return who uses a credential, of those that the actor may list."""
    authorize(actor, "credential.list", credential)
    found: list[Use] = []
    if actor.may("workflow.list"):
        found += _workflows(credential)
    if actor.may("graph.list"):
        found += _graphs(credential)
    return found


def running_with(credential: str) -> list[str]:
    """Return the ids of the workflows that are to run and use a credential."""
    return [use.id for use in _workflows(credential) if use.running]


def _workflows(credential: str) -> Iterator[Use]:
    newest = WorkflowVersion.objects.filter(workflow=OuterRef("workflow")).order_by("-number")
    wanted = Q(pk=Subquery(newest.values("pk")[:1])) | Q(pk=F("workflow__active_version"))
    rows = _naming(WorkflowVersion.objects.filter(wanted), credential)
    for row in rows.select_related("workflow").order_by("workflow__name", "workflow", "number"):
        nodes = _nodes(row.definition, credential)
        if nodes:
            yield Use(
                kind="workflow",
                id=row.workflow.pk,
                name=row.workflow.name,
                version=row.number,
                nodes=nodes,
                running=_is_to_run(row.workflow) and row.pk == row.workflow.active_version_id,
            )


def _graphs(credential: str) -> Iterator[Use]:
    for row in _naming(Graph.objects.all(), credential):
        nodes = _nodes(row.definition, credential)
        if nodes:
            yield Use(
                kind="graph", id=row.pk, name=row.name, version=None, nodes=nodes, running=False
            )


def _naming(rows: QuerySet[Any], credential: str) -> QuerySet[Any]:
    """Leave out the definitions in whose text the name does not occur: they are not even read."""
    text = Cast("definition", TextField())
    return rows.annotate(text=text).filter(text__contains=f'"{credential}"')


def _is_to_run(workflow: Workflow) -> bool:
    return workflow.desired not in ENDS


def _nodes(definition: Json, credential: str) -> tuple[str, ...]:
    return tuple(str(node["id"]) for node in definition["nodes"] if credential in _names(node))


def _names(node: Mapping[str, Any]) -> set[str]:
    """Return the names of the credentials in a node's form; none of a type that is not there."""
    form = node.get("data", {}).get("form", {})
    if "type" not in node or not isinstance(form, Mapping):
        return set()
    try:
        form_class = flow_engine().registry.get(node["type"]).load_form()
        return set() if form_class is None else set(form_class.credential_names(form).values())
    except UnknownNodeType:
        return set()
    except Exception:  # somebody's form is broken: each of its texts may be the name
        return {value for value in form.values() if isinstance(value, str)}
