"""What keeps a graph from running as loops. Each check is a function of its own.

A graph with gaps (`lost_inputs`) is checked, too: what its gaps may have caused is not reported.
"""

import re
from collections.abc import Iterable, Sequence
from posixpath import normpath

from nodes.contract import NodeKind
from orchestrator.exceptions import Problem
from orchestrator.flow.graph import FlowGraph, FlowNode
from orchestrator.flow.loops import Loop
from orchestrator.flow.problems import problem_of
from orchestrator.flow.search import Cycle, depth_first, reachable

_SEGMENT = re.compile(r"(.+)-([0-9]{1,3})(\.[^./]*)?")
_QUEUE = "queue:"
"""Before the name of a queue that is a vertex beside loops; no id holds a colon."""


def without_producer(graph: FlowGraph) -> list[Problem]:
    """Nodes that no producer leads to, one problem for those that are connected."""
    if graph.entry_point is not None:
        return []
    producers = [n.id for n in graph.nodes.values() if n.node.kind is NodeKind.PRODUCER]
    reached = reachable([*producers, *(graph.lost_inputs & graph.nodes.keys())], graph.downstream)

    def strays(node_id: str) -> list[str]:
        near = graph.upstream(node_id) + graph.downstream(node_id)
        return [other for other in near if other not in reached]

    problems: list[Problem] = []
    for node in graph.nodes.values():
        if node.id not in reached:
            group = reachable([node.id], strays)
            reached |= group
            others = f", nor to the {len(group) - 1} connected with it" if len(group) > 1 else ""
            problems.append(Problem(f"nodes[{node.index}]", f"no producer leads to it{others}"))
    return problems


def budgets(graph: FlowGraph) -> list[Problem]:
    """Budgets of edges, which are those of a run."""
    return [
        Problem(f"edges[{edge.index}].budget", "belongs to a graph that is run once, not to a loop")
        for edge in graph.edges
        if edge.budget is not None
    ]


def too_entangled(producers: Sequence[FlowNode], loops: Sequence[Loop]) -> list[Problem]:
    """Loops that were not made, because too many producers lead to the same nodes."""
    if len(loops) == len(producers):
        return []
    path = f"nodes[{producers[len(loops)].index}]"
    return [Problem(path, f"{len(producers)} producers lead to the same nodes: too many loops")]


def shared_paths(graph: FlowGraph, loops: Sequence[Loop]) -> list[Problem]:
    """Files that two nodes write, or one node in two loops."""
    paths, problems = _written_paths(graph)
    owners: dict[str, list[Loop]] = {node.id: [] for node, _ in paths}
    for loop in loops:
        for node in loop.nodes:
            if node.id in owners:
                owners[node.id].append(loop)
    first: dict[str, FlowNode] = {}
    for node, path in paths:
        other = first.setdefault(path, node)
        if other is not node:
            problems.append(_conflict(node, path, f"'{other.id}' writes it, too"))
        if len(owners[node.id]) > 1:
            names = ", ".join(f"'{loop.id}'" for loop in owners[node.id][:10])
            problems.append(_conflict(node, path, f"it is part of several loops: {names}"))
    problems += [
        _conflict(node, path, f"a replica of '{other.id}' writes it, too")
        for node, path in paths
        for other in _segment_owner(path, first, owners)
    ]
    return problems


def _segment_owner(
    path: str, nodes: dict[str, FlowNode], owners: dict[str, list[Loop]]
) -> list[FlowNode]:
    """The node of which a replica writes this path: slot n of `a.csv` writes `a-<n>.csv`."""
    match = _SEGMENT.fullmatch(path)
    node = nodes.get(match[1] + (match[3] or "")) if match else None
    if match is None or node is None:
        return []
    return [node] if any(loop.replicas > int(match[2]) for loop in owners[node.id]) else []


def _written_paths(graph: FlowGraph) -> tuple[list[tuple[FlowNode, str]], list[Problem]]:
    paths: list[tuple[FlowNode, str]] = []
    problems: list[Problem] = []
    for node in graph.nodes.values():
        try:
            path = node.node.writes_path()
        except Exception as error:  # a node is anybody's code and its form may be invalid
            problems.append(problem_of(f"nodes[{node.index}].data.form", error))
        else:
            if path:
                paths.append((node, normpath(path)))
    return paths, problems


