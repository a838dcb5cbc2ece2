"""FlowGraph: the nodes and edges of one workflow, and look-ups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nodes.contract import DEFAULT_PORT, Json, Node, NodeConfig

Condition = Callable[[Mapping[str, Json]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowNode:
    """A node in a graph. `index` is its place in the JSON, for error paths (`nodes[2]`)."""

    id: str
    type: str
    index: int
    config: NodeConfig
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From a port of one node to another; followed when the condition is absent or true.

    budget: how often a run may follow it, if it closes a cycle; None is without limit.
    on_limit: the node that a run goes to instead when the budget is used up; None: it fails.
    """

    id: str
    source: str
    target: str
    source_handle: str = DEFAULT_PORT
    target_handle: str = DEFAULT_PORT
    condition: Condition | None = None
    index: int = 0
    budget: int | None = None
    on_limit: str | None = None


@dataclass(slots=True)
class FlowGraph:
    """Data and look-ups; what it means is FlowAnalyzer's business.

    lost_inputs, lost_outputs: nodes at the target and the source of an edge that had to be left
    out. Such a graph is never run; it is checked further, and what its gaps cause is no news.
    """

    name: str = ""
    entry_point: str | None = None
    nodes: dict[str, FlowNode] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    lost_inputs: set[str] = field(default_factory=set)
    lost_outputs: set[str] = field(default_factory=set)
    _out: dict[str, list[Edge]] = field(default_factory=dict, repr=False)
    _in: dict[str, list[Edge]] = field(default_factory=dict, repr=False)

    def add(self, node: FlowNode) -> None:
        self.nodes[node.id] = node
        self._out[node.id] = []
        self._in[node.id] = []

    def connect(self, edge: Edge) -> None:
        """Add an edge between two nodes that were added before.

        Raises:
            KeyError: one of its ends is not in the graph.
        """
        self._out[edge.source].append(edge)
        self._in[edge.target].append(edge)
        self.edges.append(edge)

    def is_hand_over(self, edge: Edge) -> bool:
        """Tell whether the edge stands for a queue: from a queue writer to a queue reader."""
        source, target = self.nodes[edge.source].node, self.nodes[edge.target].node
        return source.queue_role == "writer" and target.queue_role == "reader"

    def walked(self, node_id: str) -> list[Edge]:
        """The outgoing edges that an item is walked along, so without the hand-overs."""
        return [e for e in self._out[node_id] if not self.is_hand_over(e)]

    def outgoing(self, node_id: str) -> list[Edge]:
        return self._out[node_id]

    def incoming(self, node_id: str) -> list[Edge]:
        return self._in[node_id]

    def downstream(self, node_id: str) -> list[str]:
        """The direct successors, each once, in edge order."""
        return list(dict.fromkeys(e.target for e in self._out[node_id]))

    def upstream(self, node_id: str) -> list[str]:
        """The direct predecessors, each once, in edge order."""
        return list(dict.fromkeys(e.source for e in self._in[node_id]))
