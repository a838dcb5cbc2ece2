"""Entries of queues and of the inbox, run as iterations."""

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.envelope import Envelope, unseal
from storage.codec import printable
from storage.records import Entry

if TYPE_CHECKING:
    from orchestrator.execution.runner import FlowRunner

_READ_COUNT = 100
_RETRY_WAIT = 0.2
"""For loops that put items off: who waits does not hear of one that is due earlier."""
_REST_MIN, _REST_MAX, _REST_SHARE = 0.5, 5.0, 0.25
"""Seconds of a rest, and its share of the time in which nothing has come."""
_RAW_LIMIT = 16_000


class Entries:
    """Runs entries for one slot. What comes back runs alone, and only it is charged a delivery;
    an entry that was handed out too often is a dead letter.

    Args:
        numbered: each entry is an iteration with a number of its own, as in a queue-fed loop;
            beside a producer it has that of the producer's last item.
    """

    def __init__(self, runner: "FlowRunner", *, numbered: bool) -> None:
        self.queues = runner.job.completion.queues
        self._runner = runner
        self._numbered = numbered
        self._lease = runner.job.lease
        self._store = runner.job.store
        steps = runner.plan.steps.values()
        self._retries = any(step.node.config.options.retry for step in steps)
        self._came_at = perf_counter()
        self._resting = True
        """Whether nothing has come when it was asked last."""

    async def read(self, wait: float) -> list[Entry]:
        """Return new entries, waiting at most `wait` seconds for the first."""
        wait = min(wait, _RETRY_WAIT) if self._retries else wait
        return await self._store.read(self._lease, self.queues, _READ_COUNT, wait)

    async def read_at_ease(self, wait: float) -> list[Entry]:
        """As `read`, but the longer nothing has come, the longer the wait may be: it ends at once
        when something comes or is due, and when something is wished for."""
        if self._resting:
            await self._runner.rest(self.queues, self.rest_time)
        found = await self.read(0 if self._resting else wait)
        self._resting = not found
        if found:
            self._came_at = perf_counter()
        return found

    @property
    def rest_time(self) -> float:
        """Seconds that may pass until somebody asks again."""
        rest = (perf_counter() - self._came_at) * _REST_SHARE
        return min(_REST_MAX, max(_REST_MIN, rest))

    async def pending(self) -> Sequence[Entry]:
        """Return what is in this slot's hands, its own and what closed slots left."""
        runner = self._runner
        found = await runner.patiently(lambda: self._store.pending(self._lease, self.queues))
        return [*(found or ()), *await self.adopted()]

    async def adopted(self) -> Sequence[Entry]:
        """Return what closed slots of the loop left."""
        runner = self._runner
        return await runner.patiently(lambda: self._store.adopt(self._lease, self.queues)) or ()

    async def exhausted(self) -> bool:
        """Tell, with everything committed, whether nothing can come any more."""
        runner, job = self._runner, self._runner.job
        await runner.iterations.window.flush()
        activation = runner.scope.activation
        return bool(
            await runner.patiently(
                lambda: self._store.exhausted(self._lease, job.completion, activation)
            )
        )

    async def run_again(self, entry: Entry) -> None:
        """Run what was pending when the slot was taken over."""
        runner = self._runner
        if entry.deliveries >= runner.job.max_deliveries:
            await self._give_up(entry)
        else:
            again = await runner.patiently(lambda: self._store.redeliver(self._lease, entry))
            if again is None:
                return
            await self.run(again)
        if entry.deliveries:
            await runner.iterations.window.flush()

    async def run(self, entry: Entry) -> None:
        """Run an entry as an iteration."""
        iterations, step = self._runner.iterations, self._runner.producer
        try:
            envelope = unseal(entry.body)
        except InvalidPayload as error:
            context = self._context(entry, _unreadable(entry))
            context.fail(NodeFailed(error.message, node_id=step.id, error_type=error.code))
            await iterations.settle(context, iterations.states())
            return
        context = self._context(entry, envelope)
        node_id = envelope.entry_node
        if node_id is None or node_id == step.id:
            now = perf_counter()
            if now >= step.tap.due:
                step.tap.take(now, None, envelope.item)
            await iterations.run(context, step, envelope.item, now)
        elif node_id in self._runner.plan.steps:
            context.entry_node, context.start = node_id, envelope.start
            await iterations.enter(context, node_id)
        else:
            context.entry_node, context.start = node_id, envelope.start
            context.fail(_no_such_node(node_id, envelope.item))
            await iterations.settle(context, iterations.states())

    async def _give_up(self, entry: Entry) -> None:
        try:
            envelope = unseal(entry.body)
        except InvalidPayload:
            envelope = _unreadable(entry)
        context = self._context(entry, envelope)
        context.entry_node, context.start = envelope.entry_node, envelope.start
        context.fail(lost(envelope.item, envelope.entry_node or ""))
        await self._runner.iterations.settle(context, self._runner.iterations.states())

    def _context(self, entry: Entry, envelope: Envelope) -> ExecutionContext:
        iterations = self._runner.iterations
        iterations.sequence += self._numbered
        context = ExecutionContext(self._runner.scope, envelope.item)
        context.sequence = iterations.sequence
        context.clean = False
        context.entry = entry
        context.deliveries = entry.deliveries
        context.born = envelope.born
        if envelope.attempts:
            context.attempts = envelope.attempts
        context.origin = envelope.origin
        return context


def _unreadable(entry: Entry) -> Envelope:
    """Return an item that shows what an entry holds that is no envelope."""
    raw = printable(entry.body[:_RAW_LIMIT])
    return Envelope(item=NodeOutput(entry.id, {"raw": raw}), born=0.0)


def _no_such_node(node_id: str, item: NodeOutput) -> NodeFailed:
    return NodeFailed(
        f"the loop has no node '{node_id}' any more",
        node_id=node_id,
        error_type="UnknownNode",
        node_input=item,
    )


def lost(item: NodeOutput, node_id: str = "") -> NodeFailed:
    """Return the failure of an item in whose hands worker after worker died."""
    return NodeFailed(
        "its worker died each time it was handed out",
        node_id=node_id,
        error_type="WorkerLost",
        node_input=item,
    )
