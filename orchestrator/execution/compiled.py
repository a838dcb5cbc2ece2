"""CompiledGraph: a graph made ready to run, once for any number of runs."""

import asyncio
from typing import Any

from nodes.contract import Json, NodeOutput, Tools
from orchestrator.exceptions import Conflict, UnknownTool
from orchestrator.execution.context import RunEnded
from orchestrator.execution.functions import FunctionNode, StateItem, names_before
from orchestrator.execution.groups import GroupNode
from orchestrator.execution.plan import Call, Plan, Step
from orchestrator.execution.steering import RunStepContext
from orchestrator.execution.tasks import function_of
from orchestrator.execution.workflow_engine import WorkflowEngine
from orchestrator.flow import run_checks
from orchestrator.flow.graph import FlowGraph
from orchestrator.flow.problems import raise_if_any
from orchestrator.flow.search import closing_edges, topological


class CompiledGraph:
    """A graph with its plan. One serves any number of runs at a time, in one event loop.

    id: of the graph in a store, or its name. digest: of its definition, kept in snapshots.
    warnings: what is odd but does not keep it from running, such as a node nothing leads to.

    Use it as `async with compile_graph(...) as graph:` when it has nodes that are more than
    functions and groups: they are initialised and cleaned up.
    """

    def __init__(
        self, graph: FlowGraph, *, recorded: bool, digest: str, tools: Tools | None = None
    ) -> None:
        self.graph = graph
        self.id = graph.name
        self.digest = digest
        self.recorded = recorded
        self.tools: Tools = tools or _NoTools()
        self.entry = graph.entry_point or ""
        self.warnings = tuple(run_checks.warnings(graph))
        order, back = run_checks.walk_order(graph)
        self.bases = _bases(graph, order, back)
        self.plan = Plan(graph, *_with_the_rest(graph, order, back), chains=not recorded)
        self.engine = WorkflowEngine(self.plan)
        self.functions = self._bind()
        nodes = graph.nodes.values()
        self.opened = all(isinstance(n.node, FunctionNode | GroupNode) for n in nodes)
        if self.opened:
            self.plan.arm(_watched)

    def _bind(self) -> dict[Any, str]:
        """Tell every task what is before it, and return the nodes by their functions."""
        functions: dict[Any, str] = {}
        for node_id, step in self.plan.steps.items():
            if isinstance(step.node, FunctionNode):
                functions.setdefault(step.node.function, node_id)
                if step.node.parameters:
                    before = names_before(node_id, self.graph.upstream, self.plan.steps)
                    step.node.upstream = before
        return functions

    async def __aenter__(self) -> "CompiledGraph":
        """Initialise the nodes.

        Raises:
            NodeFailed: one is not ready; those before it are cleaned up.
        """
        if not self.opened:
            try:
                for node in self.graph.nodes.values():
                    await node.node.init()
            except BaseException:
                await self._clean_up()
                raise
            self.plan.arm(_watched)
            self.opened = True
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._clean_up()

    async def _clean_up(self) -> None:
        nodes = self.graph.nodes.values()
        found = await asyncio.gather(*(n.node.cleanup() for n in nodes), return_exceptions=True)
        for failure in found:
            if isinstance(failure, BaseException):
                raise failure

    def find(self, task: Any) -> str | None:
        """Return the node that a name, a function or a task stands for; None if there is none."""
        if isinstance(task, str):
            return task if task in self.plan.steps else None
        try:
            return self.functions.get(function_of(task))
        except TypeError:  # what cannot be hashed is the function of no node
            return None

    def arm(self, step: Step) -> None:
        """Make a step ready that is not in the plan."""
        step.arm()
        step.call = _watched(step, step.call)

    def require_open(self) -> None:
        """Raise Conflict when the nodes are not initialised."""
        if not self.opened:
            raise Conflict(f"open the graph '{self.id}' first: async with compile_graph(...)")


