"""What a node is to the engine: plain types, no framework.

An *item* travels along the edges. It is never changed in place: a node returns a new one
(`item.with_data(...)`), so that a fork needs no copies and the bench shows what production saw.
"""

import enum
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from orchestrator.exceptions import Problem

Json = Any
"""A value of JSON types only: dict with str keys, list, str, int, float, bool, None."""

DEFAULT_PORT = "default"
REPLY = "reply"
"""The metadata of an item under which its answer is waited for."""
chosen_port: ContextVar[str | None] = ContextVar("chosen_port", default=None)
"""The output port that a conditional node chose for the item in hand, in this task."""


class PoolType(enum.IntEnum):
    """Where a loop runs; the highest pool that one of its nodes asks for wins."""

    ASYNC = 0
    THREAD = 1
    PROCESS = 2


class NodeKind(enum.StrEnum):
    PRODUCER = "producer"
    BLOCKING = "blocking"
    NON_BLOCKING = "non_blocking"
    CONDITIONAL = "conditional"


@dataclass(slots=True)
class NodeOutput:
    """The item. Treat it as immutable; it is not frozen because that triples its cost.

    id: deterministic, `<loop>:<activation>:<sequence>` for what a producer emits.
    data: the payload, JSON types only.
    metadata: JSON that travels along but is no payload, such as headers.
    """

    id: str
    data: dict[str, Json]
    metadata: dict[str, Json] = field(default_factory=dict)

    def with_data(self, data: dict[str, Json]) -> "NodeOutput":
        """Return an item of the same identity that carries other data."""
        return NodeOutput(self.id, data, self.metadata)


@dataclass(frozen=True, slots=True)
class ExecutionCompleted:
    """A producer returns it when it has nothing more to emit in this activation."""

    reason: str = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often one node is tried for one item; delays in seconds, jitter as a share of them.

    retry_on, give_up_on: names of error classes, or of their bases. With `retry_on` nothing else is
    tried again; what `give_up_on` names never is.
    """

    max_attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    retry_on: tuple[str, ...] = ()
    give_up_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """`data.config` of a node: engine options, the same for every node.

    replicas: slots of a loop that a queue feeds. max_deliveries: how often an item of the loop may
        be handed out to workers that die; both are options of the loop's producer.
    max_length, max_bytes: what the queue of a queue-writer may hold.
    overflow: what happens to an item that finds it full: `block` waits, `drop_oldest` lets the
        oldest go, `dead_letter` makes a dead letter of the new one.
    advanced_templates: whether the templates of the form may have loops; only in the PROCESS pool.
    runs_on: labels that a runner needs to run the loop, or a worker to run the graph; sorted.
    """

    timeout: float | None = None
    pool: PoolType | None = None
    retry: RetryPolicy | None = None
    max_in_flight: int = 100
    replicas: int = 1
    max_deliveries: int = 3
    queue_name: str | None = None
    max_length: int = 10_000
    max_bytes: int = 256 * 1024 * 1024
    overflow: str = "block"
    advanced_templates: bool = False
    runs_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One node of a workflow: its id, its type, its form values and its options."""

    id: str
    type: str
    form: Mapping[str, Json] = field(default_factory=dict)
    options: NodeOptions = NodeOptions()


class Tools(Protocol):
    """Named Python functions that a node may call."""

    async def call(self, name: str, arguments: Mapping[str, Json]) -> Json: ...


class NodeContext(Protocol):
    """What a node that declares `execute(self, item, context)` may use."""

    @property
    def tools(self) -> Tools: ...

    @property
    def mode(self) -> str:
        """`production`, `bench` or `run`."""

    @property
    def idempotency_key(self) -> str:
        """Stable over retries and redeliveries of this item at this node."""

    @property
    def completing(self) -> bool:
        """Whether `flush` is called because nothing more comes in this activation."""

    def emit(self, queue: str, item: NodeOutput) -> None:
        """Stage an item for a queue; it is handed over when the iteration is committed."""

    def stage(self, effect: Json) -> None:
        """Stage an effect of this node; its `apply` gets it in commit order."""

    def new_item(self, data: dict[str, Json]) -> NodeOutput:
        """Make an item of this loop's own, for what a node emits in `flush`."""


