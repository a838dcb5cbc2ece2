"""WorkflowSpec -> FlowGraph, with the node classes and the condition language handed in."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nodes.contract import Node, NodeConfig, NodeKind
from orchestrator.exceptions import Problem, UnknownNodeType
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.graph import Condition, Edge, FlowGraph, FlowNode
from orchestrator.flow.problems import problem_of, raise_if_any
from orchestrator.flow.processors import PostProcessor, collect_problems
from orchestrator.flow.schema import MAX_EDGES, MAX_NODES, WorkflowSpec, read_workflow
from orchestrator.flow.shapes import EdgeSpec, NodeSpec

Create = Callable[[NodeConfig], Node]
Compile = Callable[[str], Condition]
_PLACE = re.compile(r"(nodes|edges)\[(\d+)\].*", re.DOTALL)
_ID_OF = {"nodes": "id", "edges": "target"}
"""Whom a problem at a node or an edge concerns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFlow:
    """A workflow that passed every check; `problems` has what is wrong with one only inspected."""

    spec: WorkflowSpec
    graph: FlowGraph
    analyzer: FlowAnalyzer
    problems: tuple[Problem, ...] = ()

    def require_valid(self, node_id: str | None = None) -> None:
        """Raise for what is wrong with the JSON as such, and with a node and the edges to it.

        Raises:
            WorkflowInvalid: with these problems; those elsewhere do not hinder the node.
        """
        raise_if_any(p for p in self.problems if self._concerns(p.path, node_id))

    def _concerns(self, path: str, node_id: str | None) -> bool:
        match = _PLACE.fullmatch(path)
        if match is None:
            return path != "entry_point"
        value = self.spec.raw[match[1]][int(match[2])]
        named = value.get(_ID_OF[match[1]]) if isinstance(value, dict) else None
        return node_id is not None and named == node_id


class FlowBuilder:
    """Builds graphs.

    create: makes a node from its config; raises UnknownNodeType.
    compile_condition: makes the condition of an edge from its text; raises TemplateInvalid.
    """

    def __init__(self, create: Create, compile_condition: Compile) -> None:
        self._create = create
        self._compile = compile_condition

    def load(
        self,
        raw: Any,
        processors: Sequence[PostProcessor] = (),
        *,
        node_cap: int = MAX_NODES,
        edge_cap: int = MAX_EDGES,
    ) -> LoadedFlow:
        """Take workflow JSON all the way, and report what every stage finds at once.

        Raises:
            WorkflowInvalid: with every problem found.
        """
        flow = self.inspect(raw, processors, node_cap=node_cap, edge_cap=edge_cap)
        raise_if_any(dict.fromkeys([*flow.problems, *flow.analyzer.problems()]))
        return flow

    def inspect(
        self,
        raw: Any,
        processors: Sequence[PostProcessor] = (),
        *,
        node_cap: int = MAX_NODES,
        edge_cap: int = MAX_EDGES,
    ) -> LoadedFlow:
        """Return what can be built, with the problems found; whether it runs as loops is not
        asked. With problems the graph may lack nodes and edges."""
        spec, problems = read_workflow(raw, node_cap, edge_cap)
        graph, unbuilt = self.assemble(spec)
        problems += unbuilt
        problems += collect_problems(graph, processors)
        found = tuple(dict.fromkeys(problems))
        return LoadedFlow(spec=spec, graph=graph, analyzer=FlowAnalyzer(graph), problems=found)

    def build(self, spec: WorkflowSpec) -> FlowGraph:
        """Return the graph.

        Raises:
            WorkflowInvalid: with every problem found.
        """
        graph, problems = self.assemble(spec)
        raise_if_any(problems)
        return graph

    def assemble(self, spec: WorkflowSpec) -> tuple[FlowGraph, list[Problem]]:
        """Return the graph of what can be built, and every problem found.

        With problems the graph lacks nodes and edges: it only serves to look for more problems.
        """
        assembly = _Assembly(spec, self._create, self._compile)
        for node in spec.nodes:
            assembly.add(node)
        for edge in spec.edges:
            assembly.connect(edge)
        return assembly.graph, assembly.problems


