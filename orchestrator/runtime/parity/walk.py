"""The way of one item on the bench's side of a parity run."""

from collections import defaultdict

from orchestrator.flow.graph import Edge, FlowGraph, FlowNode
from orchestrator.flow.loops import Loop
from orchestrator.runtime.parity.record import Event

Arrival = tuple[Edge, Event]
"""An output that an edge brings."""


class Walk:
    """Which node of a loop is next for an item, and what has come to it.

    An output is brought once along each edge of the port that it left by. The first in topological
    order goes first: so a cycle has ended before anything behind it begins.
    """

    def __init__(self, graph: FlowGraph, loop: Loop, start: Event) -> None:
        self.events: list[Event] = []
        self._graph = graph
        self._nodes = {node.id: node for node in loop.nodes}
        self._place = {node_id: place for place, node_id in enumerate(self._nodes)}
        self._come: defaultdict[str, dict[str, Arrival]] = defaultdict(dict)
        self.add(start)

    def add(self, event: Event) -> None:
        """Take what a node has made of the item."""
        self.events.append(event)
        for edge in self._graph.walked(event.node):
            if event.output is not None and event.port == edge.source_handle:
                self._come[edge.target][edge.id] = (edge, event)

    def next(self) -> tuple[FlowNode, list[Arrival]] | None:
        """Return the next node with what has come to it, in the order of its edges; None at the
        end."""
        if not self._come:
            return None
        node_id = min(self._come, key=self._place.__getitem__)
        come = self._come.pop(node_id)
        arrived = [come[e.id] for e in self._graph.incoming(node_id) if e.id in come]
        return self._nodes[node_id], arrived