class Round(Protocol):
    """A round that has ended. kept: what the node wanted to know. returned: what came back."""

    @property
    def kept(self) -> Any: ...
    @property
    def returned(self) -> list[NodeOutput]: ...


class RoundsContext(NodeContext, Protocol):
    """What a node with `repeats` may use, beside the above."""

    def run_again(self, kept: object) -> None:
        """Have the node run again for this item, when all that it gives now has gone its way."""

    def take_round(self) -> Round | None:
        """Return the round that has ended, once; None when the item is a new one."""


class CallsContext(NodeContext, Protocol):
    """What a node that calls another workflow may use, beside the above."""

    async def call(
        self, workflow: str, queue: str, item: NodeOutput, *, max_length: int, wait: float | None
    ) -> dict[str, Json] | None:
        """Put an item into a queue of another workflow, once for the item that the node works on.

        It is there at once, and not only when the iteration is committed. On the bench it is only
        shown, as what is emitted.

        Args:
            max_length: wait for room while the queue holds as many.
            wait: wait so many seconds for what an http-response answers, and return that.

        Raises:
            NodeFailed: the workflow is this one, or it has not answered.
        """


class GroupContext(NodeContext, Protocol):
    """What a node that runs a group may use, beside the above."""

    async def run_group(self, name: str, settings: Mapping[str, Json]) -> dict[str, Json]:
        """Run tools side by side and return their results by member, see docs/groups.md.

        Args:
            settings: policy, n, critical, timeout, member_timeout, executor, and `members`:
                `[{"name", "tool", "arguments"}]`.

        Raises:
            GroupFailed: the policy is not met.
            WorkflowInvalid: the settings make no group.
        """


class RunNodeContext(NodeContext, Protocol):
    """What a node or a function that declares `context` may use in a run, beside the above."""

    @property
    def state(self) -> dict[str, Json]:
        """The state that the node got."""

    @property
    def results(self) -> Mapping[str, Json]:
        """What each node has returned last, by id."""

    @property
    def channel(self) -> Any:
        """The run's shared key and value: get, set(ttl), append, items, add, lock, keys, delete."""

    @property
    def steps(self) -> int:
        """Nodes begun so far, this one included."""

    def checkpoint(self) -> None:
        """Have a checkpoint taken when the node has returned."""

    def next_task(self, task: Any, goto: bool = False) -> None:
        """Say what runs next: a new task, before the successors or (`goto`) in their place; or a
        node of the graph, to which the run jumps."""

    def next_iteration(self, data: dict[str, Json]) -> None:
        """Run the node again with `data` as the state; successors wait for its last round."""

    def terminate_workflow(self, message: str = "") -> None:
        """End the run; the node counts, and nothing is raised."""

    def cancel_workflow(self, message: str = "") -> None:
        """Cancel the run; the node does not count."""


class Node(Protocol):
    """What the engine calls. `nodes.base.BaseNode` implements it."""

    identifier: ClassVar[str]
    kind: ClassVar[NodeKind]
    execution_pool: ClassVar[PoolType]
    input_ports: ClassVar[tuple[str, ...]]
    output_ports: ClassVar[tuple[str, ...]]
    stateful: ClassVar[bool]
    queue_role: ClassVar[str | None]
    """`writer` or `reader` for a node at one end of a queue."""
    staged: ClassVar[bool]
    """Whether it stages effects, which it applies itself in commit order."""
    config: NodeConfig
    state: Json
    templated: bool
    flush_after: float | None
    repeats: ClassVar[str | None]
    """The port of what a node gives round by round, see `RoundsContext`."""
    flushes_many: ClassVar[bool]
    """Whether `flush` is called again as long as it emits something."""

    def ports(self) -> tuple[str, ...]: ...
    def validate(self) -> list[Problem]: ...
    def writes_path(self) -> str | None: ...
    async def init(self) -> None: ...
    async def cleanup(self) -> None: ...
    async def flush(self, context: NodeContext) -> NodeOutput | None: ...
    def render(self, item: NodeOutput) -> None: ...
