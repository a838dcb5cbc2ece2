"""Graphs of Python functions, run once from start to end. Needs neither Django nor Redis.

    graph = Graph("greet").add_node("ask", ask).add_node("greet", greet)
    graph.add_edge("ask", "greet").set_entry_point("ask")
    print(graph.run({"name": "Ada"}).state)

See docs/python-api.md.
"""

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nodes.contract import Json, NodeConfig, Tools
from orchestrator.composition import Flow, Task, task
from orchestrator.exceptions import NodeFailed, Problem, WorkflowInvalid
from orchestrator.execution.compiled import CompiledGraph, compile_graph
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.functions import FunctionNode
from orchestrator.execution.groups import Group, GroupNode
from orchestrator.execution.run_context import RunContext
from orchestrator.execution.run_stores import provide_stores
from orchestrator.execution.runs import NodeState, Run, RunLimits, RunObserver, RunResult, RunStatus
from orchestrator.execution.tasks import tasks
from orchestrator.flow.drawing import mermaid
from orchestrator.flow.graph import Condition, Edge, FlowGraph, FlowNode
from orchestrator.flow.schema import EdgeSpec, NodeSpec, WorkflowSpec
from storage.datastore import open_store

__all__ = [
    "ExecutionContext",
    "Graph",
    "Group",
    "NodeState",
    "Run",
    "RunLimits",
    "RunObserver",
    "RunResult",
    "RunStatus",
    "Task",
    "task",
    "tasks",
    "workflow",
]

provide_stores(open_store)


class Graph:
    """A graph in the making. Every change makes it compile anew; runs share what is compiled.

    Args:
        tools: what tasks call as `context.tools`.
    """

    def __init__(self, name: str, *, tools: Tools | None = None) -> None:
        self.name = name
        self._tools = tools
        self._nodes: dict[str, FlowNode] = {}
        self._edges: list[Edge] = []
        self._labels: list[str | None] = []
        self._entry: str | None = None
        self._compiled: dict[bool, CompiledGraph] = {}

    def add_node(self, name: str, function: Any, *, thread: bool = False) -> "Graph":
        """Add a function, what `@task` made of one, or a Group, under a name.

        A function gets the state as its first parameter, and returns a dict of what it changed or
        None. A task has all its parameters filled by name.

        Args:
            thread: call a plain function in a thread. In line it holds up the event loop, which is
                what a script wants and a server does not.

        Raises:
            WorkflowInvalid: the name is taken. RegistryError: this is no function.
        """
        if not isinstance(name, str) or not name:
            raise _invalid("nodes", f"{name!r} is no name for a node")
        if name in self._nodes:
            raise _invalid(f"nodes.{name}", f"there is a node '{name}' already")
        config = NodeConfig(id=name, type=_type_of(function))
        node: Any
        if isinstance(function, Group):
            node = GroupNode(config, function)
        elif isinstance(function, Task):
            node = FunctionNode(
                config, function.function, state_first=False, thread=thread or function.thread
            )
        else:
            node = FunctionNode(config, function, state_first=True, thread=thread)
        index = len(self._nodes)
        self._nodes[name] = FlowNode(
            id=name, type=config.type, index=index, config=config, node=node
        )
        self._compiled.clear()
        return self

    def add_edge(
        self,
        source: str,
        target: str,
        *,
        condition: Condition | str | None = None,
        budget: int | None = None,
        on_limit: str | None = None,
    ) -> "Graph":
        """Add an edge. Several from one node are all followed, side by side.

        Args:
            condition: a function of the state, or an expression such as `data.score > 0.9`; the
                edge is followed when it is true.
            budget: how often the edge may be followed in a run, if it closes a cycle.
            on_limit: the node to go to instead when the budget is used up; None: the run fails.

        Raises:
            WorkflowInvalid: the condition does not parse, or is async.
        """
        place = f"{source} -> {target}"
        index = len(self._edges)
        made = Edge(
            id=f"{place} #{index}",
            source=source,
            target=target,
            condition=_condition(place, condition),
            index=index,
            budget=budget,
            on_limit=on_limit,
        )
        self._edges.append(made)
        self._labels.append(_label(condition))
        self._compiled.clear()
        return self

    def set_entry_point(self, name: str) -> "Graph":
        """Say where runs begin."""
        self._entry = name
        self._compiled.clear()
        return self

    def compile(self, *, recorded: bool = False) -> CompiledGraph:
        """Return the graph ready to run; it is kept until the graph changes.

        Args:
            recorded: for runs with an observer, see `Run`.

        Raises:
            WorkflowInvalid: with every problem: no entry point, an edge to or from a node that
                there is not, a budget of an edge that closes no cycle.
        """
        if recorded not in self._compiled:
            self._compiled[recorded] = compile_graph(
                self._flow(), recorded=recorded, digest=self._digest(), tools=self._tools
            )
        return self._compiled[recorded]

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd but does not keep the graph from running: nodes that no edge leads to."""
        return self.compile().warnings

    def run(self, state: dict[str, Any] | None = None, **limits: Any) -> RunResult:
        """Run the graph in a script; see `arun`.

        Raises:
            RuntimeError: there is an event loop already: await `arun` instead.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.arun(state, **limits))
        raise RuntimeError("an event loop is running here: use `await graph.arun(state)`")

    async def arun(
        self,
        state: dict[str, Any] | None = None,
        *,
        context: RunContext | None = None,
        observer: RunObserver | None = None,
        **limits: Any,
    ) -> RunResult:
        """Run the graph once, and return how it ended.

        Args:
            state: to begin with; the keys that nodes return are merged over it.
            context: from `ExecutionContext.create`, with its own limits.
            observer: sees every step and takes snapshots; states have to be JSON then.
            limits: `max_steps`, `timeout`: see RunLimits.

        Raises:
            WorkflowCancelled: a node cancelled it.
            NodeFailed, StepLimitExceeded, RunTimeout: why it failed.
        """
        graph = self.compile(recorded=observer is not None)
        allowed = RunLimits(**limits) if limits else None
        run = Run(graph, context, observer, allowed)
        return (await run.execute({} if state is None else state)).check()

    def mermaid(self) -> str:
        """Return a drawing of the graph in Mermaid's language."""
        nodes = tuple(
            NodeSpec(id=n.id, type=n.type, index=n.index, config=n.config)
            for n in self._nodes.values()
        )
        edges = tuple(
            EdgeSpec(
                id=e.id, source=e.source, target=e.target, condition=label, index=e.index,
                budget=e.budget, on_limit=e.on_limit,
            )
            for e, label in zip(self._edges, self._labels, strict=True)
        )  # fmt: skip
        return mermaid(
            WorkflowSpec(name=self.name, nodes=nodes, edges=edges, entry_point=self._entry, raw={})
        )

    def _flow(self) -> FlowGraph:
        unknown = [
            Problem(f"edges.{edge.source} -> {edge.target}", f"there is no node '{name}'")
            for edge in self._edges
            for name in (edge.source, edge.target)
            if name not in self._nodes
        ]
        if unknown:
            raise WorkflowInvalid(": ".join(unknown[0]), problems=tuple(unknown))
        graph = FlowGraph(name=self.name, entry_point=self._entry)
        for node in self._nodes.values():
            graph.add(replace(node, node=_fresh(node.node)))
        for edge in self._edges:
            graph.connect(edge)
        return graph

    def _digest(self) -> str:
        """Return a SHA-256, in hex, of the names of all that runs and of how it is connected."""
        nodes = [[n.id, n.type, _members_of(n.node)] for n in self._nodes.values()]
        runs: list[Any] = [self._entry, nodes]
        runs += [[e.source, e.target, label, e.budget, e.on_limit] for e, label in self._pairs()]
        return hashlib.sha256(repr(runs).encode()).hexdigest()

    def _pairs(self) -> list[tuple[Edge, str | None]]:
        return list(zip(self._edges, self._labels, strict=True))


