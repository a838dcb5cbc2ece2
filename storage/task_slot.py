"""TaskSlot: a worker's side of the TaskQueue. One slot, one lease, one worker at a time."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.exceptions import InvalidPayload, LeaseLost, StoreUnavailable
from storage.base import QueueStore
from storage.records import DEAD_LETTERS, Commit, Entry, Lease, Outcome
from storage.tasks import (
    LOOP,
    MAX_DELIVERIES,
    TASKS,
    Task,
    TaskQueue,
    TaskResult,
    failed_record,
    queue_of,
    queues_of,
)

_ACTIVATION: Final = 1
_AGAIN: Final = 0.2
_MAKE_ROOM: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A task in hand. `task.lost` counts how often a worker died with it before.

    task: None when the entry is not a task at all.
    """

    entry: Entry
    task: Task | None
    returned: bool = False

    @property
    def given_up(self) -> bool:
        """Whether it was in hand too often when a worker died."""
        return self.task is not None and self.task.lost >= MAX_DELIVERIES

    @property
    def alone(self) -> bool:
        """Whether nothing may be executed beside it: it may be what ends the workers, and the
        next death would be charged to all that is in hand."""
        return self.task is not None and self.task.lost == MAX_DELIVERIES - 1


@dataclass(slots=True)
class _End:
    """How a task leaves the slot."""

    entry: Entry
    output: tuple[str, bytes] | None = None
    delayed: tuple[float, bytes] | None = None
    dead: bytes | None = None
    settled: bool = False
    mine: bool = True


