"""How the iterations of a loop begin: with a producer's item, or with an entry of a queue."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from nodes.contract import ExecutionCompleted, Json, NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.envelope import unseal
from orchestrator.execution.iterations import WALK_FAILURES, as_failure
from orchestrator.execution.plan import MEASURE_EVERY
from storage.base import Entry, SlotState

if TYPE_CHECKING:
    from orchestrator.execution.runner import FlowRunner

_READ_COUNT = 100
_READ_WAIT = 0.5
_BACKOFF_MAX = 30.0
_NOTHING = NodeOutput("", {})


class ProducerSource:
    """Calls the producer again and again; its state after an item is the cursor behind it.

    After a crash the first iterations run alone, each committed before the next, until the
    place is passed at which the crash can have happened: so the crash counter of the slot
    belongs to one item, which becomes a dead letter when it was tried often enough.
    """

    def __init__(self, runner: "FlowRunner", begun: SlotState) -> None:
        self._runner = runner
        self._step = runner.producer
        self._crashes = begun.crashes
        self._failures = 0
        self._alone_until = 0
        if begun.crashes:
            self._alone_until = begun.sequence + 2 * runner.job.commit_window

    async def run(self) -> bool:
        """Return True when the producer completed, False when the loop has to stop."""
        runner, step = self._runner, self._step
        iterations, window, scope = runner.iterations, runner.iterations.window, runner.scope
        prefix = scope.item_id(0)[:-1]
        walk, first, node = iterations.engine.walk, step.next, step.node
        context = ExecutionContext(scope, _NOTHING)
        nothing: dict[str, Json] = {}
        # A chain without state goes the short way: `iterations.run` without its coroutine.
        short = first is not None and not iterations.stateful
        alone_until = self._alone_until
        now = measure_at = 0.0
        while True:
            if runner.attention and await runner.attend():
                return False
            if window.full:
                await window.has_room()
            sequence = iterations.sequence + 1
            measuring = now >= measure_at
            if measuring:
                step.started_at = now = perf_counter()
                measure_at = now + MEASURE_EVERY
            runner.at_boundary = True
            try:
                item = await step.call(NodeOutput(f"{prefix}{sequence}", nothing, nothing))
            except asyncio.CancelledError:
                self._accept_stop()
                continue
            except Exception as error:
                await self._failed(error)
                continue
            finally:
                runner.at_boundary = False
                if runner.visit is not None:
                    await runner.visit
            now = perf_counter()
            if item.__class__ is ExecutionCompleted:
                return True
            if measuring:
                step.measure(step.started_at, now)
                if self._failures:
                    self._recover()
            step.count += 1
            if not context.clean:
                context = ExecutionContext(scope, item)
            context.item = item
            context.sequence = iterations.sequence = sequence
            context.cursor = node.state
            if sequence <= alone_until:
                await self._run_alone(context, item, now)
            elif first is None or not short:
                await iterations.run(context, step, item, now)
            else:
                try:
                    await walk(context, first, item, now)
                except WALK_FAILURES as error:
                    context.fail(as_failure(error))
                if not (context.clean and window.advance(sequence, context.cursor)):
                    await iterations.settle(context)

    def _accept_stop(self) -> None:
        """A stop interrupts a waiting producer: nothing was produced. Others' cancels go on."""
        task = asyncio.current_task()
        if not self._runner.stopping or task is None or task.uncancel() > 0:
            raise asyncio.CancelledError

    def _recover(self) -> None:
        self._failures = 0
        self._runner.recovered()

    async def _failed(self, error: Exception) -> None:
        step = self._step
        self._failures += 1
        step.failed += 1
        step.last_error = f"{type(error).__name__}: {error}"[:500]
        self._runner.degrade(step.last_error)
        await self._runner.sleep(min(2.0 ** (self._failures - 1), _BACKOFF_MAX))

    async def _run_alone(self, context: ExecutionContext, item: NodeOutput, now: float) -> None:
        iterations = self._runner.iterations
        context.deliveries = self._crashes + 1
        if self._crashes >= self._runner.job.max_deliveries:
            context.failure_reason = "worker_lost"
            context.deliveries = self._crashes
            context.fail(_lost(item))
            await iterations.settle(context, iterations.states())
        else:
            await iterations.run(context, self._step, item, now)
        self._crashes = 0
        await iterations.window.flush()


