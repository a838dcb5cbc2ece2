"""WorkflowEngine: the single walk that moves an item from node to node, in every mode."""

import asyncio
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from time import perf_counter
from typing import Any

from nodes.contract import DEFAULT_PORT, NodeOutput, chosen_port
from orchestrator.exceptions import NodeFailed, OrchestratorError
from orchestrator.execution.context import ExecutionContext, RunEnded
from orchestrator.execution.joins import Join, Round, merge
from orchestrator.execution.plan import MEASURE_EVERY, Call, Chain, Plan, Route, Step
from orchestrator.security.secret_values import scrub

_TRACE_LIMIT = 8_000
Ready = list[tuple[Step, NodeOutput]]

__all__ = ["WorkflowEngine", "merge"]


class WorkflowEngine:
    """Walks a plan. One engine serves any number of walks at a time."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        # The event loop itself keeps only weak references to tasks.
        self._tasks: set[asyncio.Task[None]] = set()

    async def execute(self, context: ExecutionContext, start_node_id: str) -> None:
        """Run a node on the context's item, and everything downstream of it.

        Returns when all but background work has ended; `context.done` tells about that.

        Raises:
            NodeFailed: a node raised; it names the node, its input and the trace.
            StepLimitExceeded: a cycle was followed too often.
        """
        await self.walk(context, self._steps[start_node_id], context.item, perf_counter())
        await self.finish(context)

    async def follow(
        self, context: ExecutionContext, step: Step, output: NodeOutput | None, now: float
    ) -> None:
        """Go on behind a step that has already given its output; else like `execute`.

        Args:
            now: a reading of `perf_counter` that the caller has at hand.
        """
        if step.next is not None and output is not None:
            await self.walk(context, step.next, output, now)
        else:
            await self._branch(context, self.leave(context, step, output, DEFAULT_PORT))
        if context.joins:
            await self.finish(context)

    async def finish(self, context: ExecutionContext) -> None:
        """Run the joins that wait for edges which nothing can take any more: a round of a cycle
        that is not gone leaves them open. While background work goes on, it may still take them.
        A node that has asked for that is run again.
        """
        while context.joins and context.tasks <= {asyncio.current_task()}:
            node_id = self._next(context.joins)
            step, join = self._steps[node_id], context.joins.pop(node_id)
            context.ended_round = join if isinstance(join, Round) else None
            item = context.merge(step, join.live())
            if item is not None:
                ready = [(step, item)]
            else:
                ready = self.leave(context, step, None, DEFAULT_PORT)
            context.note(ready)
            await self._branch(context, ready)

    async def resume(self, context: ExecutionContext, ready: Ready) -> None:
        """Walk on at every step that is ready, and return as `execute` does."""
        if len(ready) == 1:
            await self.walk(context, *ready[0], perf_counter())
        else:
            await self._branch(context, ready)
        if context.joins:
            await self.finish(context)

    def finish_behind(self, context: ExecutionContext) -> None:
        """Do what `finish` does, in the background."""
        self._spawn(context, self.finish(context))

    def _next(self, joins: Mapping[str, Join]) -> str:
        """Return the join to run first: what is between a node and its next round goes before it,
        and that before all that is behind it."""
        rounds = [join for join in joins.values() if isinstance(join, Round)]
        if not rounds:
            return min(joins, key=self._rank)

        def order(node_id: str) -> tuple[int, bool, tuple[int, int]]:
            depth = sum(node_id in found.body for found in rounds)
            return -depth, not isinstance(joins[node_id], Round), self._rank(node_id)

        return min(joins, key=order)

    def _rank(self, node_id: str) -> tuple[int, int]:
        return self._steps[node_id].rank

    def _spawn(self, context: ExecutionContext, work: Coroutine[Any, Any, None]) -> None:
        task = context.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut off what goes on in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def walk(
        self, context: ExecutionContext, step: Step, item: NodeOutput, now: float
    ) -> None:
        """Run a step on an item, and all that is downstream of it but waiting joins."""
        output: NodeOutput | None
        while True:
            chain = step.chain
            if chain is not None and now < chain.measure_at:
                output = item
                try:
                    for call in chain.calls:
                        output = await call(output)
                        if output is None:
                            break
                except (Exception, asyncio.CancelledError) as error:
                    raise broken(chain, call, error, output) from error
                if output is not None:
                    chain.count += 1
                else:
                    chain.count_until(call, answered=True)
                step = chain.last
                if not step.routes:
                    return
                now = perf_counter()
            else:
                if chain is not None:
                    chain.measure_at = now + MEASURE_EVERY
                output, now = await self._step(context, step, item, now)
                if context.run is not None:
                    ready = await context.run.advance(self, step, item, output)
                    if len(ready) != 1:
                        await self._branch(context, ready)
                        return
                    step, item = ready[0]
                    continue
                if not step.routes:
                    return
            if step.next is not None and output is not None:
                step, item = step.next, output
                continue
            port = port_of(step, item, output) if step.conditional else DEFAULT_PORT
            ready = self.leave(context, step, output, port)
            if step.background and ready:
                self._spawn(context, self._branch(context, ready))
                return
            if len(ready) != 1:
                await self._branch(context, ready)
                return
            step, item = ready[0]

    async def _step(
        self, context: ExecutionContext, step: Step, item: NodeOutput, begun: float
    ) -> tuple[NodeOutput | None, float]:
        """Run one step, measured; return its output and the time at which it ended."""
        step.started_at = begun
        if step.conditional:
            chosen_port.set(None)
        try:
            if step.contextual:
                output = await step.call(item, context.at(step, item))
            else:
                output = await step.call(item)
        except (Exception, asyncio.CancelledError) as error:
            raise failure_at(step, error, item) from error
        ended = perf_counter()
        step.measure(begun, ended)
        step.count += 1
        if ended >= step.tap.due:
            port = chosen_port.get() if step.conditional else None
            step.tap.take(ended, item, output, port=port, seconds=ended - begun)
        return output, ended

    async def _branch(self, context: ExecutionContext, ready: Ready) -> None:
        """Walk on at every step that is ready; several at a time run concurrently."""
        if len(ready) == 1:
            await self.walk(context, *ready[0], perf_counter())
        elif ready:
            context.forked = True
            now = perf_counter()
            await _concurrently([self.walk(context, step, item, now) for step, item in ready])

    def leave(
        self, context: ExecutionContext, step: Step, output: NodeOutput | None, port: str
    ) -> Ready:
        """Send an output along the edges of a port and tell which steps are ready to run.

        An edge that is not taken is dead, and so is everything that only dead edges lead to: a
        join waits for its live edges only. What leads out of a cycle is open until its last round.
        """
        ready: Ready = []
        leaving: list[tuple[Step, NodeOutput | None, str]] = [(step, output, port)]
        while leaving:
            step, output, port = leaving.pop()
            for route in step.routes:
                item = output if output is not None and _taken(route, step, output, port) else None
                if route.back:
                    if item is not None and route.target.body:
                        context.come_back(route.target.id, item)
                    elif item is not None:
                        ready.append((context.turn(route), item))
                    continue
                if item is None and route.leaving:
                    continue
                arrived, merged = _arrive(context, route, item)
                if not arrived:
                    continue
                if merged is not None:
                    ready.append((route.target, merged))
                else:
                    leaving.append((route.target, None, DEFAULT_PORT))
        return ready


def _taken(route: Route, step: Step, output: NodeOutput, port: str) -> bool:
    if route.port != port:
        return False
    if route.condition is None:
        return True
    try:
        return route.condition(output.data)
    except Exception as error:
        raise failure_at(step, error, output) from error


def _arrive(
    context: ExecutionContext, route: Route, item: NodeOutput | None
) -> tuple[bool, NodeOutput | None]:
    """Note that an edge is decided; return whether all are, and the target's input if alive."""
    target = route.target
    if target.arrivals == 1:
        return True, item
    if context.joins is None:
        context.joins = {}
    join = context.joins.get(target.id)
    if join is None:
        join = context.joins[target.id] = context.new_join(target.arrivals)
    try:
        join.put(route.place, item)
        if not join.decided:
            return False, None
        del context.joins[target.id]
        return True, context.merge(target, join.live())
    except Exception as error:
        raise failure_at(target, error, item) from error


