"""FlowEngine: a workflow's JSON in, running loops and single nodes out.

It is the place where the pure core meets the world: the node registry, the tools, the language of
conditions and the store are handed to it here.
"""

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forms.choices import saved_values
from forms.templating import compile_condition
from nodes import files
from nodes.contract import (
    DEFAULT_PORT,
    ExecutionCompleted,
    Json,
    NodeConfig,
    NodeOutput,
    chosen_port,
)
from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry, tools
from orchestrator.exceptions import NotFound
from orchestrator.execution.context import ExecutionContext, Scope
from orchestrator.execution.job import LoopJob
from orchestrator.execution.plan import Call, Plan, Step
from orchestrator.execution.run_stores import provide_stores
from orchestrator.execution.runner import FlowRunner
from orchestrator.execution.tasks import tasks
from orchestrator.execution.traces import Traces
from orchestrator.execution.workflow_engine import WorkflowEngine
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.builder import FlowBuilder, LoadedFlow
from orchestrator.flow.graph import FlowGraph, FlowNode
from orchestrator.flow.loops import Loop
from orchestrator.flow.processors import (
    NodeValidator,
    PostProcessor,
    QueueMapper,
    WebhookPaths,
)
from orchestrator.security.credentials import Credentials
from storage.base import QueueStore
from storage.codec import encode
from storage.datastore import open_store
from storage.records import Lease, SlotState

provide_stores(open_store)
BENCH_SLOT = "bench"
"""What the bench has in the place of a slot's number, where staged effects are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotAssignment:
    """Which copy of which loop is to run, for which activation of which version."""

    workflow: str
    version: int
    activation: int
    loop: str
    slot: int
    token: int


@dataclass(slots=True, kw_only=True)
class NodeResult:
    """What one node did on the bench. `seconds` is the time its call took.

    emitted: (queue, data) pairs it would have written; effects: what it staged, and wrote: the
    files, below the files folder, that were written with it.
    """

    output: dict[str, Any] | None = None
    port: str | None = None
    completed: bool = False
    seconds: float = 0.0
    values: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    emitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)
    wrote: list[str] = field(default_factory=list)


class FlowEngine:
    """Loads workflows and makes what runs them.

    Args:
        files_dir: the only folder that file nodes may read and write.
        processors: run on every graph after the built-in ones.
    """

    def __init__(
        self,
        registry: NodeRegistry,
        tools: ToolRegistry,
        *,
        files_dir: Path,
        processors: Sequence[PostProcessor] = (),
        max_steps: int = 1000,
    ) -> None:
        self.registry = registry
        self.tools = tools
        self._max_steps = max_steps
        built_in = (QueueMapper(), NodeValidator(), WebhookPaths())
        self._processors: tuple[PostProcessor, ...] = (*built_in, *processors)
        self._builder = FlowBuilder(registry.create, compile_condition)
        files.configure(files_dir)

    def load(self, raw: Any) -> LoadedFlow:
        """Build and check a workflow. Every call makes node instances of its own.

        Raises:
            WorkflowInvalid: with every problem and its JSON path.
        """
        return self._builder.load(raw, self._processors)

    def load_saved(self, raw: Any) -> LoadedFlow:
        """Load a stored version: a choice whose source is away was checked when it was saved.

        Raises:
            WorkflowInvalid: with every problem and its JSON path.
        """
        with saved_values():
            return self.load(raw)

    def inspect(self, raw: Any) -> LoadedFlow:
        """Build what can be built, for work on single nodes: see `LoadedFlow.require_valid`."""
        return self._builder.inspect(raw, self._processors)

    def runner(
        self,
        flow: LoadedFlow,
        assignment: SlotAssignment,
        store: QueueStore,
        lease_valid: Callable[[], bool] = lambda: True,
        restore: SlotState | None = None,
        around: Callable[[Step, Call], Call] | None = None,
        credentials: Credentials | None = None,
        traces: Callable[[LoopJob], Traces | None] | None = None,
    ) -> FlowRunner:
        """Make the runner of one slot.

        Args:
            restore: the state to begin with when the store knows nothing of the slot.
            around: wraps the call of every node, to see what it is given and gives.
            credentials: those that the loop's nodes may open.
            traces: makes what follows single items.

        Raises:
            NotFound: the workflow has no such loop.
        """
        loop = _loop(flow.analyzer, assignment.loop)
        hand_over(credentials, [node.node for node in loop.nodes])
        return FlowRunner(
            LoopJob(
                graph=flow.graph,
                loop=loop,
                scope=self._scope(assignment, store),
                lease=_lease(assignment),
                store=store,
                writers=flow.analyzer.writers_of(loop),
                back_edges=frozenset(edge.id for edge in loop.back_edges),
                lease_valid=lease_valid,
                max_deliveries=loop.producer.config.options.max_deliveries,
                restore=restore,
                around=around,
                traces=traces,
            )
        )

    def _scope(self, assignment: SlotAssignment, store: QueueStore) -> Scope:
        return Scope(
            workflow=assignment.workflow,
            version=assignment.version,
            activation=assignment.activation,
            loop=assignment.loop,
            slot=assignment.slot,
            token=assignment.token,
            tools=self.tools,
            max_steps=self._max_steps,
            store=store,
        )

    async def execute_node(
        self,
        config: NodeConfig,
        item: NodeOutput,
        state: Any = None,
        *,
        workflow: str = "",
        write: bool = False,
        credentials: Credentials | None = None,
    ) -> NodeResult:
        """Run one node as the bench does: through the same walk, and nothing leaves it.

        Args:
            workflow: the id of its workflow.
            write: apply what the node stages, in a segment that is no slot's.
            credentials: those that the node may open.

        Raises:
            UnknownNodeType: there is no such type.
            NodeFailed: it could not be initialised, or it raised.
        """
        node = self.registry.create(config)
        node.state = state
        hand_over(credentials, [node])
        graph = FlowGraph()
        graph.add(FlowNode(id=config.id, type=config.type, index=0, config=config, node=node))
        plan = Plan(graph, [config.id])
        scope = Scope(
            workflow=workflow, version=0, activation=0, loop=config.id, mode="bench",
            tools=self.tools, max_steps=self._max_steps,
        )  # fmt: skip
        context = ExecutionContext(scope, item)
        result = NodeResult()
        try:
            await node.init()
            plan.arm(functools.partial(_recorded, result))
            await WorkflowEngine(plan).execute(context, config.id)
            result.emitted = [(output.queue, output.item.data) for output in context.outputs]
            result.effects = [effect.value for effect in context.effects]
            if write and node.staged and result.effects:
                result.wrote = await asyncio.to_thread(_apply, node, result.effects)
            result.state = node.state
        finally:
            await node.cleanup()
        return result


def hand_over(credentials: Credentials | None, nodes: Iterable[Any]) -> None:
    """Give nodes the credentials that came with the order to run them."""
    if credentials is not None:
        for node in nodes:
            node.credentials = credentials


def _apply(node: Any, effects: list[Any]) -> list[str]:
    """Write what a node staged to the bench's own segment, and name it."""
    node.open_effects(None, BENCH_SLOT, 0)
    node.apply_effects(effects)
    return [node.segment(BENCH_SLOT)]


