"""What a run is told and tells: limits, states, its result, and who observes it."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.exceptions import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.execution.checkpoints import Snapshot
    from storage.runs import StepRecord

DEFAULT_MAX_STEPS = 1000
STATE_BYTES = 1024 * 1024


class RunStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    TERMINATED = "terminated"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeState(enum.StrEnum):
    PENDING = "pending"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """How far a run may go.

    max_steps: nodes executed, each round of a cycle counted. timeout: seconds for the whole run.
    state_bytes: of the state as JSON; of recorded runs only.
    """

    max_steps: int = DEFAULT_MAX_STEPS
    timeout: float | None = None
    state_bytes: int = STATE_BYTES


@dataclass(slots=True, kw_only=True)
class RunResult:
    """How a run ended. Treat it as immutable; it is not frozen because that triples its cost.

    state: the final state; of a run that failed or was cancelled, the state that its node got.
    results: what each node returned last, by node id. path: the nodes in the order they began; of
    a run that was resumed, the last 1000 before that in the order they ended.
    message: given by the control that ended it. error: why it failed or was cancelled.
    """

    status: RunStatus
    state: dict[str, Any]
    results: Mapping[str, Any] = field(default_factory=dict)
    path: Sequence[str] = ()
    steps: int = 0
    message: str = ""
    error: OrchestratorError | None = None

    def check(self) -> "RunResult":
        """Return the result of a run that completed or was terminated.

        Raises:
            WorkflowCancelled: it was cancelled.
            OrchestratorError: why it failed: NodeFailed, StepLimitExceeded, RunTimeout, ...
        """
        if self.error is not None:
            raise self.error
        return self


class RunObserver(Protocol):
    """Sees a recorded run. It is awaited: the run goes on when the record is kept.

    checkpoint_every: snapshots are given after so many steps; None for none but those that a node
    asks for with `context.checkpoint()`, and the one of a run that fails or is cancelled.
    """

    checkpoint_every: int | None

    async def step(self, record: "StepRecord") -> None:
        """Take the record of one executed node, also of one that failed."""

    async def checkpoint(self, snapshot: "Snapshot") -> None:
        """Take a snapshot from which `Run.resume` goes on."""
