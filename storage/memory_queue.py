"""Queues in this process's memory, for tests, parity and the Python API."""

import asyncio
import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.exceptions import LeaseLost
from storage.base import QueueStore
from storage.memory_model import Held, Queue, Slot, Workflow
from storage.records import (
    ANSWER,
    ANSWER_TTL,
    DEAD_LETTERS,
    DEAD_LETTERS_LIMIT,
    DELAYED,
    DELAYED_LIMIT,
    MISSING,
    OFFER_TTL,
    OPERATION_TTL,
    Commit,
    CommitResult,
    Completion,
    Entry,
    Lease,
    Missing,
    Offer,
    Outcome,
    QueueStats,
    Room,
    SlotState,
    inbox,
)

_ANY = Room()


class MemoryQueueStore(QueueStore):
    """Safe to use from several threads, each with its own event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._workflows: defaultdict[str, Workflow] = defaultdict(Workflow)
        self._waiting: set[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = set()

    def _new_id(self) -> str:
        return f"{next(self._ids)}-0"

    async def begin(
        self, lease: Lease, activation: int, restore: SlotState | None = None
    ) -> SlotState:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if workflow.fences.get(lease.name, 0) > lease.token:
                raise _lost(lease)
            workflow.fences[lease.name] = lease.token
            slot = workflow.slots.get(lease.name)
            if slot is None or slot.activation != activation:
                known = slot is not None
                slot = workflow.slots[lease.name] = Slot(activation)
                workflow.completed.pop(lease.name, None)
                if restore is not None and not known:
                    slot.sequence, slot.states = restore.sequence, dict(restore.states)
            crashes = 0
            if slot.open:
                same = slot.crashed_at == slot.sequence
                crashes = slot.crashes = slot.crashes + 1 if same else 1
                slot.crashed_at = slot.sequence
            slot.open = True
            return slot.state(crashes)

    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if not workflow.owns(lease):
                return
            workflow.slots[lease.name].open = False
            for queue in queues:
                for held in workflow.queues[queue].held.values():
                    if held.slot == lease.slot:
                        held.deliveries = 0

    async def snapshot(self, lease: Lease) -> SlotState | None:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            slot = workflow.slots.get(lease.name)
            return slot.state() if slot is not None and workflow.owns(lease) else None

    async def put(self, workflow: str, queue: str, body: bytes, op_id: str | None = None) -> bool:
        with self._lock:
            found = self._workflows[workflow]
            now = time.monotonic()
            if op_id is not None:
                if found.operations.get(op_id, now) > now:
                    return False
                found.operations[op_id] = now + OPERATION_TTL
            found.queues[queue].add(self._new_id(), body)
        self._wake()
        return True

    async def offer(
        self, workflow: str, queue: str, body: bytes, room: Room, *, op_id: str = "", mark: str = ""
    ) -> Offer:
        with self._lock:
            found = self._workflows[workflow]
            now = time.monotonic()
            known, until = found.offers.get(op_id, ("", now))
            if op_id and until > now:
                return Offer.REPEATED if known == mark else Offer.OTHER
            if found.queues[queue].to_drop(room, [body], []) is None:
                return Offer.FULL
            if op_id:
                found.offers[op_id] = (mark, now + OFFER_TTL)
            found.queues[queue].add(self._new_id(), body)
        self._wake()
        return Offer.TAKEN

    async def answer(self, workflow: str, queue: str, wait: float) -> bytes | Missing:
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event.set)
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(wait):
                while not (found := await self.peek(workflow, queue, 1)):
                    await event.wait()
                    event.clear()
            return found[0].body
        except TimeoutError:
            return MISSING
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for loop, wake in list(self._waiting):
            loop.call_soon_threadsafe(wake)

    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event.set)
        self._waiting.add(waiter)
        deadline = time.monotonic() + wait
        try:
            found, due = self._take(lease, queues, count)
            while not found and (left := deadline - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left if due is None else min(left, due)):
                        await event.wait()
                except TimeoutError:
                    pass
                event.clear()
                found, due = self._take(lease, queues, count)
            return found
        finally:
            self._waiting.discard(waiter)

    def watch(
        self, lease: Lease, queues: Sequence[str], seconds: float, woken: asyncio.Future[None]
    ) -> None:
        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        loop = asyncio.get_running_loop()
        waiter = (loop, wake)
        self._waiting.add(waiter)
        with self._lock:
            workflow = self._workflows[lease.workflow]
            now = time.monotonic()
            left = [seconds, *(late[0] - now for late in workflow.delayed[lease.loop])]
            if any(workflow.queues[name].fresh for name in queues):
                left.append(0)
        timer = loop.call_later(max(0.0, min(left)), wake)

        def forget(_: object) -> None:
            timer.cancel()
            self._waiting.discard(waiter)

        woken.add_done_callback(forget)

    def _take(
        self, lease: Lease, queues: Sequence[str], count: int
    ) -> tuple[list[Entry], float | None]:
        """Return new entries, and the seconds until more is due."""
        found: list[Entry] = []
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if not workflow.owns(lease):
                raise _lost(lease)
            due = self._move_due(workflow, lease.loop)
            for name in queues:
                queue = workflow.queues[name]
                for entry_id in list(itertools.islice(queue.fresh, count - len(found))):
                    del queue.fresh[entry_id]
                    queue.held[entry_id] = Held(lease.slot)
                    found.append(queue.entry(name, entry_id))
        return found, due

    def _move_due(self, workflow: Workflow, loop: str) -> float | None:
        """Move what is due into the loop's inbox; return the seconds until more is."""
        now = time.monotonic()
        waiting = sorted(workflow.delayed[loop], key=lambda late: late[0])
        while waiting and waiting[0][0] <= now:
            workflow.queues[inbox(loop)].add(self._new_id(), waiting.pop(0)[1])
        workflow.delayed[loop] = waiting
        return max(0.0, waiting[0][0] - now) if waiting else None

    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        with self._lock:
            return list(self._workflows[lease.workflow].pending(queues, lease.slot))

    async def adopt(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if not workflow.owns(lease):
                return []
            found: list[Entry] = []
            for name in queues:
                queue = workflow.queues[name]
                for entry_id, held in queue.held.items():
                    other = workflow.slots.get(f"{lease.loop}/{held.slot}")
                    if held.slot != lease.slot and not (other is not None and other.open):
                        held.slot = lease.slot
                        found.append(queue.entry(name, entry_id))
            return found

    async def close(self, lease: Lease) -> None:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            slot = workflow.slots.get(lease.name)
            if slot is not None and workflow.fences.get(lease.name, 0) <= lease.token:
                slot.open = False

    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        with self._lock:
            held = self._workflows[lease.workflow].queues[entry.queue].held[entry.id]
            held.slot, held.deliveries = lease.slot, held.deliveries + 1
            return replace(entry, deliveries=held.deliveries)

    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if not workflow.owns(lease):
                return CommitResult(Outcome.FENCED)
            slot = workflow.slots[lease.name]
            if slot.number == commit.number:
                return CommitResult(Outcome.COMMITTED)
            if commit.after not in (None, slot.number):
                return CommitResult(Outcome.FENCED)
            completion = commit.completion
            if completion is not None:
                if not workflow.exhausted(lease.loop, completion, commit.activation):
                    return CommitResult(Outcome.UNFINISHED)
            foreign = tuple(e.id for e in commit.acks if not _has(workflow, lease, e))
            if foreign:
                return CommitResult(Outcome.NOT_OWNER, foreign)
            full, drops = self._make_room(workflow, lease, commit)
            if full:
                return CommitResult(Outcome.FULL, full)
            self._apply(workflow, lease, commit, drops)
        if commit.outputs or commit.delayed or commit.completion is not None:
            self._wake()
        return CommitResult(Outcome.COMMITTED)

    def _make_room(
        self, workflow: Workflow, lease: Lease, commit: Commit
    ) -> tuple[tuple[str, ...], dict[str, list[str]]]:
        """Return what is full, and the entries that have to be dropped by queue."""
        adding: defaultdict[str, list[bytes]] = defaultdict(list)
        for name, body in commit.outputs:
            adding[name].append(body)
        full: list[str] = []
        drops: dict[str, list[str]] = {}
        for name, bodies in adding.items():
            acked = [entry for entry in commit.acks if entry.queue == name]
            found = workflow.queues[name].to_drop(commit.room.get(name, _ANY), bodies, acked)
            if found is None:
                full.append(name)
            else:
                drops[name] = found
        if commit.dead and len(workflow.dead) + len(commit.dead) > DEAD_LETTERS_LIMIT:
            full.append(DEAD_LETTERS)
        if commit.delayed and self._too_many(workflow, lease, commit):
            # The loop that could read what is due may be the one that waits here.
            self._move_due(workflow, lease.loop)
            if self._too_many(workflow, lease, commit):
                full.append(DELAYED)
        return tuple(full), drops

    @staticmethod
    def _too_many(workflow: Workflow, lease: Lease, commit: Commit) -> bool:
        return len(workflow.delayed[lease.loop]) + len(commit.delayed) > DELAYED_LIMIT

    def _apply(
        self, workflow: Workflow, lease: Lease, commit: Commit, drops: dict[str, list[str]]
    ) -> None:
        for name, dropped in drops.items():
            workflow.queues[name].dropped += len(dropped)
            for entry_id in dropped:
                workflow.queues[name].remove(entry_id)
        for name, body in commit.outputs:
            workflow.queues[name].add(self._new_id(), body)
        self._forget_answers(workflow)
        for entry in commit.acks:
            workflow.queues[entry.queue].remove(entry.id)
        now = time.monotonic()
        workflow.delayed[lease.loop] += [(now + wait, body) for wait, body in commit.delayed]
        for body in commit.dead:
            workflow.dead[self._new_id()] = body
        slot = workflow.slots[lease.name]
        slot.states.update(commit.states)
        slot.number, slot.sequence = commit.number, commit.sequence
        if commit.completion is not None:
            workflow.completed[lease.name] = commit.activation

    @staticmethod
    def _forget_answers(workflow: Workflow) -> None:
        until = time.time() - ANSWER_TTL
        for name in [name for name in workflow.queues if name.startswith(ANSWER)]:
            if all(put_at <= until for put_at in workflow.queues[name].put_at.values()):
                del workflow.queues[name]

    async def exhausted(self, lease: Lease, completion: Completion, activation: int) -> bool:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            return workflow.exhausted(lease.loop, completion, activation)

    async def completed(self, workflow: str) -> dict[str, int]:
        with self._lock:
            return dict(self._workflows[workflow].completed)

    async def reopen(self, workflow: str) -> None:
        with self._lock:
            self._workflows[workflow].completed.clear()

    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        with self._lock:
            found = self._workflows[workflow]
            return {name: len(found.queues[name].bodies) for name in queues}

    async def delayed(self, workflow: str, loops: Sequence[str]) -> dict[str, int]:
        with self._lock:
            found = self._workflows[workflow]
            return {loop: len(found.delayed[loop]) for loop in loops}

    async def stats(self, workflow: str, queues: Sequence[str]) -> dict[str, QueueStats]:
        with self._lock:
            found = self._workflows[workflow]
            return {name: _stats(found.queues[name]) for name in queues}

    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        with self._lock:
            found = self._workflows[workflow].queues[queue]
            return [found.entry(queue, key) for key in itertools.islice(found.bodies, count)]

    async def purge(self, workflow: str, queue: str) -> int:
        with self._lock:
            found, removed = self._workflows[workflow].queues[queue], 0
            left = [entry_id for entry_id, held in found.held.items() if not held.deliveries]
            for entry_id in [*left, *found.fresh]:
                found.remove(entry_id)
                removed += 1
            return removed

    async def dead(self, workflow: str, count: int) -> list[Entry]:
        with self._lock:
            dead = self._workflows[workflow].dead
            return [
                Entry(queue=DEAD_LETTERS, id=entry_id, body=body)
                for entry_id, body in itertools.islice(dead.items(), count)
            ]

    async def forget_dead(self, workflow: str, ids: Sequence[str]) -> None:
        with self._lock:
            for entry_id in ids:
                self._workflows[workflow].dead.pop(entry_id, None)

    async def forget(self, workflow: str) -> None:
        with self._lock:
            self._workflows.pop(workflow, None)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")


def _has(workflow: Workflow, lease: Lease, entry: Entry) -> bool:
    held = workflow.queues[entry.queue].held.get(entry.id)
    return held is not None and held.slot == lease.slot


def _stats(queue: Queue) -> QueueStats:
    return QueueStats(
        length=len(queue.bodies),
        bytes=queue.weight,
        oldest_at=next(iter(queue.put_at.values()), None),
        added=queue.added,
        dropped=queue.dropped,
        in_hand=Counter(held.slot for held in queue.held.values()),
    )
