"""FlowRunner: one slot of a production loop, from its first item to its clean end."""

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from nodes.contract import Node
from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.execution.commit import EFFECT, Abandoned, CommitWindow
from orchestrator.execution.context import Scope
from orchestrator.execution.iterations import Iterations
from orchestrator.execution.plan import Plan, Step
from orchestrator.execution.sources import ProducerSource, QueueSource
from orchestrator.flow.graph import FlowGraph
from orchestrator.flow.loops import Loop
from storage.base import Lease, QueueStore, SlotState
from storage.codec import decode

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_WAIT_MIN, _WAIT_MAX = 0.1, 2.0


class LoopState(enum.StrEnum):
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
class LoopJob:
    """What one slot of a loop needs to run.

    writers: names (`loop/slot`) of the slots that write the queue this loop reads.
    lease_valid: tells by the monotonic clock whether the lease may still be acted on.
    max_deliveries: how often an item may be handed out to workers that die.
    """

    graph: FlowGraph
    loop: Loop
    scope: Scope
    lease: Lease
    store: QueueStore
    writers: tuple[str, ...] = ()
    back_edges: frozenset[str] = frozenset()
    lease_valid: Callable[[], bool] = lambda: True
    commit_window: int = 100
    max_deliveries: int = 3


class FlowRunner:
    """Runs one slot of a loop. `run` returns when it has ended; `stop`, `pause` and `resume` are
    wishes that take effect at an iteration boundary. Use it from one event loop only."""

    def __init__(self, job: LoopJob) -> None:
        self.job = job
        self.scope = job.scope
        self.plan = Plan(job.graph, [node.id for node in job.loop.nodes], job.back_edges)
        self.producer: Step = self.plan.steps[job.loop.id]
        self.state = LoopState.PENDING
        self.reason = ""
        self.attention = False
        """Set when the source has to call `attend` at the next boundary."""
        self.at_boundary = False
        """Set while the source waits for an item: then a flush may run in between."""
        self.visit: asyncio.Task[None] | None = None
        """The flush that runs while the source waits."""
        self.outages = 0
        """How often the store was away when it was asked."""
        self.iterations: Iterations
        self.stopping = False
        self._paused = False
        self._wish = asyncio.Event()
        self._due: list[Step] = []
        self._main: asyncio.Task[Any] | None = None
        self._timers: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Ask the loop to end. What cannot be committed now is left to the next start."""
        self.stopping = True
        self._nudge()
        if self.reason in ("queue_full", "dead_letters_full", "redis_down"):
            self._abandon()
        elif self.state in (LoopState.RUNNING, LoopState.DEGRADED):
            self._set_state(LoopState.DRAINING)
        if self.at_boundary and self.job.loop.reads is None and not self.producer.threaded:
            assert self._main is not None
            self._main.cancel()

    def pause(self) -> None:
        self._paused = True
        self._nudge()

    def resume(self) -> None:
        self._paused = False
        self._nudge()

    def _nudge(self) -> None:
        self.attention = True
        self._wish.set()

    async def run(self) -> LoopState:
        """Run until the loop is stopped or completed; return STOPPED or COMPLETED.

        Raises:
            LeaseLost: another owner has the slot; nothing more was committed.
            NodeFailed: a node could not be initialised.
            OrchestratorError: commits cannot go on for another reason.
        """
        self._main = asyncio.current_task()
        self._set_state(LoopState.STARTING)
        initialised: list[Node] = []
        try:
            begun = await self.patiently(
                lambda: self.job.store.begin(self.job.lease, self.scope.activation)
            )
            completed = begun is not None and await self._run(begun, initialised)
        except Abandoned:
            completed = False
        except BaseException as error:
            self._set_state(LoopState.FAILED, str(error) or type(error).__name__)
            raise
        finally:
            await self._tear_down(initialised)
        await self._leave()
        self._set_state(LoopState.COMPLETED if completed else LoopState.STOPPED)
        return self.state

    async def _run(self, begun: SlotState, initialised: list[Node]) -> bool:
        await self._set_up(begun, initialised)
        self._set_state(LoopState.RUNNING)
        completed = await self._source(begun).run()
        self._cancel_timers()
        if self.visit is not None:
            await self.visit
        if completed:
            for step in self.plan.steps.values():
                await self.iterations.flush(step)
        await self.iterations.window.finish(completed=completed)
        return completed

    async def _set_up(self, begun: SlotState, initialised: list[Node]) -> None:
        steps = self.plan.steps
        for node_id, raw in begun.states.items():
            if not node_id.startswith(EFFECT) and node_id in steps:
                steps[node_id].node.state = decode(raw)
        for step in steps.values():
            initialised.append(step.node)
            await step.node.init()
        self.plan.arm()
        window = self._window(begun)
        self.iterations = Iterations(self.plan, self.producer, self.scope, window)
        self.iterations.sequence = begun.sequence
        await window.open_effects()
        self._timers = [
            asyncio.create_task(self._flush_regularly(step, step.node.flush_after))
            for step in steps.values()
            if step.node.flush_after is not None
        ]

    def _window(self, begun: SlotState) -> CommitWindow:
        nodes = [step.node for step in self.plan.steps.values()]
        return CommitWindow(
            self.job.store,
            self.job.lease,
            self.scope,
            begun,
            source=self.job.loop.id if self.job.loop.reads is None else None,
            room={
                node.config.options.queue_name: node.config.options.max_length
                for node in nodes
                if node.queue_role == "writer" and node.config.options.queue_name is not None
            },
            effects={node.config.id: node for node in nodes if node.staged},  # type: ignore[misc]
            lease_valid=self.job.lease_valid,
            on_wait=self._on_wait,
            size=self.job.commit_window,
        )

    def _source(self, begun: SlotState) -> ProducerSource | QueueSource:
        if self.job.loop.reads is None:
            return ProducerSource(self, begun)
        return QueueSource(self, self.job.loop.reads)

    async def _leave(self) -> None:
        try:
            reads = self.job.loop.reads
            await self.job.store.end(self.job.lease, [] if reads is None else [reads])
        except StoreUnavailable:
            logger.warning("slot %s could not be left cleanly: Redis is away", self.job.lease.name)

    async def _tear_down(self, initialised: list[Node]) -> None:
        self._cancel_timers()
        self._abandon()
        for node in reversed(initialised):
            try:
                await node.cleanup()
            except Exception:
                logger.exception("cleanup of node %s failed", node.config.id)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _abandon(self) -> None:
        if hasattr(self, "iterations"):
            self.iterations.window.abandon()

    async def attend(self) -> bool:
        """Do what was asked for between two iterations; tell whether the loop has to stop."""
        self.attention = False
        await self._run_due()
        while self._paused and not self.stopping:
            await self.iterations.window.flush()
            self._set_state(LoopState.PAUSED)
            self._wish.clear()
            await self._wish.wait()
        if self.stopping:
            self._set_state(LoopState.DRAINING)
        elif self.state is LoopState.PAUSED:
            self._set_state(LoopState.RUNNING)
        return self.stopping

    async def _flush_regularly(self, step: Step, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._due.append(step)
            self.attention = True
            if self.at_boundary and self.visit is None and not self._paused:
                self.visit = asyncio.create_task(self._run_visit())

    async def _run_visit(self) -> None:
        window = self.iterations.window
        try:
            await self._run_due()
        except OrchestratorError as error:
            window.fail(error)
        finally:
            self.visit = None

    async def _run_due(self) -> None:
        while self._due:
            await self.iterations.flush(self._due.pop())

    async def patiently(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """Repeat a call of the store until it answers; None when the loop has to stop first."""
        wait = _WAIT_MIN
        while True:
            try:
                answer = await call()
            except StoreUnavailable as error:
                logger.warning("slot %s waits: %s", self.job.lease.name, error)
                self.outages += 1
                self._on_wait("redis_down")
                if self.stopping:
                    return None
                await self.sleep(wait)
                wait = min(wait * 2, _WAIT_MAX)
            else:
                if self.reason == "redis_down":
                    self._on_wait("")
                return answer

    async def sleep(self, seconds: float) -> None:
        """Wait, or less if something is wished for."""
        if self.attention:
            return
        self._wish.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wish.wait()
        except TimeoutError:
            return

    def degrade(self, reason: str) -> None:
        self._set_state(LoopState.DEGRADED, reason)

    def recovered(self) -> None:
        self._set_state(LoopState.RUNNING)

    def _on_wait(self, reason: str) -> None:
        if reason and self.stopping:
            self._abandon()
        elif reason == "redis_down":
            self._set_state(LoopState.DEGRADED, reason)
        elif reason:
            self._set_state(LoopState.BLOCKED, reason)
        elif self.state in (LoopState.BLOCKED, LoopState.DEGRADED):
            self._set_state(LoopState.RUNNING)

    def _set_state(self, state: LoopState, reason: str = "") -> None:
        self.state, self.reason = state, reason

    def snapshot(self) -> dict[str, Any]:
        """Return state and counters as JSON: per node counts, failures, seconds and last error."""
        begun = hasattr(self, "iterations")
        return {
            "state": self.state,
            "reason": self.reason[:500],
            "iterations": self.iterations.count if begun else 0,
            "failures": self.iterations.failures if begun else 0,
            "in_flight": self.iterations.in_flight if begun else 0,
            "nodes": {step.id: _counters(step) for step in self.plan.steps.values()},
        }


def _counters(step: Step) -> dict[str, Any]:
    return {
        "count": step.executions,
        "failed": step.failed,
        "seconds": round(step.seconds / max(1, step.measured) * step.executions, 6),
        "last_ms": round(step.last_seconds * 1000, 4),
        "executing": step.started_at > step.ended_at,
        "last_error": step.last_error,
    }
