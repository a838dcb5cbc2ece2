"""What is wrong with a workflow while it is being edited. Nothing is stored, nothing is run."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import NotAllowed, Problem
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.graph import FlowGraph, FlowNode
from orchestrator.flow.problems import MAX_PROBLEMS
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import credential_use
from orchestrator.services.workflows import require_template_rights

_PLACE = re.compile(r"(nodes|edges)\[(\d+)\]")
_OTHER_END = {"writer": ("reader", "reads"), "reader": ("writer", "writes")}


def validate(actor: Actor, raw: Json) -> dict[str, Any]:
    """Return the problems of a workflow, which may be half-built or no workflow at all.

    `problems` are what saving would refuse; `nodes` and `edges` have those of each by its id,
    `ports` and `queues` what a node has with its settings: its ports, the name of its queue.
    """
    authorize(actor, "workflow.read")
    flow = flow_engine().inspect(raw)
    found = tuple(dict.fromkeys([*flow.problems, *flow.analyzer.problems()]))
    listed = [*found[:MAX_PROBLEMS], *_rest(found)]
    return {
        "valid": not found,
        "problems": _as_json(listed),
        "warnings": _as_json(_warnings(actor, flow)),
        "nodes": _by_id(raw, "nodes", listed),
        "edges": _by_id(raw, "edges", listed),
        "ports": {node.id: _ports(node) for node in flow.graph.nodes.values()},
        "queues": _queues(flow.graph),
    }


def _rest(found: Sequence[Problem]) -> Iterator[Problem]:
    if len(found) > MAX_PROBLEMS:
        yield Problem("", f"{len(found) - MAX_PROBLEMS} more problems are not listed")


def _as_json(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"path": path, "message": message} for path, message in problems]


def _by_id(raw: Json, key: str, problems: Iterable[Problem]) -> dict[str, list[dict[str, str]]]:
    """Return the problems of each node or edge; one without an id goes by its place."""
    found: dict[str, list[dict[str, str]]] = {}
    for problem in problems:
        place = _PLACE.match(problem.path)
        if place is None or place[1] != key:
            continue
        value = raw[key][int(place[2])]
        given = value.get("id") if isinstance(value, Mapping) else None
        name = given if isinstance(given, str) and given else place[0]
        found.setdefault(name, []).extend(_as_json([problem]))
    return found


def _ports(node: FlowNode) -> dict[str, list[str]]:
    try:
        outputs = node.node.ports()
    except Exception:  # a node is anybody's code; the builder has said what is wrong
        outputs = node.node.output_ports
    return {
        "inputs": [port.lower() for port in node.node.input_ports],
        "outputs": [port.lower() for port in outputs],
    }


def _queues(graph: FlowGraph) -> dict[str, str]:
    return {
        node.id: node.config.options.queue_name
        for node in graph.nodes.values()
        if node.node.queue_role and node.config.options.queue_name
    }


def _warnings(actor: Actor, flow: LoadedFlow) -> list[Problem]:
    """Return what need not be wrong."""
    unread = _unread_queues(flow.graph)
    return [*unread, *_rights(actor, flow.graph), *credential_use.rights(actor, flow.graph)]


def _unread_queues(graph: FlowGraph) -> Iterator[Problem]:
    queues = _queues(graph)
    ends = {(graph.nodes[node_id].node.queue_role, name) for node_id, name in queues.items()}
    for node_id, name in queues.items():
        node = graph.nodes[node_id]
        other, does = _OTHER_END[str(node.node.queue_role)]
        if (other, name) not in ends:
            message = f"nothing in this workflow {does} the queue '{name}'"
            yield Problem(f"nodes[{node.index}]", message)


def _rights(actor: Actor, graph: FlowGraph) -> Iterator[Problem]:
    for node in graph.nodes.values():
        try:
            require_template_rights(actor, [node.config])
        except NotAllowed as error:
            yield Problem(f"nodes[{node.index}].data.config.advanced_templates", error.message)
