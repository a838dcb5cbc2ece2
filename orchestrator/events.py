"""What can be seen of running workflows: states, and frozen events with their JSON form."""

import enum
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol


class LoopState(enum.StrEnum):
    """What one copy of a loop does; every state may come with a reason."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    BLOCKED = "blocked"
    PAUSED = "paused"
    DRAINING = "draining"
    DEGRADED = "degraded"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all events. `type` is the name a client sees."""

    type: ClassVar[str] = ""

    def marshal(self) -> dict[str, Any]:
        """Return the event as JSON."""
        return {"type": self.type, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEvent(Event):
    """Something about one copy of a loop."""

    loop: str
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStateChanged(SlotEvent):
    type: ClassVar[str] = "loop_state"
    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStarted(SlotEvent):
    """A node began to work: on its first item, or on one that takes a while."""

    type: ClassVar[str] = "node_started"
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCompleted(SlotEvent):
    """A node gave answers; `count` is how many so far, `last_ms` what a recent one took."""

    type: ClassVar[str] = "node_completed"
    node: str
    count: int
    last_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeErred(SlotEvent):
    """A node failed; `failed` is how often so far, `error` the latest one."""

    type: ClassVar[str] = "node_failed"
    node: str
    failed: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStats(SlotEvent):
    """All counters of a loop; `per_second` is its rate since the event before, if there was one."""

    type: ClassVar[str] = "node_stats"
    iterations: int
    failures: int
    in_flight: int
    per_second: float | None
    nodes: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats(Event):
    """How full a workflow's queues are, inboxes included, and how fast items pass; a rate is None
    when there is no sample before."""

    type: ClassVar[str] = "queue_stats"
    queues: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowCompleted(Event):
    """Every loop of an activation has completed."""

    type: ClassVar[str] = "workflow_completed"
    activation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFailed(SlotEvent):
    """A loop was given up; nothing starts it again but a person."""

    type: ClassVar[str] = "workflow_failed"
    reason: str


class Sink(Protocol):
    """Takes events without making the sender wait."""

    def announce(self, workflow: str, event: Event) -> None: ...