class TaskSlot:
    """Args:
    slot, token: what the worker has leased. labels: what it is good for.
    """

    def __init__(self, queue: TaskQueue, slot: int, token: int, labels: Iterable[str] = ()) -> None:
        self._labels = frozenset(labels)
        self._queues = queues_of(self._labels)
        self.lease = Lease(workflow=TASKS, loop=LOOP, slot=slot, token=token)
        self.revoked = False
        self.ended = False
        self._store = queue.store
        self._number = 0
        self._held: set[str] = set()
        self._left: deque[tuple[Entry, bool]] = deque()
        self._unsure = False
        self._ends: list[_End] = []
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """Take the slot, and take over what it and closed slots have left.

        Raises:
            LeaseLost: a newer owner has it.
            StoreUnavailable: the server is away.
        """
        state = await self._store.begin(self.lease, _ACTIVATION)
        self._number = state.number
        self._leave(await self._store.pending(self.lease, self._queues), returned=True)
        await self.adopt()

    async def adopt(self) -> None:
        """Take over what closed slots have left."""
        try:
            self._leave(await self._store.adopt(self.lease, self._queues), returned=True)
        except StoreUnavailable:
            self._unsure = True
            raise

    def revoke(self) -> None:
        """Say that the lease was lost: nothing is taken or committed any more."""
        self.revoked = True

    async def take(self, count: int, wait: float) -> list[Taken]:
        """Return up to `count` tasks, waiting at most `wait` seconds for the first; one that has to
        be executed alone comes by itself.

        Raises:
            LeaseLost: there is a newer owner, or the server has lost what it knew of this one.
            StoreUnavailable: the server is away.
        """
        if self.revoked:
            raise self._lost()
        if self._unsure:  # an answer was lost, and what was in it
            self._leave(await self._store.pending(self.lease, self._queues), returned=False)
            self._unsure = False
        if self._left:
            return self._take_left(count)
        self._unsure = True
        try:
            entries = await self._store.read(self.lease, self._queues, count, wait)
        except LeaseLost:
            self.revoke()
            raise
        self._unsure = False
        return [self._taken(entry, returned=False) for entry in entries]

    def fits(self, task: Task) -> bool:
        """Tell whether this worker has the labels that a task needs. What was put off comes to any
        worker, which then gives it back."""
        return self._labels.issuperset(task.runs_on)

    def _leave(self, entries: Sequence[Entry], *, returned: bool) -> None:
        known = self._held | {entry.id for entry, _ in self._left}
        self._left.extend((entry, returned) for entry in entries if entry.id not in known)

    def _take_left(self, count: int) -> list[Taken]:
        found: list[Taken] = []
        while self._left and len(found) < count:
            taken = self._taken(*self._left[0])
            if taken.alone and found:
                break
            self._left.popleft()
            found.append(taken)
            if taken.alone:
                break
        return found

    def _taken(self, entry: Entry, returned: bool) -> Taken:
        self._held.add(entry.id)
        try:
            task = Task.decode(entry.body)
        except InvalidPayload:
            return Taken(entry=entry, task=None)
        if returned:
            task = replace(task, lost=task.lost + entry.deliveries)
        return Taken(entry=entry, task=task, returned=returned and entry.deliveries > 0)

    async def charge(self, taken: Taken) -> None:
        """Count one more delivery of a task that came back, right before it is executed."""
        if taken.returned:
            await self._store.redeliver(self.lease, taken.entry)

    async def done(self, taken: Taken) -> bool:
        """Take the task out of the queue; tell whether it was this slot's.

        Raises (as every method that ends a task): LeaseLost.
        """
        return await self._end(_End(taken.entry))

    async def retry(self, taken: Taken, delay: float) -> bool:
        """Put the task off for so many seconds, one attempt more behind it."""
        assert taken.task is not None
        task = replace(taken.task, attempts=taken.task.attempts + 1, lost=0)
        return await self._end(_End(taken.entry, delayed=(delay, task.encode())))

    async def give_back(self, taken: Taken) -> bool:
        """Put the task back to the end of the queue, as if it had not been taken."""
        assert taken.task is not None
        return await self._end(_End(taken.entry, output=_unharmed(taken)))

    async def fail(self, taken: Taken, result: TaskResult) -> bool:
        """Take the task out of the queue and keep a record of how it failed."""
        task = taken.task or Task(type="", arguments={}, id=taken.entry.id)
        return await self._end(_End(taken.entry, dead=failed_record(task, result)))

    async def end(self) -> None:
        """Leave the slot cleanly: what is still in hand is given back."""
        async with self._lock:
            for entry in await self._store.pending(self.lease, self._queues):
                end = _End(entry, output=_unharmed(self._taken(entry, entry.id not in self._held)))
                self._ends.append(end)
            await self._flush()
        await self._store.end(self.lease, self._queues)
        self.ended = True

    async def _end(self, end: _End) -> bool:
        self._ends.append(end)
        # A commit that is cut off may have happened: its number must not be used for another.
        await asyncio.shield(asyncio.ensure_future(self._settle(end)))
        return end.mine

    async def _settle(self, end: _End) -> None:
        async with self._lock:
            if not end.settled:  # what came meanwhile is committed by whoever is first
                await self._flush()
        if not end.settled:
            raise LeaseLost

    async def _flush(self) -> None:
        ends, self._ends = self._ends, []
        number = self._number + 1
        try:
            while ends and not await self._commit(number, ends):
                ends = [end for end in ends if end.mine]
        finally:
            for end in ends:
                self._held.discard(end.entry.id)

    async def _commit(self, number: int, ends: list[_End]) -> bool:
        """Commit; False when some of it was not ours, and is marked so."""
        commit = Commit(
            number=number,
            sequence=number,
            activation=_ACTIVATION,
            after=self._number,
            outputs=[end.output for end in ends if end.output is not None],
            acks=sorted((end.entry for end in ends), key=_age),
            delayed=[end.delayed for end in ends if end.delayed is not None],
            dead=[end.dead for end in ends if end.dead is not None],
        )
        while True:
            if self.revoked:
                raise self._lost()
            try:
                result = await self._store.commit(self.lease, commit)
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN)  # the same number once more changes nothing
                continue
            if result.outcome is Outcome.COMMITTED:
                self._number = number
                for end in ends:
                    end.settled = True
                return True
            if result.outcome is Outcome.NOT_OWNER:
                for end in ends:
                    if end.entry.id in result.names:
                        end.settled, end.mine = True, False
                return False
            if result.outcome is not Outcome.FULL:
                raise self._lost()
            await self._wait_for_room(result.names)

    def _lost(self) -> LeaseLost:
        self.revoke()
        return LeaseLost(f"the slot {self.lease.name} of the workers has a newer owner")

    async def _wait_for_room(self, names: Sequence[str]) -> None:
        """Let the oldest records of failures go; anything else empties by itself."""
        if DEAD_LETTERS in names:
            oldest = await self._store.dead(TASKS, _MAKE_ROOM)
            await self._store.forget_dead(TASKS, [entry.id for entry in oldest])
        else:
            await asyncio.sleep(_AGAIN)


async def close_slot(store: QueueStore, slot: int, token: int) -> None:
    """Close a slot whose worker is gone, so that `adopt` finds what it had in hand.

    Args:
        token: a new one, so that the worker can commit nothing more should it be there after all.
    """
    lease = Lease(workflow=TASKS, loop=LOOP, slot=slot, token=token)
    await store.begin(lease, _ACTIVATION)
    await store.close(lease)


def _unharmed(taken: Taken) -> tuple[str, bytes]:
    """Return what is given back, and to which queue."""
    if taken.task is None:
        return queue_of(()), taken.entry.body
    return queue_of(taken.task.runs_on), taken.task.encode()


def _age(entry: Entry) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.id.split("-"))
