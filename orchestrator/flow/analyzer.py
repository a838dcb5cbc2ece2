"""FlowAnalyzer: what a graph means. Everything is iterative and linear in nodes and edges."""

from functools import cached_property

from nodes.contract import NodeKind
from orchestrator.exceptions import Problem
from orchestrator.flow import checks
from orchestrator.flow.graph import Edge, FlowGraph, FlowNode
from orchestrator.flow.loops import Loop, make_loop
from orchestrator.flow.search import closing_edges, depth_first, topological

__all__ = ["FlowAnalyzer", "Loop"]

_QUEUE = "queue:"
"""Before the name of a queue that is a vertex beside nodes; no id holds a colon."""


class FlowAnalyzer:
    """Answers questions about a finished graph; what it found once it keeps."""

    def __init__(self, graph: FlowGraph) -> None:
        self.graph = graph

    def producers(self) -> list[FlowNode]:
        return [n for n in self.graph.nodes.values() if n.node.kind is NodeKind.PRODUCER]

    def loops(self) -> list[Loop]:
        """The loops, in the order of their producers in the JSON."""
        return self._loops

    def back_edges(self) -> list[Edge]:
        """The walked edges that close a cycle, seen from the entry point and the producers, in the
        order of the JSON. A loop has its own: it may enter a cycle elsewhere."""
        roots = [*(producer.id for producer in self.producers()), *self.graph.nodes]
        if self.graph.entry_point in self.graph.nodes:
            roots.insert(0, self.graph.entry_point)
        return self._edges(closing_edges(roots, self._targets.__getitem__))

    def upstream(self, node_id: str) -> tuple[str, ...]:
        """All ancestors of a node, also those behind queues, each after its own ancestors."""
        found = depth_first([node_id], self._sources).finished
        return tuple(v for v in found if v != node_id and not v.startswith(_QUEUE))

    def queue_graph(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """By queue, the ids of the loops that write it and of those that read it."""
        writers: dict[str, list[str]] = {}
        readers: dict[str, list[str]] = {}
        for loop in self._loops:
            for queue in loop.writes:
                writers.setdefault(queue, []).append(loop.id)
            if loop.reads is not None:
                readers.setdefault(loop.reads, []).append(loop.id)
        queues = dict.fromkeys([*writers, *readers])
        return {q: (tuple(writers.get(q, ())), tuple(readers.get(q, ()))) for q in queues}

    def writers_of(self, loop: Loop) -> tuple[str, ...]:
        """The names (`loop/slot`) of the slots that write the queue a loop reads."""
        return self._writer_slots.get(loop.reads, ())

    def problems(self) -> list[Problem]:
        """Return everything that keeps the graph from running as loops."""
        return [
            *checks.without_producer(self.graph),
            *checks.budgets(self.graph),
            *checks.too_entangled(self.producers(), self._loops),
            *checks.rounds(self.graph, self._loops),
            *checks.shared_paths(self.graph, self._loops),
            *checks.shared_readers(self._loops),
            *checks.queue_cycles(self._loops),
            *checks.wrong_replicas(self.graph, self._loops),
        ]

    @cached_property
    def _targets(self) -> dict[str, list[str]]:
        return {
            node_id: list(dict.fromkeys(edge.target for edge in self.graph.walked(node_id)))
            for node_id in self.graph.nodes
        }

    @cached_property
    def _loops(self) -> list[Loop]:
        # nodes that many producers lead to would make this quadratic: hence the budget
        budget = 10_000 + 8 * (len(self.graph.nodes) + len(self.graph.edges))
        found: list[Loop] = []
        for producer in self.producers():
            cuts = closing_edges([producer.id], self._targets.__getitem__)
            order = topological([producer.id], self._targets.__getitem__, cuts)
            budget -= sum(1 + len(self._targets[node_id]) for node_id in order)
            if budget < 0:
                break
            found.append(make_loop([self.graph.nodes[n] for n in order], self._edges(cuts)))
        return found

    def _edges(self, pairs: set[tuple[str, str]]) -> list[Edge]:
        sources = {source for source, _ in pairs}
        walked = (edge for source in sources for edge in self.graph.walked(source))
        return sorted(
            (edge for edge in walked if (edge.source, edge.target) in pairs),
            key=lambda edge: edge.index,
        )

    @cached_property
    def _writer_slots(self) -> dict[str | None, tuple[str, ...]]:
        replicas = {loop.id: loop.replicas for loop in self._loops}
        return {
            queue: tuple(f"{loop}/{slot}" for loop in writers for slot in range(replicas[loop]))
            for queue, (writers, _) in self.queue_graph().items()
        }

    @cached_property
    def _writers(self) -> dict[str, list[str]]:
        """The ids of the writer nodes by the name of their queue."""
        writers: dict[str, list[str]] = {}
        for node in self.graph.nodes.values():
            queue = node.config.options.queue_name
            if queue and node.node.queue_role == "writer":
                writers.setdefault(queue, []).append(node.id)
        return writers

    def _sources(self, vertex: str) -> list[str]:
        if vertex.startswith(_QUEUE):
            return self._writers.get(vertex.removeprefix(_QUEUE), [])
        node = self.graph.nodes[vertex]
        queue = node.config.options.queue_name if node.node.queue_role == "reader" else None
        return [*self.graph.upstream(vertex), *([_QUEUE + queue] if queue else [])]
