"""How the iterations of a loop begin: with a producer's item, or with an entry of a queue."""

import asyncio
import functools
import time
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nodes.contract import ExecutionCompleted, NodeOutput
from orchestrator.exceptions import NodeFailed
from orchestrator.execution.context import ExecutionContext, StepContext
from orchestrator.execution.entries import Entries, lost
from orchestrator.execution.envelope import sent_at
from orchestrator.execution.plan import MEASURE_EVERY, Chain
from orchestrator.execution.workflow_engine import broken
from orchestrator.security.secret_values import scrub
from storage.codec import decode
from storage.records import Entry, SlotState

if TYPE_CHECKING:
    from orchestrator.execution.runner import FlowRunner

TRIAL = "trial:"
"""Name of the committed state that tells which item was begun alone, and how often."""
_READ_WAIT = 0.5
_ADOPT_EVERY, _RESTS = 5.0, 3
"""Seconds, or rests, until it is asked again what others have left."""
_HOP_EVERY = 0.05
"""Seconds between two looks at how long an entry was on its way: each decodes one."""
_BACKOFF_MAX = 30.0


class ProducerSource:
    """Calls the producer again and again; its state after an item is the cursor behind it.

    After a second crash at one place the first iterations run alone, each committed before the
    next, until the place is passed at which the crash can have happened. Each is noted before it
    begins: so only what a worker died with is charged, and becomes a dead letter when it was tried
    often enough.
    """

    def __init__(self, runner: "FlowRunner", begun: SlotState) -> None:
        self._runner = runner
        self._step = runner.producer
        self._failures = 0
        self._alone_until = 0
        if begun.crashes > 1:  # once may be a neighbour's fault
            self._alone_until = begun.sequence + 2 * runner.job.commit_window
        self._trial = decode(begun.states.get(TRIAL, b"[0, 0]"))

    async def run(self) -> bool:
        """Return True when the producer completed, False when the loop has to stop."""
        runner, step, boundary = self._runner, self._step, self._runner.boundary
        iterations, window, node = runner.iterations, runner.iterations.window, step.node
        prefix = runner.scope.item_id(0)[:-1]
        produce = self._with_context if step.contextual else step.call
        chain: Chain | None = None
        now = measure_at = 0.0
        while True:
            measuring = now >= measure_at
            if measuring:
                measure_at = await self._begin_measuring() + MEASURE_EVERY
            if boundary.attention and await runner.attend():
                return False
            if window.full:
                await window.has_room()
                continue  # something may have been asked for meanwhile
            sequence = iterations.sequence + 1
            boundary.open = True
            try:
                item = await produce(NodeOutput(f"{prefix}{sequence}", {}, {}))
            except (Exception, asyncio.CancelledError) as error:
                await self._failed(error)
                now = measure_at
                continue
            finally:
                await boundary.leave()
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
        if measuring and item is not None and now >= self._step.tap.due:
            self._step.tap.take(now, None, item, seconds=self._step.last_seconds)
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
        step.last_error = scrub(f"{type(error).__name__}: {error}")[:500]
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
            context.fail(lost(context.item))
            await iterations.settle(context, iterations.states())
        else:
            context.deliveries = tries + 1
            await iterations.window.note(TRIAL, [context.sequence, tries + 1])
            await iterations.run(context, self._step, item, now)
        await iterations.window.flush()