def _conflict(node: FlowNode, path: str, reason: str) -> Problem:
    return Problem(f"nodes[{node.index}].data.form", f"writes {path[:200]!r}, but {reason}")


def shared_readers(loops: Iterable[Loop]) -> list[Problem]:
    """Queues that two loops read."""
    first: dict[str, Loop] = {}
    return [
        Problem(
            f"nodes[{loop.producer.index}].data.config.queue_name",
            f"the queue '{loop.reads}' is read by '{first[loop.reads].id}' already",
        )
        for loop in loops
        if loop.reads is not None and first.setdefault(loop.reads, loop) is not loop
    ]


def rounds(graph: FlowGraph, loops: Sequence[Loop]) -> list[Problem]:
    """Edges by which an item comes between a node and its rounds, or back to it from behind."""
    problems = []
    for node in graph.nodes.values():
        port = node.node.repeats
        if port is None:
            continue
        edges = graph.walked(node.id)
        first = [e.target for e in edges if e.source_handle == port and e.target != node.id]
        inside = reachable(first, lambda n, own=node.id: _but(graph, n, own))  # type: ignore[misc]
        entries = {edge.id for edge in edges if edge.source_handle == port}
        wrong = [
            edge
            for inner in sorted(inside)
            for edge in graph.incoming(inner)
            if edge.source not in inside and edge.id not in entries
        ]
        back = (edge for loop in loops for edge in loop.back_edges)
        wrong += [
            e
            for e in back
            if e.target == node.id and e.source not in inside and e.id not in entries
        ]
        problems += [
            Problem(f"edges[{index}]", f"only what leaves '{node.id}' by '{port}' goes its rounds")
            for index in sorted({edge.index for edge in wrong})
        ]
    return problems


def _but(graph: FlowGraph, node_id: str, without: str) -> list[str]:
    return [edge.target for edge in graph.walked(node_id) if edge.target != without]


def queue_cycles(loops: Sequence[Loop]) -> list[Problem]:
    """Loops that wait for room in a queue that is read only when they go on themselves."""
    by_id = {loop.id: loop for loop in loops}
    targets: dict[str, list[str]] = {}
    for loop in loops:
        targets[loop.id] = [f"{_QUEUE}{queue}" for queue in _blocking(loop)]
        if loop.reads is not None:
            targets.setdefault(f"{_QUEUE}{loop.reads}", []).append(loop.id)
    found = depth_first(list(by_id), lambda vertex: targets.get(vertex, ()))
    return [_circle(cycle, by_id) for cycle in found.cycles]


def _blocking(loop: Loop) -> list[str]:
    """The queues in which the loop waits for room."""
    options = [n.config.options for n in loop.nodes if n.node.queue_role == "writer"]
    names = [o.queue_name for o in options if o.queue_name and o.overflow == "block"]
    return list(dict.fromkeys(names))


def _circle(cycle: Cycle, loops: dict[str, Loop]) -> Problem:
    loop = next(loops[vertex] for vertex in cycle.path if vertex in loops)
    names = [v.replace(_QUEUE, "queue ") for v in cycle.path]
    names += [] if cycle.path[-1] == cycle.source else ["..."]
    way = " -> ".join([*names, names[0]])
    message = (
        f"loops that wait for each other when their queues are full: {way}; "
        "give one of these queues another overflow than 'block'"
    )
    return Problem(f"nodes[{loop.producer.index}]", message)


def wrong_replicas(graph: FlowGraph, loops: Iterable[Loop]) -> list[Problem]:
    """Replicas of what can have one slot only."""
    problems = [
        Problem(_replicas(node), "only the producer of a loop has replicas")
        for node in graph.nodes.values()
        if node.config.options.replicas > 1 and node.node.kind is not NodeKind.PRODUCER
    ]
    for loop in loops:
        if loop.replicas > 1 and loop.producer.node.queue_role != "reader":
            problems.append(Problem(_replicas(loop.producer), "only a queue reader has replicas"))
        elif loop.replicas > 1 and loop.stateful:
            holder = next(n.id for n in loop.nodes[1:] if n.node.stateful)
            message = f"the loop has one slot, because '{holder}' keeps state"
            problems.append(Problem(_replicas(loop.producer), message))
    return problems


def _replicas(node: FlowNode) -> str:
    return f"nodes[{node.index}].data.config.replicas"