def compile_graph(
    graph: FlowGraph, *, recorded: bool = False, digest: str = "", tools: Tools | None = None
) -> CompiledGraph:
    """Compile a graph; its `entry_point` is where runs begin.

    Args:
        recorded: runs are observed step by step, so that no step is part of a chain.
        tools: what `context.tools` calls, unless a run has its own.

    Raises:
        WorkflowInvalid: no entry point, an unknown one, a node that no run can execute, a wrong
            budget; with every problem and its JSON path.
    """
    raise_if_any(run_checks.problems(graph))
    return CompiledGraph(graph, recorded=recorded, digest=digest, tools=tools)


def _with_the_rest(
    graph: FlowGraph, order: list[str], back: set[str]
) -> tuple[list[str], set[str]]:
    """Return all nodes in order, and the edges that no join waits for: those that close a cycle,
    and those from nodes that the entry point does not lead to. A run may jump to those."""
    entered = set(order)
    rest = [node_id for node_id in graph.nodes if node_id not in entered]
    entering = {e.id for e in graph.edges if e.target in entered and e.source not in entered}
    if not rest:
        return order, back
    inner = {n: [t for t in graph.downstream(n) if t not in entered] for n in rest}
    cuts = closing_edges(rest, inner.__getitem__)
    turning = {edge.id for edge in graph.edges if (edge.source, edge.target) in cuts}
    back = back | entering | turning
    return [*order, *topological(rest, inner.__getitem__, cuts)], back


def _bases(graph: FlowGraph, order: list[str], back: set[str]) -> dict[str, str]:
    """Return for each join the node at which its branches forked."""
    above = run_checks.dominators(graph, order, back)
    return {
        node_id: above[node_id]
        for node_id in order[1:]
        if sum(edge.id not in back for edge in graph.incoming(node_id)) > 1
    }


def _watched(step: Step, call: Call) -> Call:
    """Return a step's call as a run makes it: counted, limited, and with what it returned kept."""
    if step.contextual:
        return _steered(step.id, call)
    if isinstance(step.node, FunctionNode) and step.node.plain:
        return _on_state(step.id, step.node)
    return _plain(step.id, call)


def _steered(node_id: str, call: Call) -> Call:
    async def steered(item: StateItem, context: RunStepContext) -> NodeOutput | None:
        run = item.run
        run.begin(node_id, item)
        context.item = item
        try:
            output = await call(item, context)
            if context.steering is not None:
                run.steer(node_id, item, context.steering)
            return run.end(node_id, item, output)
        except RunEnded:
            raise
        except (Exception, asyncio.CancelledError) as error:
            run.failed(node_id, item, error)
            raise

    return steered


def _plain(node_id: str, call: Call) -> Call:
    async def plain(item: StateItem) -> NodeOutput | None:
        run = item.run
        run.begin(node_id, item)
        try:
            return run.end(node_id, item, await call(item))
        except (Exception, asyncio.CancelledError) as error:
            run.failed(node_id, item, error)
            raise

    return plain


def _on_state(node_id: str, node: FunctionNode) -> Call:
    """Do what `_plain` does with the calls it makes written out: most of a run's time is here."""
    call, answered = node.call, node.answered

    async def on_state(item: StateItem) -> NodeOutput | None:
        run = item.run
        path = run.path
        if run.ending is not None or len(path) >= run.room:
            run.begin(node_id, item)
        path.append(node_id)
        item.taken = True
        try:
            value = await call(dict(item.data))
            if value.__class__ is not dict or run.recorder is not None:
                return run.end(node_id, item, answered(item, value))
        except (Exception, asyncio.CancelledError) as error:
            run.failed(node_id, item, error)
            raise
        data = {**item.data, **value}
        completed = run.completed
        completed[node_id] = completed.get(node_id, 0) + 1
        run.newest = data
        run.gave[node_id] = made = StateItem(item.id, data, run, value)
        return made

    return on_state


class _NoTools:
    async def call(self, name: str, arguments: Any) -> Json:
        raise UnknownTool(f"no tool has the name {name!r}: this graph was given none")
