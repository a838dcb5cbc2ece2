"""Workflow JSON -> WorkflowSpec. Every problem is reported, each with its JSON path.

What comes in may be anything. It is checked for its size, for being strict JSON, for the shape of
each node and edge, and for how they refer to each other; a problem of one kind does not hide one
of another.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from nodes.contract import NodeOptions
from orchestrator.exceptions import Problem
from orchestrator.flow.digests import digest_of
from orchestrator.flow.problems import Loc, json_path, not_strict_json, raise_if_any
from orchestrator.flow.shapes import (
    DEFAULT_OPTIONS,
    EdgeShape,
    EdgeSpec,
    HeadShape,
    NodeShape,
    NodeSpec,
    Shape,
    WorkflowShape,
)

__all__ = [
    "EdgeSpec",
    "NodeSpec",
    "WorkflowSpec",
    "digest",
    "json_schema",
    "parse_workflow",
    "read_workflow",
]

MAX_BYTES = 16 * 1024 * 1024

MAX_NODES, MAX_EDGES = 2_000, 10_000
"""What a workflow may have."""
_MESSAGES = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}

S = TypeVar("S", bound=Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    """A workflow as it is written. `raw` is the very value that came in.

    lost_inputs, lost_outputs: ids at the target and the source of an edge that was left out
    because of a problem; empty in what `parse_workflow` returns.
    """

    name: str = ""
    nodes: tuple[NodeSpec, ...] = ()
    edges: tuple[EdgeSpec, ...] = ()
    entry_point: str | None = None
    raw: Any = None
    lost_inputs: frozenset[str] = frozenset()
    lost_outputs: frozenset[str] = frozenset()


def parse_workflow(raw: Any, node_cap: int = MAX_NODES, edge_cap: int = MAX_EDGES) -> WorkflowSpec:
    """Return the workflow.

    Raises:
        WorkflowInvalid: with every problem found.
    """
    spec, problems = read_workflow(raw, node_cap, edge_cap)
    raise_if_any(problems)
    return spec


def read_workflow(
    raw: Any, node_cap: int = MAX_NODES, edge_cap: int = MAX_EDGES
) -> tuple[WorkflowSpec, list[Problem]]:
    """Return what is usable of a workflow, and every problem found.

    With problems the spec lacks nodes and edges: it only serves to look for more problems.
    """
    if not isinstance(raw, dict):
        return WorkflowSpec(raw=raw), [Problem("", "a workflow must be a JSON object")]
    problems = [
        Problem(key, f"{len(raw[key])} {key}, {cap} are allowed")
        for key, cap in (("nodes", node_cap), ("edges", edge_cap))
        if isinstance(raw.get(key), list) and len(raw[key]) > cap
    ]
    if problems:
        return WorkflowSpec(raw=raw), problems
    reader = _Reader(raw)
    spec = reader.read()
    return spec, [Problem(json_path(loc), message) for loc, message in reader.problems.items()]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a workflow; how its parts refer to each other is not in it."""
    schema = WorkflowShape.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def digest(workflow: Any) -> str:
    """Return the SHA-256, in hex, of what runs of a WorkflowSpec or of workflow JSON.

    It covers the nodes (id, type, form, effective options), the edges in their order, and the
    entry point; not names, positions, edge ids, the order of the nodes, or unknown keys.

    Raises:
        WorkflowInvalid: the JSON is no valid workflow.
    """
    spec = workflow if isinstance(workflow, WorkflowSpec) else parse_workflow(workflow)
    runs = {
        "nodes": [
            [n.id, n.type, n.config.form, _effective(n.config.options)]
            for n in sorted(spec.nodes, key=lambda n: n.id)
        ],
        "edges": [
            [e.source, e.source_handle, e.target, e.target_handle, e.condition, *_limits(e)]
            for e in spec.edges
        ],
        "entry_point": spec.entry_point,
    }
    return digest_of(runs)


def _limits(edge: EdgeSpec) -> list[int | str | None]:
    """The budget of the edge and where it leads then, if it has any: few have."""
    return [] if edge.budget is None else [edge.budget, edge.on_limit]


def _effective(options: NodeOptions) -> dict[str, Any]:
    """What differs from the defaults, so that an option added later changes no digest."""
    if options is DEFAULT_OPTIONS:
        return {}
    defaults = asdict(DEFAULT_OPTIONS)
    return {name: value for name, value in asdict(options).items() if value != defaults[name]}