def _recorded(result: NodeResult, step: Step, call: Call) -> Call:
    """Wrap a node's call so that the bench sees what it returned, and checks it."""

    async def recorded(*args: Any) -> Any:
        begun = time.perf_counter()
        output = await call(*args)
        result.seconds = time.perf_counter() - begun
        result.values = dict(step.node.values)  # type: ignore[attr-defined]
        if isinstance(output, ExecutionCompleted):
            result.completed = True
            return None
        if isinstance(output, NodeOutput):
            encode(output.data, sys.maxsize)  # how much is too much, the bench itself says
            result.output = output.data
            result.port = chosen_port.get() if step.conditional else DEFAULT_PORT
            if result.port is None:
                raise LookupError(f"{step.type} chose no output port")
        return output

    return recorded


def _loop(analyzer: FlowAnalyzer, loop_id: str) -> Loop:
    for loop in analyzer.loops():
        if loop.id == loop_id:
            return loop
    raise NotFound(f"the workflow has no loop '{loop_id}'")


async def call_tool(name: str, arguments: Mapping[str, Json]) -> Json:
    """Call a tool: the task `tool`, as which a member of a group leaves the process."""
    return await tools.call(name, arguments)


tasks.register("tool", call_tool)


def _lease(assignment: SlotAssignment) -> Lease:
    return Lease(
        workflow=assignment.workflow,
        loop=assignment.loop,
        slot=assignment.slot,
        token=assignment.token,
    )
