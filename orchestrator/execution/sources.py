"""How the iterations of a loop begin: with a producer's item, or with an entry of a queue."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nodes.contract import ExecutionCompleted, NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext, StepContext
from orchestrator.execution.envelope import unseal
from orchestrator.execution.plan import MEASURE_EVERY, Chain
from orchestrator.execution.workflow_engine import broken
from storage.base import Entry, SlotState
from storage.codec import decode

if TYPE_CHECKING:
    from orchestrator.execution.runner import FlowRunner

TRIAL = "trial:"
"""Name of the committed state that tells which item was begun alone, and how often."""
_READ_COUNT = 100
_READ_WAIT = 0.5
_BACKOFF_MAX = 30.0
_RAW_LIMIT = 16_000


class ProducerSource:
    """Calls the producer again and again; its state after an item is the cursor behind it.

    After a crash the first iterations run alone, each committed before the next, until the place
    is passed at which the crash can have happened. Each is noted before it begins: so only what
    a worker died with is charged, and becomes a dead letter when it was tried often enough.
    """

    def __init__(self, runner: "FlowRunner", begun: SlotState) -> None:
        self._runner = runner
        self._step = runner.producer
        self._failures = 0
        self._alone_until = 0
        if begun.crashes:
            self._alone_until = begun.sequence + 2 * runner.job.commit_window
        self._trial = decode(begun.states.get(TRIAL, b"[0, 0]"))

    async def run(self) -> bool:
        """Return True when the producer completed, False when the loop has to stop."""
        runner, step = self._runner, self._step
        iterations, window, node = runner.iterations, runner.iterations.window, step.node
        prefix = runner.scope.item_id(0)[:-1]
        produce = self._with_context if step.contextual else step.call
        chain: Chain | None = None
        now = measure_at = 0.0
        while True:
            measuring = now >= measure_at
            if measuring:
                measure_at = await self._begin_measuring() + MEASURE_EVERY
            if runner.attention and await runner.attend():
                return False
            if window.full:
                await window.has_room()
            sequence = iterations.sequence + 1
            runner.at_boundary = True
            try:
                item = await produce(NodeOutput(f"{prefix}{sequence}", {}, {}))
            except (Exception, asyncio.CancelledError) as error:
                await self._failed(error)
                now = measure_at
                continue
            finally:
                runner.at_boundary = False
                if runner.visit is not None:
                    await runner.visit
            now = perf_counter()
            if measuring or chain is None or type(item) is not NodeOutput:
                if type(item) is ExecutionCompleted:
                    return True
                await self._run(item, sequence, now, measuring)
                chain = iterations.chain if sequence > self._alone_until else None
                continue
            # What follows is `engine.walk` through a chain, without a coroutine for each item.
            iterations.sequence, output = sequence, item
            try:
                for call in chain.calls:
                    output = await call(output)
                    if output is None:
                        chain.count_until(call, answered=True)
                        break
                else:
                    chain.count += 1
            except (Exception, asyncio.CancelledError) as error:
                await self._settle(item, broken(chain, call, error, output))
                continue
            if not window.advance(sequence, node.state):
                await self._settle(item)

    async def _with_context(self, seed: NodeOutput) -> Any:
        """Call a producer that looks at its context; it has no item yet to stage anything for."""
        context = StepContext(ExecutionContext(self._runner.scope, seed), self._step.id)
        return await self._step.call(seed, context)

    async def _begin_measuring(self) -> float:
        await asyncio.sleep(0)  # a loop that never waits would starve all others
        self._step.started_at = now = perf_counter()
        return now

    def _measure(self, ended: float) -> None:
        self._step.measure(self._step.started_at, ended)
        if self._failures:
            self._failures = 0
            self._runner.recovered()

    async def _run(self, item: Any, sequence: int, now: float, measuring: bool) -> None:
        if measuring:
            self._measure(now)
        if item is not None and not isinstance(item, NodeOutput):
            kind = type(item).__name__
            await self._failed(TypeError(f"execute returned {kind}, not NodeOutput"))
            return
        context = self._context(item, sequence)
        if sequence <= self._alone_until:
            await self._run_alone(context, item, now)
        else:
            await self._runner.iterations.run(context, self._step, item, now)

    async def _settle(self, item: NodeOutput, failure: BaseException | None = None) -> None:
        iterations = self._runner.iterations
        context = self._context(item, iterations.sequence)
        if isinstance(failure, NodeFailed):
            context.fail(failure)
        elif failure is not None:
            raise failure
        await iterations.settle(context)

    def _context(self, item: NodeOutput | None, sequence: int) -> ExecutionContext:
        scope = self._runner.scope
        context = ExecutionContext(scope, item or NodeOutput(scope.item_id(sequence), {}))
        context.sequence = self._runner.iterations.sequence = sequence
        context.cursor = self._step.node.state
        return context

    async def _failed(self, error: BaseException) -> None:
        """Wait before the producer is called again; at once if it was only interrupted."""
        runner, step = self._runner, self._step
        step.ended_at = perf_counter()
        if isinstance(error, asyncio.CancelledError):
            if runner.was_interrupted():
                return
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise error
        self._failures += 1
        step.failed += 1
        step.last_error = f"{type(error).__name__}: {error}"[:500]
        runner.degrade(step.last_error)
        await runner.sleep(min(2.0 ** (self._failures - 1), _BACKOFF_MAX))

    async def _run_alone(
        self, context: ExecutionContext, item: NodeOutput | None, now: float
    ) -> None:
        runner, iterations = self._runner, self._runner.iterations
        tried_at, tries = self._trial
        tries = tries if tried_at == context.sequence else 0
        if tries >= runner.job.max_deliveries:
            context.deliveries = tries
            context.failure_reason = "worker_lost"
            context.fail(_lost(context.item))
            await iterations.settle(context, iterations.states())
        else:
            context.deliveries = tries + 1
            await iterations.window.note(TRIAL, [context.sequence, tries + 1])
            await iterations.run(context, self._step, item, now)
        await iterations.window.flush()


class QueueSource:
    """Reads a queue. What was pending when the slot was taken over runs first, each entry alone,
    and only it is charged a delivery; an entry that was handed out too often is a dead letter."""

    def __init__(self, runner: "FlowRunner", queue: str) -> None:
        self._runner = runner
        self._queues = [queue]
        self._lease = runner.job.lease
        self._store = runner.job.store
        self._breathe_at = 0.0

    async def run(self) -> bool:
        """Return True when nothing can come any more, False when the loop has to stop."""
        if not await self._recover():
            return False
        runner = self._runner
        window = runner.iterations.window
        outages = runner.outages
        while True:
            if runner.attention and await runner.attend():
                return False
            window.kick()
            entries = await self._read()
            if runner.outages != outages:
                outages = runner.outages
                entries = await self._handed_out()
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

    async def _handed_out(self) -> Sequence[Entry]:
        """Return all that is pending, once nothing else is in hand: the answer to a read may have
        been lost with the connection, and its entries would wait until the next start."""
        await self._runner.iterations.window.flush()
        return await self._pending()

    async def _pending(self) -> Sequence[Entry]:
        found = await self._runner.patiently(lambda: self._store.pending(self._lease, self._queues))
        return found or ()

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
        for entry in entries:
            if not await self._may_begin():
                return False
            await self._run(entry)
        return True

    async def _may_begin(self) -> bool:
        """Wait until another iteration may begin; False when the loop has to stop."""
        runner = self._runner
        now = perf_counter()
        if now >= self._breathe_at:
            await asyncio.sleep(0)  # as in ProducerSource
            self._breathe_at = now + MEASURE_EVERY
        if runner.attention and await runner.attend():
            return False
        if runner.iterations.window.full:
            await runner.iterations.window.has_room()
        return True

    async def _recover(self) -> bool:
        for entry in await self._pending():
            if not await self._may_begin():
                return False
            await self._run_again(entry)
        return True

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
        context = self._context(entry, self._open(entry) or _unreadable(entry))
        context.failure_reason = "worker_lost"
        context.fail(_lost(context.item))
        await self._runner.iterations.settle(context, self._runner.iterations.states())

    async def _run(self, entry: Entry) -> None:
        iterations, step = self._runner.iterations, self._runner.producer
        item = self._open(entry)
        if item is None:
            context = self._context(entry, _unreadable(entry))
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


def _unreadable(entry: Entry) -> NodeOutput:
    """Return an item that shows what an entry holds that is no envelope."""
    raw = entry.body[:_RAW_LIMIT].decode(errors="backslashreplace").replace("\0", "\\0")
    return NodeOutput(entry.id, {"raw": raw})


def _lost(item: NodeOutput) -> NodeFailed:
    return NodeFailed(
        "its worker died each time it was handed out", error_type="WorkerLost", node_input=item
    )