class _Reader:
    """Reads one workflow, and keeps the first problem of each place."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.problems: dict[Loc, str] = dict(not_strict_json(raw, MAX_BYTES))
        self._spoilt = {loc[:2] for loc in self.problems}
        self._places: dict[str, int] = {}
        self._usable: set[str] = set()
        self._ambiguous: set[str] = set()
        self._lost_inputs: set[str] = set()
        self._lost_outputs: set[str] = set()

    def read(self) -> WorkflowSpec:
        head = self._shape(HeadShape, self.raw, ()) or HeadShape()
        nodes = self._nodes()
        edges = self._edges()
        entry_point = self.raw.get("entry_point")
        if isinstance(entry_point, str):
            self._check_known(entry_point, ("entry_point",))
        return WorkflowSpec(
            name=head.name,
            nodes=nodes,
            edges=edges,
            entry_point=entry_point if isinstance(entry_point, str) else None,
            raw=self.raw,
            lost_inputs=frozenset(self._lost_inputs),
            lost_outputs=frozenset(self._lost_outputs),
        )

    def _nodes(self) -> tuple[NodeSpec, ...]:
        values = self._list("nodes")
        if not values:
            self._add(("nodes",), "a workflow needs at least one node")
        found: list[NodeSpec] = []
        for index, value in enumerate(values):
            shape = self._shape(NodeShape, value, ("nodes", index))
            if self._note_id(value, index) and shape is not None:
                found.append(shape.spec(index))
        self._usable = {node.id for node in found} - self._ambiguous
        return tuple(found)

    def _note_id(self, value: Any, index: int) -> bool:
        """Note the id, also of a node that is wrong otherwise: edges may name it. False when it
        has none or it is taken."""
        node_id = value.get("id") if isinstance(value, dict) else None
        if not isinstance(node_id, str):
            return False
        first = self._places.setdefault(node_id, index)
        if first == index:
            return True
        self._add(("nodes", index, "id"), f"nodes[{first}] has this id, too")
        self._ambiguous.add(node_id)
        return False

    def _edges(self) -> tuple[EdgeSpec, ...]:
        found: list[EdgeSpec] = []
        places: dict[str, int] = {}
        for index, value in enumerate(self._list("edges")):
            shape = self._shape(EdgeShape, value, ("edges", index))
            edge = shape.spec(index) if shape is not None else None
            if edge is not None and self._is_sound(edge, places):
                found.append(edge)
            else:
                self._lose(value)
        return tuple(found)

    def _is_sound(self, edge: EdgeSpec, places: dict[str, int]) -> bool:
        """Check what the edge refers to, and tell whether it can be kept."""
        first = places.setdefault(edge.id, edge.index)
        if first != edge.index:
            self._add(("edges", edge.index, "id"), f"edges[{first}] has this id, too")
        self._check_known(edge.source, ("edges", edge.index, "source"))
        self._check_known(edge.target, ("edges", edge.index, "target"))
        if edge.on_limit is not None:
            self._check_known(edge.on_limit, ("edges", edge.index, "on_limit"))
        return edge.source in self._usable and edge.target in self._usable

    def _check_known(self, node_id: str, loc: Loc) -> None:
        if node_id not in self._places and isinstance(self.raw.get("nodes"), list):
            self._add(loc, f"no node has the id {node_id[:100]!a}")

    def _lose(self, edge: Any) -> None:
        """Leave an edge out: nobody can tell what it would have led to."""
        if isinstance(edge, dict):
            self._lost_outputs.update(v for v in [edge.get("source")] if isinstance(v, str))
            self._lost_inputs.update(v for v in [edge.get("target")] if isinstance(v, str))

    def _list(self, key: str) -> list[Any]:
        values = self.raw.get(key, [])
        if isinstance(values, list):
            return values
        self._add((key,), "must be a list")
        return []

    def _shape(self, shape: type[S], value: Any, loc: Loc) -> S | None:
        try:
            read = shape.model_validate(value)
        except ValidationError as error:
            for e in error.errors(include_url=False, include_context=False, include_input=False):
                inner = (part for part in e["loc"] if part != "[key]")
                self._add((*loc, *inner), _MESSAGES.get(e["type"]) or e["msg"])
            return None
        return None if loc and loc in self._spoilt else read

    def _add(self, loc: Loc, message: str) -> None:
        self.problems.setdefault(loc, message)
