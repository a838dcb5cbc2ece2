"""Iterations of one loop: walk, keep or drop what was staged, hand over to the commit window."""

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import NodeFailed, OrchestratorError, StepLimitExceeded
from orchestrator.execution.commit import CommitWindow
from orchestrator.execution.context import ExecutionContext, Scope, StepContext
from orchestrator.execution.plan import Plan, Step
from orchestrator.execution.workflow_engine import WorkflowEngine

logger = logging.getLogger(__name__)
WALK_FAILURES = (NodeFailed, StepLimitExceeded)
"""What ends an iteration and not its loop."""


class Iterations:
    """Runs iterations one after the other; only what a non-blocking node leaves behind overlaps.

    A loop whose nodes hold state runs strictly alone: the next iteration would change the state
    before this one is committed or dropped.
    """

    def __init__(self, plan: Plan, producer: Step, scope: Scope, window: CommitWindow) -> None:
        self._settled = 0
        self.failures = 0
        self.sequence = 0
        self.window = window
        self.engine = WorkflowEngine(plan)
        self._scope = scope
        steps = plan.steps.values()
        self._stateful = [s.node for s in steps if s.node.stateful and s is not producer]
        self.stateful = bool(self._stateful)
        limits = [s.node.config.options.max_in_flight for s in steps if s.background]
        self._in_flight_limit = 1 if self._stateful else min(limits, default=1)
        self._in_flight = 0
        self._landed = asyncio.Event()

    @property
    def count(self) -> int:
        """Iterations that have ended, failed ones included."""
        return self._settled + self.window.advances

    @property
    def in_flight(self) -> int:
        """Iterations whose background work goes on, or that wait for their commit."""
        return self.window.uncommitted

    async def run(
        self, context: ExecutionContext, step: Step, output: NodeOutput | None, now: float
    ) -> None:
        """Walk on behind a step that gave `output` at `now`, and end the iteration.

        A context that is still `clean` afterwards may serve the next iteration.

        Raises what the commit window raises when it cannot go on.
        """
        before = self.states()
        try:
            await self.engine.follow(context, step, output, now)
        except WALK_FAILURES as error:
            context.fail(as_failure(error))
        if context.clean and not before and self.window.advance(context.sequence, context.cursor):
            self._settled += 1
        else:
            await self.settle(context, before)

    async def settle(self, context: ExecutionContext, before: Sequence[Json] = ()) -> None:
        """End an iteration that failed, touched state, or left work in the background."""
        context.walking = context.clean = False
        self._settled += 1
        if context.background:
            self._in_flight += 1
            context.on_background_done = self._land
            if not before:
                self.window.add(context)
            while self._in_flight >= self._in_flight_limit:
                self._landed.clear()
                await self._landed.wait()
            if not before:
                return
        elif context.failure is not None:
            self._count_failure(context)
        if before:
            self._keep_states(context, before)
        self.window.add(context)

    def _land(self, context: ExecutionContext) -> None:
        self._in_flight -= 1
        self._landed.set()
        if context.failure is not None:
            self._count_failure(context)
        if not self._stateful:
            self.window.landed(context)

    def _keep_states(self, context: ExecutionContext, before: Sequence[Json]) -> None:
        if context.failure is not None:
            for node, state in zip(self._stateful, before, strict=True):
                node.state = state
        states = {node.config.id: node.state for node in self._stateful}
        context.states = {**(context.states or {}), **states}

    def _count_failure(self, context: ExecutionContext) -> None:
        failure = context.failure
        self.failures += 1
        if failure is not None:
            logger.warning(
                "item %s failed at node %s: %s", context.item.id, failure.node_id, failure.message
            )

    def states(self) -> Sequence[Json]:
        """Return the states that an iteration may change, to be restored if it fails."""
        return [node.state for node in self._stateful]

    async def flush(self, step: Step) -> None:
        """Let a node emit what it holds back, as an iteration that starts behind it."""
        context = ExecutionContext(
            self._scope, NodeOutput(f"{self._scope.item_id(self.sequence)}:{step.id}", {})
        )
        context.sequence = self.sequence
        before = self.states()
        output: NodeOutput | None = None
        try:
            output = await step.node.flush(StepContext(context, step.id))
        except Exception as error:
            context.fail(NodeFailed(str(error), node_id=step.id, error_type=type(error).__name__))
        if output is not None:
            context.item = output
            try:
                await self.engine.follow(context, step, output, perf_counter())
            except WALK_FAILURES as error:
                context.fail(as_failure(error))
            await self.settle(context, before)
        elif context.outputs or context.effects or context.failure is not None:
            await self.settle(context, before)


def as_failure(error: OrchestratorError) -> NodeFailed:
    """Return what ended an iteration as the failure of a node."""
    if isinstance(error, NodeFailed):
        return error
    return NodeFailed(error.message, error_type=error.code)
