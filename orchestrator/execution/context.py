"""ExecutionContext: what belongs to one walk, such as one iteration of a loop."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from nodes.contract import Json, NodeOutput, Tools
from orchestrator.exceptions import NodeFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What every walk of one loop, or of one bench session, has in common."""

    workflow: str
    version: int
    activation: int
    loop: str
    slot: int = 0
    mode: str = "production"
    tools: Tools
    max_steps: int = 1000

    def item_id(self, sequence: int) -> str:
        """Return the deterministic id of this loop's own item."""
        loop = self.loop if self.slot == 0 else f"{self.loop}.{self.slot}"
        return f"{loop}:{self.activation}:{sequence}"


class Join:
    """What has arrived at a node with several incoming edges; None stands for a dead edge."""

    __slots__ = ("items", "undecided")

    def __init__(self, arrivals: int) -> None:
        self.items: list[NodeOutput | None] = [None] * arrivals
        self.undecided = arrivals


class ExecutionContext:
    """One walk. The defaults live on the class: the common iteration stages nothing, and its
    context, still `clean`, serves the next one."""

    clean: bool = True
    """False once anything was staged, failed, or left in the background."""

    sequence: int = 0
    cursor: Json = None
    """The producer's state behind this item; None where there is none to commit."""
    entry: tuple[str, str] | None = None
    deliveries: int = 1
    outputs: "list[tuple[str, NodeOutput]] | tuple[()]" = ()
    effects: "list[tuple[str, Json]] | tuple[()]" = ()
    states: "dict[str, Json] | None" = None
    failure: NodeFailed | None = None
    failure_reason: str = "max_attempts"
    joins: "dict[str, Join] | None" = None
    steps: int = 0
    path: "list[str] | tuple[()]" = ()
    background: int = 0
    walking: bool = True
    on_background_done: "Callable[[ExecutionContext], None] | None" = None

    def __init__(self, scope: Scope, item: NodeOutput) -> None:
        self.scope = scope
        self.item = item

    @property
    def done(self) -> bool:
        """Whether the walk and everything it left in the background have ended."""
        return not self.walking and self.background == 0

    def emit(self, queue: str, item: NodeOutput) -> None:
        self.clean = False
        self.outputs = [*self.outputs, (queue, item)]

    def stage(self, node_id: str, effect: Json) -> None:
        self.clean = False
        self.effects = [*self.effects, (node_id, effect)]

    def fail(self, error: NodeFailed) -> None:
        """Drop what the walk staged; the first failure is the one that is kept."""
        self.clean = False
        if self.failure is None:
            self.failure = error
        self.outputs = ()
        self.effects = ()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on in the background; the walk is not done before it has ended."""
        self.clean = False
        self.background += 1
        task = asyncio.create_task(work, name=_task_name())
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.background -= 1
        error = None if task.cancelled() else task.exception()
        if isinstance(error, NodeFailed):
            self.fail(error)
        elif error is not None:
            self.fail(NodeFailed(str(error), error_type=type(error).__name__))
        if self.background == 0 and self.on_background_done is not None:
            self.on_background_done(self)


def _task_name() -> str | None:
    """Background work keeps its loop's name, by which a blocked host finds the culprit."""
    task = asyncio.current_task()
    return task.get_name() if task is not None else None


class StepContext:
    """A walk as one node sees it; given to nodes that declare `execute(self, item, context)`."""

    __slots__ = ("_node_id", "_walk")

    def __init__(self, walk: ExecutionContext, node_id: str) -> None:
        self._walk = walk
        self._node_id = node_id

    @property
    def tools(self) -> Tools:
        return self._walk.scope.tools

    @property
    def mode(self) -> str:
        return self._walk.scope.mode

    @property
    def idempotency_key(self) -> str:
        scope = self._walk.scope
        identity = f"{scope.workflow}|{self._node_id}|{self._walk.item.id}"
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    def emit(self, queue: str, item: NodeOutput) -> None:
        self._walk.emit(queue, item)

    def stage(self, effect: Json) -> None:
        self._walk.stage(self._node_id, effect)

    def new_item(self, data: dict[str, Json]) -> NodeOutput:
        return NodeOutput(f"{self._walk.item.id}:{self._node_id}", data)
