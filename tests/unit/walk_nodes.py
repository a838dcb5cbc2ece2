"""Nodes whose behaviour a test writes itself, and a shorthand for walking them."""

import asyncio
from collections.abc import Callable
from typing import Any

from nodes.base import BaseNode, ConditionalNode, NonBlockingNode
from nodes.contract import NodeConfig, NodeKind, NodeOptions, NodeOutput
from nodes.tools import ToolRegistry
from orchestrator.execution.context import ExecutionContext, Scope
from orchestrator.execution.plan import Plan
from orchestrator.execution.workflow_engine import WorkflowEngine
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.graph import Edge, FlowGraph, FlowNode

SCOPE = Scope(workflow="w", version=1, activation=1, loop="in", tools=ToolRegistry(), max_steps=20)


def node(
    execute: Callable[..., Any] | None = None, base: type[BaseNode] = BaseNode, **options: Any
) -> Callable[[str], BaseNode]:
    """Make a maker of nodes: `execute(item)`, or `execute(item, context)`, is what it does.

    `state` and `stateful` are the node's; all other options are those of `data.config`.
    """

    def make(node_id: str) -> BaseNode:
        members = {"identifier": node_id, "stateful": options.pop("stateful", False)}
        config = NodeConfig(id=node_id, type=node_id, options=NodeOptions(**options))
        made = type("Made", (base,), members)(config)
        made.execute = execute or _pass_on
        return made

    return make


async def _pass_on(item: NodeOutput) -> NodeOutput:
    return item


def adds(key: str, value: Any = True) -> Callable[[str], BaseNode]:
    """Make a node that puts one more field into the data."""

    async def execute(item: NodeOutput) -> NodeOutput:
        return item.with_data({**item.data, key: value})

    return node(execute)


def chooses(port: str | bool | Callable[[NodeOutput], Any] | None) -> Callable[[str], BaseNode]:
    """Make a conditional node."""

    def make(node_id: str) -> BaseNode:
        async def execute(item: NodeOutput) -> NodeOutput:
            chosen = port(item) if callable(port) else port
            if chosen is not None:
                made.set_output(chosen)
            return item

        made = node(execute, ConditionalNode)(node_id)
        return made

    return make


def behind(execute: Callable[..., Any] | None = None, **options: Any) -> Callable[[str], BaseNode]:
    """Make a non-blocking node."""
    return node(execute, NonBlockingNode, **options)


class Walked:
    """A graph with a plan. Edges are `a b` or `a:port b`; conditions go by `a b`."""

    def __init__(
        self,
        edges: list[str],
        conditions: dict[str, Callable[[dict], bool]] | None = None,
        **makers: Callable[[str], BaseNode],
    ) -> None:
        ends = [end.partition(":")[0] for edge in edges for end in edge.split()]
        self.graph = FlowGraph()
        self.seen: list[tuple[str, dict]] = []
        for index, node_id in enumerate(dict.fromkeys([*ends, *makers])):
            made = makers.get(node_id, node())(node_id)
            if node_id == "in":
                made.kind = NodeKind.PRODUCER
            self.graph.add(
                FlowNode(id=node_id, type=node_id, index=index, config=made.config, node=made)
            )
        for index, text in enumerate(edges):
            source, target = text.split()
            source, _, port = source.partition(":")
            self.graph.connect(
                Edge(
                    id=text,
                    source=source,
                    target=target,
                    source_handle=port or "default",
                    condition=(conditions or {}).get(text),
                    index=index,
                )
            )
        [loop] = FlowAnalyzer(self.graph).loops()
        self.back_edges = frozenset(edge.id for edge in loop.back_edges)
        self.plan = Plan(self.graph, [found.id for found in loop.nodes], self.back_edges)
        self.engine = WorkflowEngine(self.plan)

    async def init(self) -> "Walked":
        for found in self.graph.nodes.values():
            await found.node.init()
        self.plan.arm(self._record)
        return self

    def _record(self, step, call):
        async def recorded(item, *rest):
            self.seen.append((step.id, item.data))
            return await call(item, *rest)

        return recorded

    async def walk(self, **data: Any) -> ExecutionContext:
        """Walk one item from `in` on, and wait for what that leaves in the background."""
        context = ExecutionContext(SCOPE, NodeOutput("in:1:1", data))
        await self.engine.execute(context, "in")
        context.walking = False
        while context.tasks:
            await asyncio.gather(*context.tasks, return_exceptions=True)
            await self.engine.finish(context)
        return context

    @property
    def order(self) -> list[str]:
        return [node_id for node_id, _ in self.seen]

    def inputs(self, node_id: str) -> list[dict]:
        """The data that a node got, call by call."""
        return [data for seen_id, data in self.seen if seen_id == node_id]


async def walked(
    edges: list[str], conditions: dict | None = None, /, **makers: Callable[[str], BaseNode]
) -> Walked:
    return await Walked(edges, conditions, **makers).init()
