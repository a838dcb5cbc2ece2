"""The node types there are, and their forms."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forms.base import BaseForm, form_failure
from forms.cascades import is_absent
from forms.serializer import FormSerializer
from nodes.base import BaseNode
from nodes.contract import NodeConfig, NodeOptions
from orchestrator.exceptions import FormFailed, InvalidRequest, OrchestratorError, Problem
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize

logger = logging.getLogger(__name__)


def list_all(actor: Actor) -> dict[str, Any]:
    """Return every node type, and by name the reason why one could not be loaded."""
    authorize(actor, "node.list")
    registry = flow_engine().registry
    return {"results": [describe(node) for node in registry], "broken": dict(registry.broken)}


def form(actor: Actor, node_type: str) -> dict[str, Any]:
    """Return the form of a node type with its JSON Schema.

    Raises:
        UnknownNodeType: there is no such type.
        FormFailed: its form cannot be loaded, or raises.
    """
    return _with_form(actor, node_type, lambda cls: _described(node_type, FormSerializer(cls)))


def fill_form(
    actor: Actor,
    node_type: str,
    values: Mapping[str, Any],
    changed: str | None = None,
    advanced: bool = False,
) -> dict[str, Any]:
    """Return the form with these values, after one of them has `changed`, or as it was saved.

    What depends on the changed field is cleared and has new choices, and fields without a value
    have no errors.

    Args:
        advanced: whether the templates may have loops.

    Raises:
        UnknownNodeType: there is no such type.
        InvalidRequest: there is no field of the name `changed`.
        FormFailed: its form cannot be loaded, or raises.
    """

    state = filled(actor, node_type, values, () if changed is None else (changed,), advanced)
    if changed is not None:
        for field in state["fields"]:
            field["errors"] = [] if is_absent(field["value"]) else field["errors"]
    return state


def filled(
    actor: Actor,
    node_type: str,
    values: Mapping[str, Any],
    changed: Sequence[str] = (),
    advanced: bool = False,
) -> dict[str, Any]:
    """Return the form as `fill_form` does, after several fields have changed, with every error."""

    def fill(form_class: type[BaseForm]) -> dict[str, Any]:
        bound = form_class(values)
        bound.advanced = advanced
        for name in changed:
            _change(bound, name)
        state = _described(node_type, FormSerializer(bound))
        unknown = [name for name in values if name not in bound.fields]
        state["errors"] += [f"{name}: there is no such field" for name in unknown]
        return state

    return _with_form(actor, node_type, fill)


def validate_form(
    actor: Actor, node_type: str, values: Mapping[str, Any], advanced: bool = False
) -> dict[str, Any]:
    """Return what is wrong with the values, as when a workflow is saved, or else the cleaned ones.

    Args:
        advanced: whether the templates may have loops.

    Raises:
        UnknownNodeType: there is no such type.
        FormFailed: its form cannot be loaded, or raises.
    """

    def validate(form_class: type[BaseForm]) -> dict[str, Any]:
        options = NodeOptions(advanced_templates=advanced)
        config = NodeConfig(id="", type=node_type, form=values, options=options)
        node = flow_engine().registry.create(config)
        problems = [p._replace(path=p.path.removeprefix("data.")) for p in node.validate()]
        cleaned = None if problems else _cleaned(form_class, values, advanced)
        found = [{"path": path, "message": message} for path, message in problems]
        return {"valid": not problems, "problems": found, "values": cleaned}

    return _with_form(actor, node_type, validate)


def describe(node: type[BaseNode]) -> dict[str, Any]:
    """Return what the palette shows of a node type."""
    return {
        "type": node.identifier,
        "label": node.label or node.identifier,
        "description": node.description,
        "icon": node.icon,
        "category": node.category,
        "kind": str(node.kind),
        "pool": node.execution_pool.name.lower(),
        "input_ports": list(node.input_ports),
        "output_ports": list(node.output_ports),
        "queue_role": node.queue_role,
        "has_form": node.form_class is not None,
    }


def _with_form(
    actor: Actor, node_type: str, use: Callable[[type[BaseForm]], dict[str, Any]]
) -> dict[str, Any]:
    authorize(actor, "node.list")
    node = flow_engine().registry.get(node_type)
    try:
        return use(node.load_form() or BaseForm)
    except OrchestratorError:
        raise
    except Exception as error:  # a form is anybody's code
        logger.warning("the form of %s failed", node_type, exc_info=True)
        raise FormFailed(form_failure(node.form_class or node_type, error)) from error


def _described(node_type: str, serializer: FormSerializer) -> dict[str, Any]:
    return {"type": node_type, **serializer.data, "json_schema": serializer.json_schema()}


def _cleaned(
    form_class: type[BaseForm], values: Mapping[str, Any], advanced: bool
) -> dict[str, Any]:
    bound = form_class(values)
    bound.advanced = advanced
    return FormSerializer(bound).cleaned


def _change(form: BaseForm, changed: str) -> None:
    if changed not in form.fields:
        message = f"there is no field {changed!r}"
        raise InvalidRequest(message, problems=(Problem("changed", message),))
    form.update_field(changed, form.get_field_value(changed))