class QueueSource:
    """Reads a queue, and the loop's inbox before it. What was pending when the slot was taken over
    runs first, each entry alone."""

    def __init__(self, runner: "FlowRunner") -> None:
        self._runner = runner
        self._entries = Entries(runner, numbered=True)
        self._breathe_at = 0.0
        self._hop_at = 0.0
        self._adopt_at = perf_counter() + _ADOPT_EVERY

    async def run(self) -> bool:
        """Return True when nothing can come any more, False when the loop has to stop."""
        if not await self._recover(await self._entries.pending()):
            return False
        runner = self._runner
        window = runner.iterations.window
        outages = runner.outages
        while True:
            if runner.boundary.attention and await runner.attend():
                return False
            window.kick()
            entries = await self._read()
            if runner.outages != outages:
                # The answer to a read may have been lost with the connection: once nothing else
                # is in hand, whatever is pending has to be run.
                outages = runner.outages
                await window.flush()
                entries = await self._entries.pending()
            if entries:
                self._measure_hop(entries)
                if not await self._run_all(entries):
                    return False
            elif runner.job.writers and await self._entries.exhausted():
                return True
            if perf_counter() >= self._adopt_at and not await self._adopt():
                return False

    async def _read(self) -> Sequence[Entry]:
        runner = self._runner
        runner.boundary.open = True
        try:
            found = await runner.patiently(lambda: self._entries.read_at_ease(_READ_WAIT))
        finally:
            await runner.boundary.leave()
        return found or ()

    def _measure_hop(self, entries: Sequence[Entry]) -> None:
        """Note how long the oldest was in the queue. What comes through the inbox was put off, or
        waited for a person."""
        now = perf_counter()
        if now < self._hop_at:
            return
        reads = self._runner.job.loop.reads
        if (entry := next((e for e in entries if e.queue == reads), None)) is not None:
            self._hop_at = now + _HOP_EVERY
            if (sent := sent_at(entry.body)) is not None:
                self._runner.hops.add(time.time() - sent)

    async def _adopt(self) -> bool:
        """Run what slots have left that were closed meanwhile. With nothing in hand, run what is
        pending as well: a server that has lost its last writes holds what was done already."""
        self._adopt_at = perf_counter() + max(_ADOPT_EVERY, _RESTS * self._entries.rest_time)
        idle = not self._runner.iterations.window.uncommitted
        find = self._entries.pending if idle else self._entries.adopted
        return await self._recover(await find())

    async def _run_all(self, entries: Sequence[Entry]) -> bool:
        for entry in entries:
            if not await self._may_begin():
                return False
            await self._entries.run(entry)
        return True

    async def _recover(self, entries: Sequence[Entry]) -> bool:
        for entry in entries:
            if not await self._may_begin():
                return False
            await self._entries.run_again(entry)
        return True

    async def _may_begin(self) -> bool:
        """Wait until another iteration may begin; False when the loop has to stop."""
        runner = self._runner
        now = perf_counter()
        if now >= self._breathe_at:
            await asyncio.sleep(0)  # as in ProducerSource
            self._breathe_at = now + MEASURE_EVERY
        if runner.boundary.attention and await runner.attend():
            return False
        if runner.iterations.window.full:
            await runner.iterations.window.has_room()
        return True


class Inbox:
    """The inbox of a loop that has a producer: it is listened to while the producer works, and its
    entries run between two of the producer's items."""

    def __init__(self, runner: "FlowRunner") -> None:
        self._runner = runner
        self._entries = Entries(runner, numbered=False)

    async def recover(self) -> None:
        """Run what was pending when the slot was taken over."""
        for entry in await self._entries.pending():
            if self._runner.stopping:
                return
            await self._has_room()
            await self._entries.run_again(entry)

    async def listen(self) -> None:
        """Hand entries over to be run at boundaries, batch by batch, until cancelled."""
        runner = self._runner
        outages = runner.outages
        while True:
            found = await runner.patiently(lambda: self._entries.read_at_ease(_READ_WAIT))
            entries = found or ()
            if runner.outages != outages:  # as in QueueSource
                outages = runner.outages
                await runner.boundary.visit_with(self.recover)
            elif entries:
                await runner.boundary.visit_with(functools.partial(self._run_all, entries))
            elif runner.stopping:
                return

    async def drain(self) -> bool:
        """Run what comes until nothing can come any more; False when the loop has to stop first."""
        runner = self._runner
        outages = -1  # who listened may have been cut off from an answer
        while not await self._entries.exhausted():
            if runner.boundary.attention and await runner.attend():
                return False
            if runner.outages != outages:
                outages = runner.outages
                await self.recover()
            found = await runner.patiently(lambda: self._entries.read(_READ_WAIT))
            await self._run_all(found or ())
        return not runner.stopping

    async def _run_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._runner.stopping:
                return  # the next start finds them pending
            await self._has_room()
            await self._entries.run(entry)
        self._runner.iterations.window.kick()

    async def _has_room(self) -> None:
        if self._runner.iterations.window.full:
            await self._runner.iterations.window.has_room()
