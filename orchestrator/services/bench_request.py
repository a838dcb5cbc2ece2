"""What a client asks of the bench, and the workflow it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.contract import Json
from orchestrator.services.workflows import find, find_version


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to run. `workflow` is unsaved JSON and goes before what `workflow_id` has stored.

    input: the item's data instead of cached outputs. form, config: replace single keys of the
    node's. run_upstream: `never`, `missing` or `stale` nodes are run first.
    """

    node_id: str
    workflow_id: str | None = None
    workflow: Json = None
    session: str | None = None
    input: dict[str, Json] | None = None
    form: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    run_upstream: str = "never"
    timeout: float | None = None


def definition(request: BenchRequest) -> Json:
    """Return the workflow's JSON: what was sent, else the newest version that is stored.

    Raises:
        NotFound: there is no such workflow.
    """
    if request.workflow_id is not None:
        workflow = find(request.workflow_id)
        if request.workflow is None:
            return find_version(workflow).definition
    return request.workflow


def with_overrides(raw: Json, request: BenchRequest) -> Json:
    """Return the workflow in which the node has the form and the config of the request."""
    if not (request.form or request.config) or not isinstance(raw, dict):
        return raw
    nodes = raw.get("nodes")
    if not isinstance(nodes, list):
        return raw
    return {**raw, "nodes": [_override(node, request) for node in nodes]}


def _override(node: Any, request: BenchRequest) -> Any:
    if not isinstance(node, dict) or node.get("id") != request.node_id:
        return node
    data = node.get("data") if isinstance(node.get("data"), dict) else {}
    form, config = (
        data.get(k) if isinstance(data.get(k), dict) else {} for k in ("form", "config")
    )
    changed = {"form": {**form, **request.form}, "config": {**config, **request.config}}
    return {**node, "data": {**data, **changed}}
