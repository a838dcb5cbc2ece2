"""ExecutionContext: what belongs to one walk, such as one iteration of a loop."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodes.contract import REPLY, Json, NodeOutput, Tools
from orchestrator.exceptions import (
    NodeFailed,
    OrchestratorError,
    SteeringRefused,
    StepLimitExceeded,
)
from orchestrator.execution.envelope import seal
from orchestrator.execution.joins import Join, Round, merge
from storage.base import QueueStore
from storage.records import ANSWER, Entry

if TYPE_CHECKING:
    from orchestrator.execution.compiled import CompiledGraph
    from orchestrator.execution.plan import Route, Step
    from orchestrator.execution.run_context import RunContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What every walk of one loop, or of one bench session, has in common."""

    workflow: str
    version: int
    activation: int
    loop: str
    slot: int = 0
    token: int = 0
    mode: str = "production"
    tools: Tools
    max_steps: int = 1000
    store: QueueStore | None = None
    """Where queues of other workflows are; None where nothing leaves the walk."""

    def item_id(self, sequence: int) -> str:
        """Return the deterministic id of this loop's own item."""
        loop = self.loop if self.slot == 0 else f"{self.loop}.{self.slot}"
        return f"{loop}:{self.activation}:{sequence}"


class RunEnded(Exception):
    """Ends the walk of a run from inside a step.

    status: how the run ends. error: why; None for a run that was terminated.
    """

    def __init__(self, status: str, message: str = "", error: OrchestratorError | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = error


@dataclass(slots=True, eq=False)
class Output:
    """An item for a queue, and the envelope it travels in. Never changed; see NodeOutput."""

    queue: str
    item: NodeOutput
    body: bytes
    node_id: str


@dataclass(slots=True, eq=False)
class Effect:
    """What a node staged, to be applied by itself in commit order."""

    node_id: str
    value: Json


class ExecutionContext:
    """One walk. The defaults live on the class: the common iteration stages nothing."""

    born: float = 0.0
    """When the producer gave the item this one comes from, in seconds since the epoch; 0: now."""
    entry_node: str | None = None
    """The node that got `item`, if the walk did not begin behind its producer."""
    start: NodeOutput | None = None
    """What the producer had given when the walk is entered at a node."""
    attempts: "Sequence[Json]" = ()
    """Records of attempts that failed."""
    origin: int | None = None
    """The dead letter that is replayed."""
    delayed: "tuple[float, bytes] | None" = None
    """In how many seconds the failed walk is tried again, and the envelope of that."""
    forked: bool = False
    flushed: bool = False
    """Whether it began with what a node held back."""
    straight: bool = False
    """Set with a failure: nothing had been staged, nor had the walk forked."""

    sequence: int = 0
    cursor: Json = None
    """The producer's state behind this item; None where there is none to commit."""
    entry: Entry | None = None
    deliveries: int = 1
    outputs: "list[Output] | tuple[()]" = ()
    effects: "list[Effect] | tuple[()]" = ()
    states: "dict[str, Json] | None" = None
    failure: NodeFailed | None = None
    failure_reason: str = "max_attempts"
    joins: "dict[str, Join] | None" = None
    """Joins, by node id, that wait for more; empty or None when there are none."""
    ended_round: Round | None = None
    """The round that has ended, for the node that is run again."""
    completing: bool = False
    """Whether it begins with what a node holds back at the end of an activation."""
    steps: int = 0
    path: "list[str] | tuple[()]" = ()
    tasks: "set[asyncio.Task[None]] | frozenset[asyncio.Task[None]]" = frozenset()
    """What goes on in the background."""
    walking: bool = True
    cancelled: bool = False
    """True when background work was cut off: the iteration did not come to its end."""
    on_background_done: "Callable[[ExecutionContext], None] | None" = None
    run: "RunContext | None" = None
    """The walk itself, if it is that of a run."""
    span: Any = None
    """What `Traces` notes of an iteration that is followed."""

    def __init__(self, scope: Scope, item: NodeOutput) -> None:
        self.scope = scope
        self.item = item
        self.clean = True
        """False once anything was staged, failed, or left in the background."""

    @staticmethod
    def create(
        *,
        graph: "CompiledGraph",
        start_node: str | None = None,
        queue_backend: str = "memory",
        channel_backend: str = "memory",
        config: Mapping[str, Any] | None = None,
    ) -> "RunContext":
        """Make the context of one run.

        Args:
            start_node: where the run begins; None: at the graph's entry point.
            queue_backend, channel_backend: "memory" for this process only, or "redis".
            config: `run_id`, `max_steps`, `timeout` and `state_bytes` as in RunLimits, `tools`,
                `redis_url` for Redis (then `await context.close()` in the end), and `channel`, a
                `storage.base.Channel` of your own.

        Raises:
            NotFound: the graph has no such node.
            InvalidRequest: an unknown backend or key of `config`, or Redis without a URL.
        """
        from orchestrator.execution.run_creation import create

        return create(graph, start_node, queue_backend, channel_backend, config or {})

    def turn(self, route: "Route") -> "Step":
        """Follow an edge that closes a cycle, and return where it leads.

        Raises:
            StepLimitExceeded: the walk has taken as many of them as it may.
        """
        self.path = [*self.path[-9:], route.target.id]
        self.steps += 1
        if self.steps > self.scope.max_steps:
            raise StepLimitExceeded(self.scope.max_steps, tuple(self.path))
        return route.target

    def come_back(self, node_id: str, item: NodeOutput) -> None:
        """Keep what came back to a node that is run again.

        Raises:
            NodeFailed: the walk has been entered behind it, so that it waits for nothing.
        """
        waiting = (self.joins or {}).get(node_id)
        if not isinstance(waiting, Round):
            message = "an item came back to a node that gave none: replay it from the beginning"
            raise NodeFailed(message, node_id=node_id, error_type="NotGiven")
        waiting.returned.append(item)

    def new_join(self, size: int) -> Join:
        return Join(size)

    def merge(self, step: "Step", items: Sequence[NodeOutput]) -> NodeOutput | None:
        """Join what arrived at a step; None if nothing did."""
        return merge(items)

    def note(self, ready: "Sequence[tuple[Step, NodeOutput]]") -> None:
        """Take note of steps that are ready though no step before them has just ended."""

    def at(self, step: "Step", item: NodeOutput) -> "StepContext":
        """Return the walk as a node sees it that works on an item."""
        return StepContext(self, step.id, item, step.body)

    @property
    def begun_with(self) -> NodeOutput:
        """What the producer had given."""
        return self.item if self.start is None else self.start

    @property
    def done(self) -> bool:
        """Whether the walk and everything it left in the background have ended."""
        return not self.walking and not self.tasks

    def emit(self, output: Output) -> None:
        self.clean = False
        if isinstance(self.outputs, tuple):
            self.outputs = []
        self.outputs.append(output)

    def stage(self, effect: Effect) -> None:
        self.clean = False
        if isinstance(self.effects, tuple):
            self.effects = []
        self.effects.append(effect)

    def fail(self, error: NodeFailed) -> None:
        """Drop what the walk staged; the first failure is the one that is kept."""
        if self.failure is None:
            self.failure = error
            self.straight = not (self.outputs or self.effects or self.forked or self.joins)
        self.clean = False
        self.outputs = ()
        self.effects = ()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Go on in the background; the walk is not done before it has ended."""
        self.clean = False
        self.forked = True
        task = asyncio.create_task(work, name=_task_name())
        self.tasks = {*self.tasks, task}
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.tasks = self.tasks - {task}
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            self.cancelled = True
        elif isinstance(error, NodeFailed):
            self.fail(error)
        elif error is not None:
            self.fail(NodeFailed(str(error), error_type=type(error).__name__))
        if not self.tasks and self.on_background_done is not None:
            self.on_background_done(self)


def _task_name() -> str | None:
    """Background work keeps its loop's name, by which a blocked host finds the culprit."""
    task = asyncio.current_task()
    return task.get_name() if task is not None else None


def idempotency_key(workflow: str, node_id: str, item_id: str) -> str:
    """Return the key of an item at a node: the same for every attempt, delivery and replay."""
    return hashlib.sha256(f"{workflow}|{node_id}|{item_id}".encode()).hexdigest()[:32]


class StepContext:
    """A walk as one node sees it; given to nodes that declare `execute(self, item, context)`."""

    __slots__ = ("_body", "_item", "_made", "_node_id", "_walk")

    def __init__(
        self,
        walk: ExecutionContext,
        node_id: str,
        item: NodeOutput | None = None,
        body: Collection[str] = (),
    ) -> None:
        self._walk = walk
        self._node_id = node_id
        self._item = item
        self._body = body
        self._made = 0

    @property
    def _own(self) -> NodeOutput:
        """The item in hand; of a flush, what the walk begins with."""
        return self._walk.item if self._item is None else self._item

    @property
    def tools(self) -> Tools:
        return self._walk.scope.tools

    @property
    def mode(self) -> str:
        return self._walk.scope.mode

    @property
    def idempotency_key(self) -> str:
        scope = self._walk.scope
        return idempotency_key(scope.workflow, self._node_id, self._own.id)

    @property
    def completing(self) -> bool:
        return self._walk.completing

    def run_again(self, kept: object) -> None:
        """Have the node run again in this walk, when all that it gives now has gone its way."""
        walk = self._walk
        if walk.joins is None:
            walk.joins = {}
        if self._node_id in walk.joins:
            raise NodeFailed("an item came while another goes round", error_type="JoinOverrun")
        walk.joins[self._node_id] = Round(self._node_id, self._own, self._body, kept)

    def take_round(self) -> Round | None:
        """Return the round that has ended, once; None when the item is a new one."""
        found = self._walk.ended_round
        if found is None or found.node_id != self._node_id:
            return None
        self._walk.ended_round = None
        return found

    def emit(self, queue: str, item: NodeOutput) -> None:
        """See NodeContext. Raises InvalidPayload here, where the node is known that is at fault."""
        if not isinstance(item, NodeOutput):
            raise TypeError(f"emit takes an item, not {type(item).__name__}")
        scope = self._walk.scope
        born = self._walk.born or time.time()
        body = seal(item, activation=scope.activation, version=scope.version, born=born)
        output = Output(queue, item, body, self._node_id)
        self._walk.emit(output)

    def stage(self, effect: Json) -> None:
        self._walk.stage(Effect(self._node_id, effect))

    async def call(
        self, workflow: str, queue: str, item: NodeOutput, *, max_length: int, wait: float | None
    ) -> dict[str, Json] | None:
        """See CallsContext."""
        from orchestrator.execution.calls import call

        key = self.idempotency_key
        if wait is not None:
            item = NodeOutput(item.id, item.data, {**item.metadata, REPLY: f"{ANSWER}{key}"})
        store = self._walk.scope.store
        if store is None:
            self.emit(f"{workflow}/{queue}", item)
            return None
        return await call(
            store, self._walk, workflow, queue, item, key=key, max_length=max_length, wait=wait
        )

    def new_item(self, data: dict[str, Json]) -> NodeOutput:
        self._made += 1
        return NodeOutput(f"{self._own.id}:{self._node_id}:{self._made}", data)

    async def run_group(self, name: str, settings: Mapping[str, Json]) -> dict[str, Json]:
        from orchestrator.execution.groups import tool_group

        return await tool_group(name, settings, self.tools).run({}, self)

    def next_task(self, task: Any, goto: bool = False) -> None:
        """See RunNodeContext; only a run can be steered."""
        raise _unsteered()

    def next_iteration(self, data: dict[str, Json]) -> None:
        raise _unsteered()

    def terminate_workflow(self, message: str = "") -> None:
        raise _unsteered()

    def cancel_workflow(self, message: str = "") -> None:
        raise _unsteered()


def _unsteered() -> SteeringRefused:
    return SteeringRefused("only a run can be steered; this is a loop, or the bench")