def port_of(step: Step, item: NodeOutput, output: NodeOutput | None) -> str:
    port = chosen_port.get()
    if port is None:
        if output is None:
            return DEFAULT_PORT
        raise failure_at(step, LookupError(f"{step.type} chose no output port"), item)
    return port


def broken(chain: Chain, call: Call, error: BaseException, item: Any) -> BaseException:
    """Return what a call in a chain raised as the failure of its step."""
    return failure_at(chain.count_until(call, answered=False), error, item)


def failure_at(step: Step, error: BaseException, item: Any) -> BaseException:
    """Return the error as NodeFailed with its place, and count it.

    A cancellation of the task itself stays one, and so does the end of a run; a cancellation that
    the node let out is a failure like others.
    """
    if isinstance(error, RunEnded):
        return error
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        return error
    step.failed += 1
    step.ended_at = perf_counter()
    if isinstance(error, NodeFailed):
        failure = error
    else:
        kind = error.code if isinstance(error, OrchestratorError) else type(error).__name__
        kinds = (kind, *(base.__name__ for base in type(error).__mro__))
        failure = NodeFailed(str(error) or type(error).__name__, error_type=kind, kinds=kinds)
    failure.node_id = failure.node_id or step.id
    failure.node_input = item
    if not failure.trace:
        failure.trace = scrub("".join(traceback.format_exception(error)))[-_TRACE_LIMIT:]
    failure.message = scrub(failure.message)
    step.last_error = f"{failure.error_type}: {failure.message}"[:500]
    step.tap.take_rare(step.ended_at, item, error=failure.error_type)
    return failure


async def _concurrently(walks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run walks side by side; the first failure ends the others and is raised.

    Not a TaskGroup: that of Python 3.11 leaves its parent marked as cancelled when a member fails.
    """
    name = asyncio.current_task().get_name()  # type: ignore[union-attr]
    tasks = [asyncio.create_task(walk, name=name) for walk in walks]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in done:
            await task