class QueueSource:
    """Reads a queue. What was pending when the slot was taken over runs first, each entry alone,
    and only it is charged a delivery; an entry that was handed out too often is a dead letter."""

    def __init__(self, runner: "FlowRunner", queue: str) -> None:
        self._runner = runner
        self._queues = [queue]
        self._lease = runner.job.lease
        self._store = runner.job.store

    async def run(self) -> bool:
        """Return True when nothing can come any more, False when the loop has to stop."""
        if not await self._recover():
            return False
        runner = self._runner
        window = runner.iterations.window
        while True:
            if runner.attention and await runner.attend():
                return False
            if window.full:
                await window.has_room()
            window.kick()
            outages = runner.outages
            entries = await self._read()
            if runner.outages != outages:
                entries = [*await self._handed_out_unheard(), *entries]
            if entries:
                if not await self._run_all(entries):
                    return False
            elif await self._exhausted():
                return True

    async def _read(self) -> Sequence[Entry]:
        runner = self._runner
        runner.at_boundary = True
        try:
            found = await runner.patiently(
                lambda: self._store.read(self._lease, self._queues, _READ_COUNT, _READ_WAIT)
            )
        finally:
            runner.at_boundary = False
            if runner.visit is not None:
                await runner.visit
        return found or ()

    async def _handed_out_unheard(self) -> Sequence[Entry]:
        """Return entries that a read took whose answer was lost: they are pending with this slot,
        and nothing that was heard of is, once all of it is committed."""
        runner = self._runner
        await runner.iterations.window.flush()
        return await runner.patiently(lambda: self._store.pending(self._lease, self._queues)) or ()

    async def _exhausted(self) -> bool:
        runner = self._runner
        await runner.iterations.window.flush()
        job = runner.job
        if not job.writers:
            return False
        return bool(
            await runner.patiently(
                lambda: self._store.exhausted(
                    job.lease.workflow, self._queues, job.writers, runner.scope.activation
                )
            )
        )

    async def _run_all(self, entries: Sequence[Entry]) -> bool:
        runner = self._runner
        window = runner.iterations.window
        for entry in entries:
            if runner.attention and await runner.attend():
                return False
            if window.full:
                await window.has_room()
            await self._run(entry)
        return True

    async def _recover(self) -> bool:
        runner = self._runner
        pending = await runner.patiently(lambda: self._store.pending(self._lease, self._queues))
        for entry in pending or ():
            if runner.attention and await runner.attend():
                return False
            await self._run_again(entry)
        return pending is not None

    async def _run_again(self, entry: Entry) -> None:
        runner = self._runner
        if entry.deliveries >= runner.job.max_deliveries:
            await self._give_up(entry)
        else:
            again = await runner.patiently(lambda: self._store.redeliver(self._lease, entry))
            if again is None:
                return
            await self._run(again)
        if entry.deliveries:
            await runner.iterations.window.flush()

    async def _give_up(self, entry: Entry) -> None:
        context = self._context(entry, self._open(entry) or NodeOutput(entry.id, {}))
        context.failure_reason = "worker_lost"
        context.fail(_lost(context.item))
        await self._runner.iterations.settle(context, self._runner.iterations.states())

    async def _run(self, entry: Entry) -> None:
        iterations, step = self._runner.iterations, self._runner.producer
        step.count += 1
        item = self._open(entry)
        if item is None:
            context = self._context(entry, NodeOutput(entry.id, {}))
            context.failure_reason = "invalid_payload"
            context.fail(NodeFailed("the entry is no envelope", node_id=step.id))
            await iterations.settle(context, iterations.states())
        else:
            await iterations.run(self._context(entry, item), step, item, perf_counter())

    def _context(self, entry: Entry, item: NodeOutput) -> ExecutionContext:
        iterations = self._runner.iterations
        iterations.sequence += 1
        context = ExecutionContext(self._runner.scope, item)
        context.sequence = iterations.sequence
        context.clean = False
        context.entry = (entry.queue, entry.id)
        context.deliveries = entry.deliveries
        return context

    def _open(self, entry: Entry) -> NodeOutput | None:
        try:
            return unseal(entry.body)
        except InvalidPayload:
            return None


def _lost(item: NodeOutput) -> NodeFailed:
    failure = NodeFailed(
        "its worker died each time it was handed out", error_type="WorkerLost", node_input=item
    )
    return failure
