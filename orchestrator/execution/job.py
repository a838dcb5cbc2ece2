"""LoopJob: what one slot of a loop needs to run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.execution.context import Scope
from orchestrator.execution.plan import Call, Step
from orchestrator.flow.graph import FlowGraph
from orchestrator.flow.loops import Loop
from storage.base import QueueStore
from storage.records import Completion, Lease, SlotState, inbox

if TYPE_CHECKING:
    from orchestrator.execution.traces import Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopJob:
    """What one slot of a loop needs to run.

    writers: names (`loop/slot`) of the slots that write the queue this loop reads.
    lease_valid: tells by the monotonic clock whether the lease may still be acted on.
    max_deliveries: how often an item may be handed out to workers that die.
    restore: what to begin with when the store has lost everything, see `QueueStore.begin`.
    around: wraps the call of every step, see `Plan.arm`.
    traces: makes what follows single items; then that wraps the calls.
    """

    graph: FlowGraph
    loop: Loop
    scope: Scope
    lease: Lease
    store: QueueStore
    writers: tuple[str, ...] = ()
    back_edges: frozenset[str] = frozenset()
    lease_valid: Callable[[], bool] = lambda: True
    commit_window: int = 200
    max_deliveries: int = 3
    restore: SlotState | None = None
    around: Callable[[Step, Call], Call] | None = None
    traces: "Callable[[LoopJob], Traces | None] | None" = None

    @property
    def completion(self) -> Completion:
        """What has to be empty, and who has to be done, before the slot can complete."""
        own = [] if self.loop.reads is None else [self.loop.reads]
        return Completion(queues=[inbox(self.loop.id), *own], writers=self.writers)
