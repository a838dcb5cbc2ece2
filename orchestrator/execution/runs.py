"""Run: one pass of the WorkflowEngine through a graph with a state, from start to end."""

import asyncio
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import (
    Conflict,
    InvalidPayload,
    OrchestratorError,
    RunTimeout,
    StoreUnavailable,
)
from orchestrator.execution.checkpoints import Snapshot
from orchestrator.execution.compiled import CompiledGraph
from orchestrator.execution.context import RunEnded
from orchestrator.execution.functions import StateItem
from orchestrator.execution.recording import Recorder, restore
from orchestrator.execution.run_context import RunContext, cancelled
from orchestrator.execution.run_types import (
    DEFAULT_MAX_STEPS,
    STATE_BYTES,
    NodeState,
    RunLimits,
    RunObserver,
    RunResult,
    RunStatus,
)
from orchestrator.execution.workflow_engine import Ready
from storage.codec import encode

__all__ = [
    "DEFAULT_MAX_STEPS",
    "STATE_BYTES",
    "NodeState",
    "Run",
    "RunLimits",
    "RunObserver",
    "RunResult",
    "RunStatus",
]

_LIMITS = RunLimits()


class Run:
    """One run of a compiled graph. It is used once.

    Args:
        graph: compiled; with an observer, `compile_graph(..., recorded=True)`.
        context: from `ExecutionContext.create`; None: one is made, with the limits.
        observer: sees every step; the state of the run then has to be JSON.
        limits: in the place of those that the context was made with.
    """

    def __init__(
        self,
        graph: CompiledGraph,
        context: RunContext | None = None,
        observer: RunObserver | None = None,
        limits: RunLimits | None = None,
    ) -> None:
        graph.require_open()
        if context is None:
            context = RunContext(graph, graph.entry, limits or _LIMITS)
            context.tools = graph.tools
        elif limits is not None:
            context.limit(limits)
        self.context = context
        self._graph = graph
        self._task: asyncio.Task[Any] | None = None
        self._asked = False
        self._ended = False
        if observer is not None:
            if not graph.recorded:
                raise Conflict("compile the graph with recorded=True to observe a run of it")
            context.recorder = Recorder(context, observer)

    async def execute(self, state: dict[str, Json]) -> RunResult:
        """Run from the start node. What happens in the graph is told by the result, not raised:
        see `RunResult.check`. A cancellation of the task that awaits this passes through.

        Raises:
            InvalidPayload: the state is no dict; or, of a recorded run, not JSON or too large.
            StoreUnavailable: what a recorded run has done cannot be kept, or its channel not read.
        """
        context = self.context
        if not isinstance(state, dict):
            raise InvalidPayload(f"the state is a dict, not {type(state).__name__}")
        self._begin()
        if context.recorder is not None:
            encode(state, context.limits.state_bytes)
        context.initial = context.newest = state
        item = StateItem(context.run_id, state, context)
        return await self._walk([(self._graph.plan.steps[context.start_node], item)])

    async def resume(self, snapshot: Snapshot) -> RunResult:
        """Go on from a snapshot: only what was pending there is executed, and what follows.

        Raises:
            Conflict: the snapshot is of another graph.
        """
        if snapshot.digest != self._graph.digest:
            raise Conflict("the checkpoint is of another version of the graph")
        self._begin()
        ready = await restore(self.context, snapshot)
        if self.context.terminated is not None:
            return self._result(RunStatus.TERMINATED, self.context.terminated)
        return await self._walk(ready)

    def _begin(self) -> None:
        if self._task is not None or self._ended or self.context.path:
            raise Conflict("a run is executed once, and so is its context")

    def cancel(self, message: str = "") -> None:
        """End the run before its next step, and cancel the nodes that are executing. Call it in
        the run's event loop; the run ends as `cancelled`. Once it has ended, this does nothing."""
        if self._ended or self.context.ending is not None:
            return
        self.context.ending = cancelled(message)
        task = self._task
        if task is not None and task is not asyncio.current_task():
            self._asked = True
            task.cancel()

    async def _walk(self, ready: Ready) -> RunResult:
        self._task = asyncio.current_task()
        context = self.context
        context.note(ready)
        try:
            if context.limits.timeout is None:
                await self._graph.engine.resume(context, ready)
            else:
                await self._in_time(ready, context.limits.timeout)
        except StoreUnavailable:  # not a node's, which would be NodeFailed: nothing can be recorded
            raise
        except (RunEnded, OrchestratorError) as error:
            result = self._ended_by(error)
        except asyncio.CancelledError:
            if not self._is_cancelled_by_us():
                raise
            result = self._ended_by(context.ending or cancelled(""))
        else:
            context.newest = context.final_state()
            result = self._result(RunStatus.COMPLETED)
        finally:
            if self._asked:  # a node has swallowed the cancellation
                self._task.uncancel()  # type: ignore[union-attr]
            self._task = None
        if result.error is not None and context.recorder is not None:
            await context.recorder.failed(result.error)
        return result

    async def _in_time(self, ready: Ready, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds) as deadline:
                await self._graph.engine.resume(self.context, ready)
        except TimeoutError:
            if not deadline.expired():
                raise
            way = " -> ".join(self.context.path[-10:])
            raise RunTimeout(f"the run took longer than {seconds:g} s: {way}") from None

    def _is_cancelled_by_us(self) -> bool:
        """Tell whether only `cancel` has cancelled the task, and take that back."""
        if not self._asked or self._task is None:
            return False
        self._asked = False
        return self._task.uncancel() == 0

    def _ended_by(self, error: Exception) -> RunResult:
        if isinstance(error, RunEnded):
            return self._result(RunStatus(error.status), error.message, error.error)
        assert isinstance(error, OrchestratorError)
        return self._result(RunStatus.FAILED, error.message, error)

    def _result(
        self, status: RunStatus, message: str = "", error: OrchestratorError | None = None
    ) -> RunResult:
        context = self.context
        self._ended = True
        context.over = error is None
        return RunResult(
            status=status,
            state=context.newest,
            results=context.results,
            path=[*context.path_before, *context.path] if context.path_before else context.path,
            steps=context.steps,
            message=message,
            error=error,
        )
