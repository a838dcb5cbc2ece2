"""What keeps a graph from being run once, from its entry point with a state to its end."""

from nodes.contract import NodeKind
from orchestrator.exceptions import Problem
from orchestrator.flow.graph import Edge, FlowGraph
from orchestrator.flow.search import closing_edges, reachable, topological


def leads_to(graph: FlowGraph, node_id: str) -> list[str]:
    """The nodes that a run may go to from a node, those of `on_limit` included, each once."""
    edges = graph.outgoing(node_id)
    limits = (e.on_limit for e in edges if e.on_limit is not None and e.on_limit in graph.nodes)
    return list(dict.fromkeys([*(edge.target for edge in edges), *limits]))


def entered(graph: FlowGraph) -> set[str]:
    """The nodes that a run can reach from the entry point."""
    return reachable([graph.entry_point or ""], lambda node_id: leads_to(graph, node_id))


def walk_order(graph: FlowGraph) -> tuple[list[str], set[str]]:
    """Return the reachable nodes, each before its targets, and the ids of the edges that close a
    cycle, seen from the entry point."""
    roots = [graph.entry_point or ""]

    def targets(node_id: str) -> list[str]:
        return leads_to(graph, node_id)

    cuts = closing_edges(roots, targets)
    back = {edge.id for edge in graph.edges if (edge.source, edge.target) in cuts}
    return topological(roots, targets, cuts), back


def problems(graph: FlowGraph) -> list[Problem]:
    """Return everything that keeps the graph from being run, with JSON paths."""
    entry = graph.entry_point
    if not entry:
        return [Problem("entry_point", "a run needs a node to begin at"), *_unfit(graph)]
    if entry not in graph.nodes:
        lost = entry in graph.lost_inputs or entry in graph.lost_outputs
        found = [] if lost else [Problem("entry_point", f"no node has the id {entry[:100]!a}")]
        return [*found, *_unfit(graph)]
    _, back = walk_order(graph)
    return [*_unfit(graph), *(p for edge in graph.edges for p in _wrong_limits(graph, edge, back))]


def warnings(graph: FlowGraph) -> list[Problem]:
    """Return what is odd: nodes that nothing leads to from the entry point."""
    reached = entered(graph)
    return [
        Problem(f"nodes[{node.index}]", f"nothing leads to '{node.id}' from the entry point")
        for node in graph.nodes.values()
        if node.id not in reached
    ]


def dominators(graph: FlowGraph, order: list[str], back: set[str]) -> dict[str, str]:
    """Return for each node but the first the last one that every way to it goes through.

    Args:
        order: of all nodes, each before its targets, but for the edges in `back`.
    """
    place = {node_id: index for index, node_id in enumerate(order)}
    above = {order[0]: order[0]}
    for node_id in order[1:]:
        sources = [
            edge.source
            for edge in graph.incoming(node_id)
            if edge.id not in back and edge.source in above
        ]
        if not sources:  # only `on_limit` leads there
            above[node_id] = order[0]
            continue
        common = sources[0]
        for source in sources[1:]:
            while common != source:
                if place[common] > place[source]:
                    common = above[common]
                else:
                    source = above[source]
        above[node_id] = common
    return above


def _unfit(graph: FlowGraph) -> list[Problem]:
    found = []
    for node in graph.nodes.values():
        kind = node.node.kind
        if kind is NodeKind.PRODUCER or node.node.queue_role is not None:
            found.append(Problem(f"nodes[{node.index}].type", "belongs to a loop; a run has none"))
        elif node.node.repeats is not None:
            found.append(Problem(f"nodes[{node.index}].type", "its rounds are those of a loop"))
        elif node.node.staged:
            message = "its effects are committed by a loop; a run has none"
            found.append(Problem(f"nodes[{node.index}].type", message))
    return found


def _wrong_limits(graph: FlowGraph, edge: Edge, back: set[str]) -> list[Problem]:
    path = f"edges[{edge.index}]"
    if edge.on_limit is not None and edge.budget is None:
        return [Problem(f"{path}.on_limit", "needs a budget that can be used up")]
    if edge.budget is None:
        return []
    if edge.budget < 1:
        return [Problem(f"{path}.budget", "must be at least 1")]
    if edge.id not in back and edge.source in entered(graph):
        return [Problem(f"{path}.budget", "the edge closes no cycle")]
    if edge.on_limit is not None and edge.on_limit not in graph.nodes:
        return [Problem(f"{path}.on_limit", f"no node has the id {edge.on_limit[:100]!a}")]
    return []
