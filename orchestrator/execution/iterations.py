"""Iterations of one loop: walk, keep or drop what was staged, hand over to the commit window."""

import asyncio
import logging
import traceback
from collections.abc import Sequence
from time import perf_counter

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import (
    InvalidPayload,
    NodeFailed,
    OrchestratorError,
    PayloadTooLarge,
    StepLimitExceeded,
)
from orchestrator.execution.commit import CommitWindow
from orchestrator.execution.context import ExecutionContext, Scope, StepContext
from orchestrator.execution.plan import Plan, Step
from orchestrator.execution.retry import put_off
from orchestrator.execution.traces import Traces
from orchestrator.execution.workflow_engine import WorkflowEngine
from orchestrator.security.secret_values import scrub

logger = logging.getLogger(__name__)
_REASONS = {
    InvalidPayload.code: "invalid_payload",
    PayloadTooLarge.code: "oversize",
    "NodeTimeout": "timeout",
    "UnknownNode": "unknown_node",
    "WorkerLost": "worker_lost",
}
"""Reasons of dead letters by the type of the error; any other has used its attempts up."""


class Iterations:
    """Runs iterations one after the other; only what a non-blocking node leaves behind overlaps.

    A loop whose nodes hold state runs strictly alone: the next iteration would change the state
    before this one is committed or dropped.
    """

    def __init__(
        self,
        plan: Plan,
        producer: Step,
        scope: Scope,
        window: CommitWindow,
        begun: int,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._settled = 0
        self.failures = 0
        self.retries = 0
        self.sequence = self._begun = begun
        """Of the iteration that began last."""
        self.window = window
        self.engine = WorkflowEngine(plan)
        self._plan = plan
        self._scope = scope
        steps = plan.steps.values()
        self._stateful = [s.node for s in steps if s.node.stateful and s is not producer]
        limits = [s.node.config.options.max_in_flight for s in steps if s.background]
        self._behind_limit = 1 if self._stateful else min(limits, default=1)
        self._behind = 0
        self._landed = asyncio.Event()
        chain = producer.next.chain if producer.next is not None else None
        whole = chain is not None and not chain.last.routes and not self._stateful
        self.chain = chain if whole else None
        """The steps behind the producer, if they are one chain and keep no state."""

    @property
    def count(self) -> int:
        """Iterations that have ended, failed ones included."""
        return self._settled + self.window.advances

    @property
    def items(self) -> int:
        """Items that the producer gave."""
        return self.sequence - self._begun

    @property
    def in_flight(self) -> int:
        """Iterations whose background work goes on, or that wait for their commit."""
        return self.window.uncommitted

    async def run(
        self, context: ExecutionContext, step: Step, output: NodeOutput | None, now: float
    ) -> None:
        """Walk on behind a step that gave `output` at `now`, and end the iteration."""
        before = self.states()
        if self._traces is not None:
            self._traces.begin(context)
        try:
            await self.engine.follow(context, step, output, now)
        except Exception as error:
            context.fail(as_failure(error, step.id))
        if before or not (context.clean and self.window.advance(context.sequence, context.cursor)):
            await self.settle(context, before)
        elif self._traces is not None:
            self._traces.end(context)
        if self._traces is not None:
            self._traces.leave()

    async def enter(self, context: ExecutionContext, node_id: str) -> None:
        """Walk on from a node, which gets the context's item, and end the iteration."""
        before = self.states()
        if self._traces is not None:
            self._traces.begin(context)
        try:
            await self.engine.execute(context, node_id)
        except Exception as error:
            context.fail(as_failure(error, node_id))
        await self.settle(context, before)
        if self._traces is not None:
            self._traces.leave()

    async def settle(self, context: ExecutionContext, before: Sequence[Json] = ()) -> None:
        """End an iteration that failed, staged something, touched state, or left work behind.

        Args:
            before: what `states` gave when it began.
        """
        context.walking = context.clean = False
        self._settled += 1
        if context.tasks:
            self._behind += 1
            context.on_background_done = self._land
            if not before:
                self.window.add(context)
            while self._behind >= self._behind_limit:
                self._landed.clear()
                await self._landed.wait()
            if not before:
                return
        else:
            self._close(context)
        if before:
            self._keep_states(context, before)
        self.window.add(context)

    def _land(self, context: ExecutionContext) -> None:
        if context.joins and context.failure is None and not context.cancelled:
            self.engine.finish_behind(context)
            return
        self._behind -= 1
        self._landed.set()
        self._close(context)
        if not self._stateful:
            self.window.landed(context)

    def _close(self, context: ExecutionContext) -> None:
        """Take note of how an iteration ended."""
        if context.cancelled:
            self.window.fail(OrchestratorError("its background work was cancelled"))
        if context.failure is not None:
            self._count_failure(context, context.failure)
        if self._traces is not None:
            self._traces.end(context)

    def _count_failure(self, context: ExecutionContext, failure: NodeFailed) -> None:
        context.failure_reason = _REASONS.get(failure.error_type, context.failure_reason)
        step = self._plan.steps.get(failure.node_id)
        put_off(context, step.node.config.options.retry if step is not None else None)
        if context.delayed is not None:
            self.retries += 1
        else:
            self.failures += 1
        logger.warning(
            "item %s failed at node %s (attempt %d): %s",
            context.item.id, failure.node_id, len(context.attempts), failure.message,
        )  # fmt: skip

    def _keep_states(self, context: ExecutionContext, before: Sequence[Json]) -> None:
        """Keep what the iteration changed; of one that failed, only what goes on where it was."""
        failure = context.failure
        goes_on = context.delayed is not None and context.straight
        if failure is not None:
            for node, state in zip(self._stateful, before, strict=True):
                if not goes_on or node.config.id == failure.node_id:
                    node.state = state
        context.states = {node.config.id: node.state for node in self._stateful}

    def states(self) -> Sequence[Json]:
        """Return the states that an iteration may change, to be restored if it fails."""
        return [node.state for node in self._stateful] if self._stateful else ()

    async def flush(self, step: Step, *, completing: bool = False) -> None:
        """Let a node emit what it holds back, each time as an iteration that starts behind it.

        If that fails further on, what the node gave is the item of the dead letter, and the node
        has given it away. If the node itself fails, it holds it still.

        Args:
            completing: because nothing more comes, and not because it is time.
        """
        many = step.node.flushes_many
        number = 1
        while await self._flush(step, number, completing) and many:
            number += 1
            if self.window.full:
                await self.window.has_room()

    async def _flush(self, step: Step, number: int, completing: bool) -> bool:
        """Flush a node once; tell whether it has emitted something."""
        item_id = f"{self._scope.item_id(self.sequence)}:{step.id}"
        if number > 1:
            item_id = f"{item_id}.{number}"
        context = ExecutionContext(self._scope, NodeOutput(item_id, {"held": step.node.state}))
        context.sequence = self.sequence
        context.flushed = True
        context.completing = completing
        before = self.states()
        output: NodeOutput | None = None
        try:
            output = await step.node.flush(StepContext(context, step.id))
            if output is not None:
                context.item = output
                before = self.states()
                if self._traces is not None:
                    self._traces.begin(context)
                now = perf_counter()
                step.tap.take_rare(now, None, output=output)
                await self.engine.follow(context, step, output, now)
        except Exception as error:
            context.fail(as_failure(error, step.id))
        if output is not None or not context.clean:
            await self.settle(context, before)
        if self._traces is not None:
            self._traces.leave()
        return output is not None

    async def close(self) -> None:
        """Cut off what goes on in the background."""
        await self.engine.close()


def as_failure(error: Exception, node_id: str = "") -> NodeFailed:
    """Return what ended an iteration as the failure of a node."""
    if isinstance(error, NodeFailed):
        error.node_id = error.node_id or node_id
        error.message, error.trace = scrub(error.message), scrub(error.trace)
        return error
    if isinstance(error, StepLimitExceeded):
        return NodeFailed(error.message, node_id=error.path[-1], error_type=error.code)
    trace = scrub("".join(traceback.format_exception(error)))[-8_000:]
    kind = error.code if isinstance(error, OrchestratorError) else type(error).__name__
    kinds = (kind, *(base.__name__ for base in type(error).__mro__))
    message = scrub(str(error))
    return NodeFailed(message, node_id=node_id, error_type=kind, trace=trace, kinds=kinds)
