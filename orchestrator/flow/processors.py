"""Post-processors: functions that finish or check a graph before it is analysed.

A project adds its own through settings. A processor gets the graph, may replace its nodes, and
returns what is wrong. It may get a graph with gaps (`lost_inputs`, `lost_outputs`), when there are
problems already.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from nodes.contract import PoolType
from orchestrator.exceptions import Problem
from orchestrator.flow.graph import Edge, FlowGraph, FlowNode
from orchestrator.flow.problems import problem_of, raise_if_any
from orchestrator.flow.shapes import QUEUE_NAME

PostProcessor = Callable[[FlowGraph], Sequence[Problem]]


def run_processors(graph: FlowGraph, processors: Iterable[PostProcessor]) -> None:
    """Run every processor in turn.

    Raises:
        WorkflowInvalid: with what all of them found.
    """
    raise_if_any(collect_problems(graph, processors))


def collect_problems(graph: FlowGraph, processors: Iterable[PostProcessor]) -> list[Problem]:
    """Run every processor in turn and return what all of them found."""
    return [problem for processor in processors for problem in processor(graph)]


class NodeValidator:
    """Collects the problems of every node's settings."""

    def __call__(self, graph: FlowGraph) -> list[Problem]:
        return [problem for node in graph.nodes.values() for problem in self._check(node)]

    def _check(self, node: FlowNode) -> list[Problem]:
        path = f"nodes[{node.index}]"
        try:
            problems = [Problem(f"{path}.{p.path}", p.message) for p in node.node.validate()]
            return problems + _without_process(node, path)
        except Exception as error:  # a node is anybody's code
            return [problem_of(path, error)]


def _without_process(node: FlowNode, path: str) -> list[Problem]:
    """A template with loops may use up its time for every item: nobody else's loop waits for it."""
    options = node.config.options
    pool = max(node.node.execution_pool, options.pool or PoolType.ASYNC)
    if not options.advanced_templates or pool is PoolType.PROCESS:
        return []
    message = "needs the pool 'process': set data.config.pool"
    return [Problem(f"{path}.data.config.advanced_templates", message)]


class WebhookPaths:
    """Two webhooks of one workflow cannot have the same path."""

    def __call__(self, graph: FlowGraph) -> list[Problem]:
        first: dict[str, str] = {}
        problems = []
        for node in graph.nodes.values():
            path = node.config.form.get("path") if node.type == "webhook" else None
            if isinstance(path, str) and first.setdefault(path.strip(), node.id) != node.id:
                message = f"'{first[path.strip()]}' has this path, too"
                problems.append(Problem(f"nodes[{node.index}].data.form.path", message))
        return problems


class QueueMapper:
    """Gives every queue writer and reader the name of its queue.

    An edge from a writer to a reader is the hand-over. Its queue has the name that one of them is
    given, in `data.config` or `data.form`, or else `queue_<source>_<target>`. Several writers may
    lead to one reader; the first edge gives the name. A writer or reader without such an edge must
    be given a name.
    """

    def __call__(self, graph: FlowGraph) -> list[Problem]:
        return _Mapping(graph).problems


class _Mapping:
    """The naming of one graph's queues."""

    def __init__(self, graph: FlowGraph) -> None:
        self.graph = graph
        self.problems: list[Problem] = []
        self._given = {n.id: self._given_name(n) for n in graph.nodes.values() if n.node.queue_role}
        self._made: dict[str, Edge] = {}
        ends = [graph.nodes[node_id] for node_id in self._given]
        for node in ends:
            if node.node.queue_role == "reader":
                self._map_reader(node)
        for node in ends:
            if node.node.queue_role == "writer":
                self._map_writer(node)

    def _given_name(self, node: FlowNode) -> str:
        """The name in the options or the form, or an empty string."""
        option, value = node.config.options.queue_name or "", node.config.form.get("queue_name")
        field = value.strip() if isinstance(value, str) else ""
        path = f"nodes[{node.index}].data.form.queue_name"
        if field and not re.fullmatch(QUEUE_NAME, field):
            self.problems.append(Problem(path, "may hold 100 letters, digits, '_', '.' and '-'"))
        elif option and field and option != field:
            self.problems.append(Problem(path, f"data.config names another queue, '{option}'"))
        return option or field

    def _map_reader(self, reader: FlowNode) -> None:
        """Name the queue of a reader and of all writers that lead to it."""
        edges = [e for e in self.graph.incoming(reader.id) if self.graph.is_hand_over(e)]
        members = list(dict.fromkeys([*(e.source for e in edges), reader.id]))
        given = {name: node_id for node_id in members if (name := self._given[node_id])}
        if len(given) > 1:
            names = ", ".join(f"'{name}' at '{node_id}'" for name, node_id in given.items())
            message = f"connected nodes name different queues: {names}"
            self.problems.append(Problem(f"nodes[{reader.index}].data.config.queue_name", message))
        elif given or edges:
            name = next(iter(given), "") or self._make(edges[0])
            for node_id in members:
                self._set(node_id, name)
        elif reader.id not in self.graph.lost_inputs:
            self._nameless(reader, "no queue writer leads to it")

    def _map_writer(self, writer: FlowNode) -> None:
        """Check a writer, and name the queue of one that leads to no reader."""
        edges = [e for e in self.graph.outgoing(writer.id) if self.graph.is_hand_over(e)]
        for edge in edges:
            if edge.condition is not None:
                path = f"edges[{edge.index}].condition"
                self.problems.append(Problem(path, "an edge that is a queue has no condition"))
        for edge in edges[1:]:
            message = f"'{writer.id}' writes the queue of '{edges[0].target}' already"
            self.problems.append(Problem(f"edges[{edge.index}].target", message))
        if self._given[writer.id] and not edges:
            self._set(writer.id, self._given[writer.id])
        elif not edges and writer.id not in self.graph.lost_outputs:
            self._nameless(writer, "it leads to no queue reader")

    def _nameless(self, node: FlowNode, reason: str) -> None:
        path = f"nodes[{node.index}].data.config.queue_name"
        self.problems.append(Problem(path, f"is missing: {reason}"))

    def _make(self, edge: Edge) -> str:
        """Make the name; ids that do not fit into one are shortened and told apart by a hash."""
        name = f"queue_{edge.source}_{edge.target}"
        if not re.fullmatch(QUEUE_NAME, name):
            mark = hashlib.sha256(f"{edge.source}/{edge.target}".encode()).hexdigest()[:12]
            name = f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)[:80]}-{mark}"
        other = self._made.setdefault(name, edge)
        if other is not edge:
            message = f"its queue would be '{name}' like that of '{other.source}': name one of them"
            self.problems.append(Problem(f"edges[{edge.index}]", message))
        return name

    def _set(self, node_id: str, name: str) -> None:
        node = self.graph.nodes[node_id]
        config = replace(node.config, options=replace(node.config.options, queue_name=name))
        node.node.config = config
        self.graph.nodes[node_id] = replace(node, config=config)