class workflow(Graph):
    """A graph of the tasks that are connected with `>>` in its `with` block.

    with workflow("report") as wf:
        load >> (sums | counts) >> write
    wf.execute("load", {"path": "orders.csv"})
    """

    def __enter__(self) -> "workflow":
        self._token = Flow.begin()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        flows = Flow.end(self._token)
        for flow in flows if error is None else ():
            self.add_flow(flow)

    def add_flow(self, flow: Flow) -> "workflow":
        """Add the tasks and edges of a composition; what is there already is not added again."""
        for name, part in flow.nodes.items():
            if name not in self._nodes:
                self.add_node(name, part)
            elif not _is_same(self._nodes[name].node, part):
                raise _invalid(f"nodes.{name}", f"there is another node '{name}' already")
        known = {(edge.source, edge.target) for edge in self._edges}
        for source, target in flow.edges:
            if (source, target) not in known:
                self.add_edge(source, target)
        if self._entry is None and flow.heads:
            self.set_entry_point(flow.heads[0])
        return self

    def execute(
        self, start: str | None = None, state: dict[str, Any] | None = None, **limits: Any
    ) -> RunResult:
        """Run from a task, or from the first one, in a script; see `Graph.run`."""
        if start is not None and start != self._entry:
            self.set_entry_point(start)
        return self.run(state, **limits)


def _fresh(node: Any) -> Any:
    """Return a node of one's own for each compilation: what is before it may differ."""
    if isinstance(node, GroupNode):
        return GroupNode(node.config, node.group)
    return node.copy()


def _is_same(node: Any, part: Any) -> bool:
    if isinstance(node, FunctionNode):
        return isinstance(part, Task) and node.function is part.function
    return isinstance(part, Group) and tuple(node.group.members) == tuple(part.members)


def _members_of(node: Any) -> Json:
    return node.group.definition if isinstance(node, GroupNode) else None


def _type_of(function: Any) -> str:
    if isinstance(function, Group):
        return "group"
    function = function.function if isinstance(function, Task) else function
    return str(getattr(function, "__name__", type(function).__name__))


def _condition(place: str, condition: Condition | str | None) -> Condition | None:
    if condition is None:
        return None
    if isinstance(condition, str):
        from forms.templating import compile_condition

        try:
            return _placed(place, compile_condition(condition))
        except Exception as error:
            raise _invalid(f"edges.{place}", f"the condition does not parse: {error}") from error
    if not callable(condition) or inspect.iscoroutinefunction(condition):
        raise _invalid(f"edges.{place}", "a condition is a plain function of the state, or a text")
    return _placed(place, condition)


def _placed(place: str, condition: Callable[[Mapping[str, Json]], bool]) -> Condition:
    """Return a condition that says where it is when it raises."""

    def holds(state: Mapping[str, Json]) -> bool:
        try:
            return bool(condition(state))
        except Exception as error:
            kind = type(error).__name__
            message = f"the condition of the edge {place} raised {kind}: {error}"
            raise NodeFailed(message, error_type="ConditionFailed") from error

    return holds


def _label(condition: Condition | str | None) -> str | None:
    return condition if condition is None or isinstance(condition, str) else _type_of(condition)


def _invalid(path: str, message: str) -> WorkflowInvalid:
    return WorkflowInvalid(message, problems=(Problem(path, message),))