class _Assembly:
    """The building of one graph."""

    def __init__(self, spec: WorkflowSpec, create: Create, compile_condition: Compile) -> None:
        self.problems: list[Problem] = []
        self.graph = FlowGraph(
            name=spec.name,
            entry_point=spec.entry_point,
            lost_inputs=set(spec.lost_inputs),
            lost_outputs=set(spec.lost_outputs),
        )
        self._create = create
        self._compile = compile_condition
        self._ports: dict[str, tuple[str, ...] | None] = {}
        self._conditions: dict[str, Condition | Exception] = {}

    def add(self, spec: NodeSpec) -> None:
        path = f"nodes[{spec.index}]"
        try:
            node = self._create(spec.config)
        except UnknownNodeType as error:
            self.problems.append(problem_of(f"{path}.type", error))
        except Exception as error:  # a node is anybody's code and its form is not validated yet
            self.problems.append(problem_of(path, error))
        else:
            self.graph.add(
                FlowNode(
                    id=spec.id, type=spec.type, index=spec.index, config=spec.config, node=node
                )
            )

    def connect(self, spec: EdgeSpec) -> None:
        """Add an edge, or keep in mind that it is lost."""
        edge = self._edge(spec)
        problems = self._problems_of(edge)
        self.problems += problems
        if problems or edge.source not in self.graph.nodes or edge.target not in self.graph.nodes:
            self.graph.lost_outputs.add(edge.source)
            self.graph.lost_inputs.add(edge.target)
        else:
            self.graph.connect(edge)

    def _edge(self, spec: EdgeSpec) -> Edge:
        return Edge(
            id=spec.id,
            source=spec.source,
            target=spec.target,
            source_handle=spec.source_handle,
            target_handle=spec.target_handle,
            condition=self._condition(spec),
            index=spec.index,
            budget=spec.budget,
            on_limit=spec.on_limit,
        )

    def _condition(self, spec: EdgeSpec) -> Condition | None:
        """Compile the condition. A problem with it does not lose the edge: it leads there still."""
        text = spec.condition
        if text is None:
            return None
        if text not in self._conditions:
            try:
                self._conditions[text] = self._compile(text)
            except Exception as error:  # the text is anybody's
                self._conditions[text] = error
        condition = self._conditions[text]
        if isinstance(condition, Exception):
            self.problems.append(problem_of(f"edges[{spec.index}].condition", condition))
            return None
        return condition

    def _problems_of(self, edge: Edge) -> list[Problem]:
        path = f"edges[{edge.index}]"
        source, target = self.graph.nodes.get(edge.source), self.graph.nodes.get(edge.target)
        problems: list[Problem] = []
        outputs = self._outputs(source) if source else None
        if outputs is not None and edge.source_handle not in outputs:
            problems.append(_no_port(f"{path}.sourceHandle", edge.source, "output", outputs))
        if target is None:
            return problems
        if target.node.kind is NodeKind.PRODUCER:
            if source and not self.graph.is_hand_over(edge):
                problems.append(Problem(f"{path}.target", _no_input(target)))
            return problems
        inputs = tuple(port.lower() for port in target.node.input_ports)
        if edge.target_handle not in inputs:
            problems.append(_no_port(f"{path}.targetHandle", edge.target, "input", inputs))
        return problems

    def _outputs(self, node: FlowNode) -> tuple[str, ...] | None:
        """The output ports, or None when its form is too wrong to tell."""
        if node.id not in self._ports:
            try:
                self._ports[node.id] = tuple(port.lower() for port in node.node.ports())
            except Exception as error:  # as in `add`
                self._ports[node.id] = None
                self.problems.append(problem_of(f"nodes[{node.index}].data.form", error))
        return self._ports[node.id]


def _no_port(path: str, node_id: str, direction: str, ports: tuple[str, ...]) -> Problem:
    has = f"it has {', '.join(ports)}" if ports else "it has none"
    return Problem(path, f"node '{node_id}' has no such {direction} port; {has}")


def _no_input(target: FlowNode) -> str:
    if target.node.queue_role == "reader":
        return f"only a queue writer leads to '{target.id}', which reads a queue"
    return f"'{target.id}' starts a loop and has no input"
