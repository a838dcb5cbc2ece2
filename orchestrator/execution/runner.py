"""FlowRunner: one slot of a production loop, from its first item to its clean end."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from nodes.contract import Node
from orchestrator.events import LoopState
from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.execution.boundary import Boundary
from orchestrator.execution.cancellation import end_task, heed_cancellation
from orchestrator.execution.commit import Abandoned, CommitWindow
from orchestrator.execution.committer import Committer
from orchestrator.execution.durations import Durations
from orchestrator.execution.iterations import Iterations, as_failure
from orchestrator.execution.job import LoopJob
from orchestrator.execution.plan import Plan, Step
from orchestrator.execution.sources import Inbox, ProducerSource, QueueSource
from orchestrator.security.secret_values import scrub
from storage.codec import decode
from storage.records import SlotState

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_WAIT_MIN, _WAIT_MAX = 0.1, 2.0
_WAITS = ("queue_full", "dead_letters_full", "retries_full", "redis_full", "redis_down")
"""Reasons for which commits wait."""


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
        self.boundary = Boundary(lambda error: self.iterations.window.fail(error))
        self.begun: SlotState | None = None
        """What the slot was found with."""
        self.outages = 0
        """How often the store did not answer."""
        self.iterations: Iterations
        self.committer: Committer | None = None
        self.hops = Durations()
        """How long entries were in the loop's queue, of some batches that were read."""
        self.stopping = False
        self._sleeping = False
        """Whether the loop's own task waits where `boundary.call` wakes it."""
        self._resting: asyncio.Future[None] | None = None
        self._interrupted = False
        self._killed = False
        self._flushing: set[Step] = set()
        self._main: asyncio.Task[Any] | None = None
        self._aside: list[asyncio.Task[None]] = []
        """Timers, and who listens to the inbox."""

    def stop(self) -> None:
        """Ask the loop to end. What cannot be committed now is left to the next start."""
        self.stopping = True
        if self.reason in _WAITS:
            self._abandon()
        elif self.state in (LoopState.RUNNING, LoopState.DEGRADED):
            self._set_state(LoopState.DRAINING)
        self._nudge()

    def kill(self) -> None:
        """Have the loop end at once. The item in hand is given up; the next start runs it again."""
        self.stopping = self._killed = True
        self._abandon()
        self.boundary.called.set()
        if self._main is not None:
            self._main.cancel()

    def pause(self) -> None:
        self.boundary.paused = True
        self._nudge()

    def resume(self) -> None:
        self.boundary.paused = False
        self.boundary.call()

    def _nudge(self) -> None:
        """Have the source attend at the next boundary: at once if its producer only waits."""
        self.boundary.call()
        self._rouse()
        waits = self.boundary.open and not self._sleeping
        if waits and not self._interrupted and self.job.loop.reads is None:
            if self._main is not None and not self.producer.threaded:
                self._interrupted = True
                self._main.cancel()

    async def rest(self, queues: Sequence[str], seconds: float) -> None:
        """Wait until there may be something in these queues, or less if something is wished for.

        Raises:
            StoreUnavailable: the server is away.
        """
        self._resting = asyncio.get_running_loop().create_future()
        self.job.store.watch(self.job.lease, queues, seconds, self._resting)
        try:
            await self._resting
        finally:
            self._rouse()
            self._resting = None

    def _rouse(self) -> None:
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)

    def was_interrupted(self) -> bool:
        """Tell whether `_nudge`, and nobody else, has cancelled what the source waited for."""
        if not self._interrupted:
            return False
        self._interrupted = False
        return self._main is not None and self._main.uncancel() == 0

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
        completed = False
        failure: Exception | None = None
        try:
            self.begun = begun = await self.patiently(
                lambda: self.job.store.begin(
                    self.job.lease, self.scope.activation, self.job.restore
                )
            )
            completed = begun is not None and await self._run(begun, initialised)
        except Abandoned:
            completed = False
        except (Exception, asyncio.CancelledError) as error:
            if not self._was_killed(error):
                self._set_state(LoopState.FAILED, scrub(str(error)) or type(error).__name__)
                if isinstance(error, asyncio.CancelledError):
                    raise
                failure = error
        finally:
            await self._tear_down(initialised)
        await self._leave()
        self._main = None  # what `kill` would cancel now is no work of ours
        if failure is not None:
            raise failure
        self._set_state(LoopState.COMPLETED if completed else LoopState.STOPPED)
        return self.state

    def _was_killed(self, error: BaseException) -> bool:
        """Tell whether `kill`, and nobody else, has ended the loop."""
        if not self._killed or self._main is None:
            return False
        return not isinstance(error, asyncio.CancelledError) or self._main.uncancel() == 0

    async def _run(self, begun: SlotState, initialised: list[Node]) -> bool:
        await self._set_up(begun, initialised)
        self._set_state(LoopState.RUNNING)
        if self.job.loop.reads is None:
            box = Inbox(self)
            completed, more = await self._produce(begun, box), box.drain
        else:
            source = QueueSource(self)
            completed, more = await source.run(), source.run
        await self._end_aside()
        await self.boundary.visited()
        while completed and not await self._complete():
            completed = await more()
        await self.iterations.window.flush()
        return completed

    async def _produce(self, begun: SlotState, box: Inbox) -> bool:
        """Run the producer, and its inbox beside it; return whether both have completed."""
        await box.recover()
        listening = asyncio.create_task(self._listen(box))
        self._aside.append(listening)
        if not await ProducerSource(self, begun).run():
            return False
        await end_task(listening)
        await self.boundary.visited()
        await self.boundary.run_due()
        return await box.drain()

    async def _complete(self) -> bool:
        """Let every node emit what it holds back, and commit the end; False when more has come."""
        await self.iterations.window.flush()  # what is in the background may still come
        for step in self.plan.steps.values():
            await self.iterations.flush(step, completing=True)
        return await self.iterations.window.complete(self.job.completion)

    async def _listen(self, box: Inbox) -> None:
        try:
            await box.listen()
        except OrchestratorError as error:
            self.iterations.window.fail(error)

    async def _set_up(self, begun: SlotState, initialised: list[Node]) -> None:
        steps = self.plan.steps
        for node_id, raw in begun.states.items():
            if node_id in steps:
                steps[node_id].node.state = decode(raw)
        for step in steps.values():
            initialised.append(step.node)
            try:
                await step.node.init()
            except Exception as error:
                raise as_failure(error, step.id) from error
        traces = self.job.traces(self.job) if self.job.traces is not None else None
        self.plan.arm(self.job.around if traces is None else traces.around)
        committer = self._committer(begun)
        window = CommitWindow(
            committer,
            ordered=self.job.loop.reads is None,
            size=self.job.commit_window,
            begun=begun.sequence,
            on_failure=self._nudge,
        )
        self.iterations = Iterations(
            self.plan, self.producer, self.scope, window, begun.sequence, traces
        )
        self.committer = committer
        await committer.open_effects()
        self._aside = [
            asyncio.create_task(self._flush_regularly(step, step.node.flush_after))
            for step in steps.values()
            if step.node.flush_after is not None
        ]

    def _committer(self, begun: SlotState) -> Committer:
        nodes = [step.node for step in self.plan.steps.values()]
        return Committer(
            self.job.store,
            self.job.lease,
            self.scope,
            begun,
            source=self.job.loop.id if self.job.loop.reads is None else None,
            limits={
                node.config.options.queue_name: node.config.options
                for node in nodes
                if node.queue_role == "writer" and node.config.options.queue_name is not None
            },
            effects={node.config.id: node for node in nodes if node.staged},  # type: ignore[misc]
            lease_valid=self.job.lease_valid,
            on_wait=self._on_wait,
        )

    async def _leave(self) -> None:
        """Leave the slot cleanly, also after a failure: this worker has not died with anything."""
        lease = self.job.lease
        try:
            await self.job.store.end(lease, self.job.completion.queues)
        except StoreUnavailable:
            logger.warning("slot %s could not be left cleanly: Redis is away", lease.name)

    async def _tear_down(self, initialised: list[Node]) -> None:
        self._abandon()
        await self._end_aside()
        self.boundary.close()
        if hasattr(self, "iterations"):
            await self.iterations.close()
        for node in reversed(initialised):
            try:
                await node.cleanup()
            except Exception:
                logger.exception("cleanup of node %s failed", node.config.id)

    async def _end_aside(self) -> None:
        for task in self._aside:
            await end_task(task)

    def _abandon(self) -> None:
        if hasattr(self, "iterations"):
            self.iterations.window.abandon()

    async def attend(self) -> bool:
        """Do what was asked for between two iterations; tell whether the loop has to stop."""
        self.was_interrupted()  # by a cancellation that the producer has kept to itself
        boundary = self.boundary
        while True:
            boundary.attention = False
            await boundary.run_due()
            if self.stopping or not boundary.paused:
                break
            await self.iterations.window.flush()
            self._set_state(LoopState.PAUSED)
            while boundary.paused and not self.stopping:
                boundary.called.clear()
                await boundary.called.wait()
        if self.stopping:
            self._set_state(LoopState.DRAINING)
        elif self.state is LoopState.PAUSED:
            self._set_state(LoopState.RUNNING)
        return self.stopping

    async def _flush_regularly(self, step: Step, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            if step not in self._flushing:
                self._flushing.add(step)
                self.boundary.add(functools.partial(self._flush, step))

    async def _flush(self, step: Step) -> None:
        self._flushing.discard(step)
        await self.iterations.flush(step)

    async def patiently(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """Repeat a call of the store until it answers; None when the loop has to stop first."""
        wait = _WAIT_MIN
        while True:
            try:
                answer = await call()
                heed_cancellation()
            except StoreUnavailable as error:
                heed_cancellation()
                logger.warning("slot %s waits: %s", self.job.lease.name, error)
                self.outages += 1
                self._on_wait("redis_down")
                if self.stopping:
                    return None
                await self._wait(wait, lambda: self.stopping)
                wait = min(wait * 2, _WAIT_MAX)
            else:
                if self.reason == "redis_down":
                    self._on_wait("")
                return answer

    async def sleep(self, seconds: float) -> None:
        """Wait, or less if something is wished for."""
        await self._wait(seconds, lambda: self.boundary.attention)

    async def _wait(self, seconds: float, enough: Callable[[], bool]) -> None:
        ours = asyncio.current_task() is self._main  # and not that of who listens to the inbox
        self._sleeping |= ours
        try:
            async with asyncio.timeout(seconds):
                while not enough():
                    self.boundary.called.clear()
                    await self.boundary.called.wait()
        except TimeoutError:
            return
        finally:
            self._sleeping &= not ours

    def degrade(self, reason: str) -> None:
        self._set_state(LoopState.DEGRADED, reason)

    def recovered(self) -> None:
        if self.state is LoopState.DEGRADED and self.reason not in _WAITS:
            self._set_state(LoopState.RUNNING)

    def _on_wait(self, reason: str) -> None:
        if reason and self.stopping:
            self._abandon()
        elif reason == "redis_down":
            self._set_state(LoopState.DEGRADED, reason)
        elif reason:
            self._set_state(LoopState.BLOCKED, reason)
        elif self.reason in _WAITS:
            self._set_state(LoopState.RUNNING)

    def _set_state(self, state: LoopState, reason: str = "") -> None:
        self.state, self.reason = state, reason

    def snapshot(self) -> dict[str, Any]:
        """Return state and counters as JSON: per node counts, failures, seconds and last error."""
        begun = hasattr(self, "iterations")
        if begun:
            self.producer.count = self.iterations.items
        return {
            "state": self.state,
            "reason": self.reason[:500],
            "iterations": self.iterations.count if begun else 0,
            "failures": self.iterations.failures if begun else 0,
            "retries": self.iterations.retries if begun else 0,
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
