"""The nodes of a stored workflow: their settings as a form that people fill in."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import NotAllowed, NotFound, Problem, WorkflowInvalid
from orchestrator.models import WorkflowVersion
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import nodes, workflows

_FIELD = re.compile(r"[.\[]\"?([^.\[\]\"]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """A node of one version of a workflow.

    values: its `data.form` as it is stored.
    advanced: whether its templates may have loops.
    editable: whether the actor may save it.
    """

    version: WorkflowVersion
    index: int
    node_id: str
    type: str
    label: str
    values: dict[str, Json]
    advanced: bool
    editable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """What is wrong with a workflow, from the point of view of one node: its fields, and others."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def list_all(actor: Actor, workflow_id: str) -> list[dict[str, str]]:
    """Return the nodes of the newest version: id, type and label.

    Raises:
        NotFound: there is no such workflow.
    """
    definition = workflows.get(actor, workflow_id).definition
    return [
        {"id": node["id"], "type": node["type"], "label": _label(node)}
        for node in definition["nodes"]
    ]


def get(actor: Actor, workflow_id: str, node_id: str, number: int | None = None) -> NodeSettings:
    """Return a node of a version, the newest unless a number is given.

    Raises:
        NotFound: there is no such workflow, version or node.
    """
    version = workflows.get(actor, workflow_id, number)
    index = _index(version.definition, node_id)
    node = version.definition["nodes"][index]
    return NodeSettings(
        version=version,
        index=index,
        node_id=node_id,
        type=node["type"],
        label=_label(node),
        values=_values(node),
        advanced=node.get("data", {}).get("config", {}).get("advanced_templates") is True,
        editable=_may_save(actor, workflow_id),
    )


def fields(actor: Actor, node: NodeSettings, values: Mapping[str, Json]) -> list[dict[str, Any]]:
    """Return the fields of the node's form, with the choices that go with the values.

    Raises:
        UnknownNodeType: its type is not installed.
        FormFailed: its form cannot be loaded, or raises.
    """
    found: list[dict[str, Any]] = nodes.fill_form(actor, node.type, values)["fields"]
    return found


def problems(actor: Actor, node: NodeSettings) -> Sequence[Problem]:
    """Return what is wrong with the stored version."""
    try:
        workflows.check(actor, node.version.definition)
    except WorkflowInvalid as error:
        return error.problems
    return ()


def save(
    actor: Actor, workflow_id: str, node_id: str, values: dict[str, Json], *, after: int
) -> tuple[WorkflowVersion, bool]:
    """Store a version in which this node has other settings, and tell whether there was anything
    new in it.

    Args:
        after: the number of the version that the settings were made from.

    Raises:
        NotFound: there is no such workflow, version or node.
        Conflict: there is a newer version.
        WorkflowInvalid: with every problem; nothing is stored.
    """
    authorize(actor, "workflow.save", workflow_id)
    definition = workflows.get(actor, workflow_id, after).definition
    node = definition["nodes"][_index(definition, node_id)]
    if values or _values(node):
        node.setdefault("data", {})["form"] = values
    return workflows.save(actor, workflow_id, definition, after=after)


def sort_problems(node: NodeSettings, names: Collection[str], found: Sequence[Problem]) -> Problems:
    """Tell the problems of the node's fields from the others, which name their place."""
    problems = Problems()
    start = f"nodes[{node.index}].data.form"
    for path, message in found:
        match = _FIELD.match(path, len(start)) if path.startswith(start) else None
        if match and match[1] in names:
            problems.fields.setdefault(match[1], []).append(message)
        elif path in ("", start):
            problems.others.append(message)
        else:
            problems.others.append(f"{path}: {message}")
    return problems


def _index(definition: Json, node_id: str) -> int:
    for index, node in enumerate(definition["nodes"]):
        if node["id"] == node_id:
            return index
    raise NotFound(f"the workflow has no node {node_id}")


def _values(node: Json) -> dict[str, Json]:
    return dict(node.get("data", {}).get("form", {}))


def _label(node: Json) -> str:
    label = node.get("data", {}).get("label")
    if isinstance(label, str) and label:
        return label
    registry = flow_engine().registry
    if node["type"] not in registry:
        return "not installed"
    return registry.get(node["type"]).label or node["type"]


def _may_save(actor: Actor, workflow_id: str) -> bool:
    try:
        authorize(actor, "workflow.save", workflow_id)
    except NotAllowed:
        return False
    return True
