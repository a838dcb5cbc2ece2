"""A graph compiled to linked steps of bound methods, so that a node costs little more than its
own `await`: what a node needs around its call is decided here, once, and never per item."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from nodes.contract import DEFAULT_PORT, Node, NodeKind, NodeOutput, chosen_port
from orchestrator.exceptions import NodeTimeout
from orchestrator.execution import places
from orchestrator.execution.durations import Durations
from orchestrator.execution.tap import Tap
from orchestrator.flow.graph import Condition, Edge, FlowGraph, FlowNode
from orchestrator.flow.search import components

Call = Callable[..., Awaitable[Any]]
MEASURE_EVERY = 0.005
TALLY_EVERY = MEASURE_EVERY / 2
"""Seconds between the beginnings of two calls whose durations are kept: less than between two
measurements of a chain, whose steps do not begin at the same distance each time."""


@dataclass(slots=True)
class Route:
    """An edge as the walk follows it. `place` is its rank among the target's incoming edges.

    back: it closes a cycle. leaving: it leads out of one, or from a node that is run again, so that
    another round may still take it.
    limited: the edge, if it has a budget.
    """

    port: str
    condition: Condition | None
    target: "Step"
    place: int
    back: bool
    leaving: bool = False
    limited: Edge | None = None


class Chain:
    """A straight run of plain steps, walked without a look at anything but the calls.

    `count` is how often it was walked to its end. Durations are measured when the last
    measurement is older than MEASURE_EVERY: always for slow nodes, rarely for fast ones.
    """

    __slots__ = ("calls", "count", "last", "measure_at", "steps")

    def __init__(self, steps: "tuple[Step, ...]") -> None:
        self.steps = steps
        self.last = steps[-1]
        self.calls: tuple[Call, ...] = ()
        self.count = 0
        self.measure_at = 0.0

    def arm(self) -> None:
        self.calls = tuple(step.call for step in self.steps)

    def count_until(self, call: Call, *, answered: bool) -> "Step":
        """Count a walk that ended with a call, which is counted if it gave an answer; return the
        step that was called."""
        at = self.calls.index(call)
        for step in self.steps[: at + answered]:
            step.count += 1
        return self.steps[at]


class Step:
    """A node in a plan, and its counters. Times are readings of `time.perf_counter`."""

    __slots__ = (
        "arrivals", "background", "body", "call", "chain", "conditional", "contextual", "count",
        "durations", "ended_at", "failed", "id", "last_error", "last_seconds", "measured", "next",
        "node", "rank", "routes", "seconds", "started_at", "tally_at", "tap", "threaded", "type",
        "walked_in",
    )  # fmt: skip

    def __init__(self, flow_node: FlowNode) -> None:
        node = flow_node.node
        self.id = flow_node.id
        self.type = flow_node.type
        self.node: Node = node
        self.conditional = node.kind is NodeKind.CONDITIONAL
        self.background = node.kind is NodeKind.NON_BLOCKING
        self.contextual = _takes_context(node)
        self.threaded = not inspect.iscoroutinefunction(_execute(node))
        self.call: Call = _execute(node)
        self.body: frozenset[str] = frozenset()
        """The ids of the nodes that it is run again for, if it is such a node."""
        self.next: Step | None = None
        self.routes: tuple[Route, ...] = ()
        self.arrivals = 0
        self.rank = (0, 0)
        """Greater than that of every step that leads here. All steps of a cycle share its first
        part."""
        self.chain: Chain | None = None
        self.walked_in: Chain | None = None
        self.count = 0
        self.failed = 0
        self.measured = 0
        self.seconds = 0.0
        self.durations = Durations()
        """Of some calls: which ones does not depend on how long they took."""
        self.tally_at = 0.0
        self.last_seconds = 0.0
        self.started_at = 0.0
        self.ended_at = 0.0
        self.last_error = ""
        self.tap = Tap()

    @property
    def plain(self) -> bool:
        return not (self.conditional or self.background or self.contextual)

    @property
    def executions(self) -> int:
        """How often the node gave an answer."""
        return self.count + (self.walked_in.count if self.walked_in is not None else 0)

    def measure(self, begun: float, ended: float) -> None:
        self.started_at, self.ended_at = begun, ended
        self.last_seconds = ended - begun
        self.seconds += ended - begun
        self.measured += 1
        if begun >= self.tally_at:
            self.tally_at = begun + TALLY_EVERY
            self.durations.add(ended - begun)

    def arm(self) -> None:
        """Choose the call, once the node is initialised and knows whether it has templates."""
        options = self.node.config.options
        call: Call = _execute(self.node)
        if self.threaded:
            call = _in_thread(call, self.id)
        if self.node.templated:
            call = _rendered(self.node, call)
        if options.timeout is not None:
            call = _limited(call, options.timeout, self.id)
        self.call = call


class Plan:
    """The steps of some nodes of a graph, linked along the edges between them.

    Args:
        graph: the graph; edges that leave `nodes` are not followed.
        nodes: the ids to take, in topological order.
        back_edges: ids of the edges that close a cycle; they do not count as arrivals of a join.
        chains: whether straight runs of steps are walked without a look at each.
    """

    def __init__(
        self,
        graph: FlowGraph,
        nodes: Collection[str],
        back_edges: Collection[str] = (),
        *,
        chains: bool = True,
    ) -> None:
        self.steps = {node_id: Step(graph.nodes[node_id]) for node_id in nodes}
        for place, step in enumerate(self.steps.values()):
            step.rank = (0, place)
            self._link(step, graph, back_edges)
        if back_edges:
            self._group_cycles()
        for step in self.steps.values():
            if step.node.repeats:
                step.body = _body(step)
            step.next = _straight(step)
        self._chains = self._find_chains() if chains else []

    def _link(self, step: Step, graph: FlowGraph, back_edges: Collection[str]) -> None:
        routes = []
        for edge in graph.outgoing(step.id):
            target = self.steps.get(edge.target)
            if target is None or graph.is_hand_over(edge):
                continue
            back = edge.id in back_edges
            leaving = step.node.repeats is not None
            route = Route(
                edge.source_handle, edge.condition, target, target.arrivals, back, leaving
            )
            if edge.budget is not None:
                route.limited = edge
            routes.append(route)
            if not back:
                target.arrivals += 1
        step.routes = tuple(routes)

    def _group_cycles(self) -> None:
        targets = {s.id: [route.target.id for route in s.routes] for s in self.steps.values()}
        found = components(targets, targets.__getitem__)
        groups = {vertex: place for place, group in enumerate(found) for vertex in group}
        turning = {
            groups[source]
            for source, leads_to in targets.items()
            for target in leads_to
            if groups[target] == groups[source]
        }
        for step in self.steps.values():
            group = groups[step.id]
            step.rank = (group, step.rank[1])
            for route in step.routes:
                route.leaving |= group in turning and groups[route.target.id] != group

    def _find_chains(self) -> list[Chain]:
        """Make a chain of every longest straight run of plain steps, behind what is not plain."""
        followed = {
            step.next.id for step in self.steps.values() if step.next is not None and _links(step)
        }
        chains = []
        for step in self.steps.values():
            if _links(step) and step.id not in followed:
                run = [step]
                while run[-1].next is not None and run[-1].next.plain:
                    run.append(run[-1].next)
                step.chain = Chain(tuple(run))
                chains.append(step.chain)
                for link in run:
                    link.walked_in = step.chain
        return chains

    def arm(self, around: Callable[[Step, Call], Call] | None = None) -> None:
        """Choose every step's call; the nodes are initialised.

        Args:
            around: wraps a step's call, as the bench does to see what a node returned.
        """
        for step in self.steps.values():
            step.arm()
            if around is not None:
                step.call = around(step, step.call)
        for chain in self._chains:
            chain.arm()


def _body(step: Step) -> frozenset[str]:
    """Return the nodes behind the port for which a node is run again, and itself for none."""
    first = {r.target.id: r.target for r in step.routes if r.port == step.node.repeats}
    first.pop(step.id, None)
    found, todo = dict(first), list(first.values())
    while todo:
        for route in todo.pop().routes:
            if route.target.id != step.id and route.target.id not in found:
                found[route.target.id] = route.target
                todo.append(route.target)
    return frozenset(found) or frozenset((step.id,))


def _links(step: Step) -> bool:
    """Tell whether the step can be part of a chain."""
    return step.plain and step.node.kind is not NodeKind.PRODUCER


def _straight(step: Step) -> Step | None:
    """Return the one step that always follows, or None where the walk has to look."""
    if step.conditional or step.background or len(step.routes) != 1:
        return None
    route = step.routes[0]
    always = route.condition is None and route.port == DEFAULT_PORT and not route.back
    return route.target if always and route.target.arrivals == 1 else None


def _execute(node: Node) -> Call:
    execute: Call = node.execute  # type: ignore[attr-defined]
    return execute


def _takes_context(node: Node) -> bool:
    return len(inspect.signature(_execute(node)).parameters) > 1


def _in_thread(call: Call, node_id: str) -> Call:
    def body(*args: Any) -> Any:
        places.in_thread.set((node_id, args[0].id))  # in a context of the call's own
        try:
            return call(*args)
        except StopIteration as error:  # no future can hold it: who awaits it would wait for ever
            raise RuntimeError("execute raised StopIteration") from error

    async def threaded(*args: Any) -> Any:
        context = contextvars.copy_context()
        run = functools.partial(context.run, body, *args)
        result = await asyncio.get_running_loop().run_in_executor(None, run)
        chosen_port.set(context.get(chosen_port))
        if inspect.isawaitable(result):  # a decorator may hide that `execute` is async
            result = await result
        return result

    return threaded


def _rendered(node: Node, call: Call) -> Call:
    async def rendered(item: NodeOutput, *rest: Any) -> Any:
        node.render(item)
        return await call(item, *rest)

    return rendered


def _limited(call: Call, seconds: float, node_id: str) -> Call:
    async def limited(*args: Any) -> Any:
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await call(*args)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise NodeTimeout(
                f"took longer than {seconds:g} s", node_id=node_id, error_type="NodeTimeout"
            ) from None

    return limited
