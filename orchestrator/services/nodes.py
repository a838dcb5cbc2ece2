"""The node types there are."""

from typing import Any

from forms.serializer import FormSerializer
from nodes.base import BaseNode
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize


def list_all(actor: Actor) -> dict[str, Any]:
    """Return every node type, and by name the reason why one could not be loaded."""
    authorize(actor, "node.list")
    registry = flow_engine().registry
    return {"results": [describe(node) for node in registry], "broken": dict(registry.broken)}


def form(actor: Actor, node_type: str) -> dict[str, Any]:
    """Return the form of a node type with its JSON Schema.

    Raises:
        UnknownNodeType: there is no such type.
    """
    authorize(actor, "node.list")
    node = flow_engine().registry.get(node_type)
    form_class = node.load_form()
    if form_class is None:
        return {"type": node_type, "fields": [], "errors": [], "json_schema": {"type": "object"}}
    serializer = FormSerializer(form_class)
    return {"type": node_type, **serializer.data, "json_schema": serializer.json_schema()}


def describe(node: type[BaseNode]) -> dict[str, Any]:
    """Return what the palette shows of a node type."""
    return {
        "type": node.identifier,
        "label": node.label,
        "description": node.description,
        "icon": node.icon,
        "category": node.category,
        "kind": str(node.kind),
        "pool": node.execution_pool.name.lower(),
        "input_ports": list(node.input_ports),
        "output_ports": list(node.output_ports),
        "has_form": node.form_class is not None,
    }
