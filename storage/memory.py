"""The stores in this process's memory, for tests, parity and the Python API."""

import asyncio
import itertools
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.exceptions import LeaseLost
from storage.base import (
    DEAD_LETTERS,
    DEAD_LETTERS_LIMIT,
    MISSING,
    CacheStore,
    Channel,
    Commit,
    CommitResult,
    Entry,
    Feed,
    Lease,
    Missing,
    Outcome,
    QueueStore,
    SlotState,
)


@dataclass(slots=True)
class _Pending:
    slot: int
    deliveries: int = 1


@dataclass(slots=True)
class _Queue:
    bodies: dict[str, bytes] = field(default_factory=dict)
    fresh: deque[str] = field(default_factory=deque)
    pending: dict[str, _Pending] = field(default_factory=dict)

    def add(self, entry_id: str, body: bytes) -> None:
        self.bodies[entry_id] = body
        self.fresh.append(entry_id)


@dataclass(slots=True)
class _Slot:
    activation: int
    number: int = 0
    sequence: int = 0
    states: dict[str, bytes] = field(default_factory=dict)
    open: bool = False
    crashed_at: int = -1
    crashes: int = 0


@dataclass(slots=True)
class _Workflow:
    queues: defaultdict[str, _Queue] = field(default_factory=lambda: defaultdict(_Queue))
    fences: dict[str, int] = field(default_factory=dict)
    slots: dict[str, _Slot] = field(default_factory=dict)
    completed: dict[str, int] = field(default_factory=dict)
    dead: dict[str, bytes] = field(default_factory=dict)


class MemoryQueueStore(QueueStore):
    """Safe to use from several threads, each with its own event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._workflows: defaultdict[str, _Workflow] = defaultdict(_Workflow)
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def _new_id(self) -> str:
        return f"{next(self._ids)}-0"

    async def begin(self, lease: Lease, activation: int) -> SlotState:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if workflow.fences.get(lease.name, 0) > lease.token:
                raise LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")
            workflow.fences[lease.name] = lease.token
            slot = workflow.slots.get(lease.name)
            if slot is None or slot.activation != activation:
                slot = workflow.slots[lease.name] = _Slot(activation)
                workflow.completed.pop(lease.name, None)
            crashes = 0
            if slot.open:
                same = slot.crashed_at == slot.sequence
                crashes = slot.crashes = slot.crashes + 1 if same else 1
                slot.crashed_at = slot.sequence
            slot.open = True
            return SlotState(
                activation=activation,
                number=slot.number,
                sequence=slot.sequence,
                states=dict(slot.states),
                crashes=crashes,
            )

    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if workflow.fences.get(lease.name) != lease.token:
                return
            workflow.slots[lease.name].open = False
            for queue in queues:
                for held in workflow.queues[queue].pending.values():
                    if held.slot == lease.slot:
                        held.deliveries = 0

    async def put(self, workflow: str, queue: str, body: bytes) -> str:
        with self._lock:
            entry_id = self._new_id()
            self._workflows[workflow].queues[queue].add(entry_id, body)
        self._wake()
        return entry_id

    def _wake(self) -> None:
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)

    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        self._waiting.add(waiter)
        try:
            found = self._take(lease, queues, count)
            if found or wait <= 0:
                return found
            async with asyncio.timeout(wait):
                while not found:
                    await event.wait()
                    event.clear()
                    found = self._take(lease, queues, count)
        except TimeoutError:
            return []
        finally:
            self._waiting.discard(waiter)
        return found

    def _take(self, lease: Lease, queues: Sequence[str], count: int) -> list[Entry]:
        found: list[Entry] = []
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if workflow.fences.get(lease.name) != lease.token:
                raise LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")
            for name in queues:
                queue = workflow.queues[name]
                for _ in range(min(count, len(queue.fresh))):
                    entry_id = queue.fresh.popleft()
                    queue.pending[entry_id] = _Pending(lease.slot)
                    found.append(Entry(queue=name, id=entry_id, body=queue.bodies[entry_id]))
        return found

    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            return [
                Entry(
                    queue=name,
                    id=entry_id,
                    body=workflow.queues[name].bodies[entry_id],
                    deliveries=held.deliveries,
                )
                for name in queues
                for entry_id, held in workflow.queues[name].pending.items()
                if held.slot == lease.slot
            ]

    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        with self._lock:
            held = self._workflows[lease.workflow].queues[entry.queue].pending[entry.id]
            held.slot, held.deliveries = lease.slot, held.deliveries + 1
            return Entry(
                queue=entry.queue, id=entry.id, body=entry.body, deliveries=held.deliveries
            )

    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        with self._lock:
            workflow = self._workflows[lease.workflow]
            if workflow.fences.get(lease.name) != lease.token:
                return CommitResult(Outcome.FENCED)
            slot = workflow.slots[lease.name]
            if slot.number == commit.number:
                return CommitResult(Outcome.COMMITTED)
            refusal = _refusal(workflow, lease, commit)
            if refusal is not None:
                return refusal
            for name, body in commit.outputs:
                workflow.queues[name].add(self._new_id(), body)
            for name, entry_id in commit.acks:
                del workflow.queues[name].pending[entry_id]
                del workflow.queues[name].bodies[entry_id]
            slot.states.update(commit.states)
            for body in commit.dead:
                workflow.dead[self._new_id()] = body
            slot.number, slot.sequence = commit.number, commit.sequence
            if commit.completed:
                workflow.completed[lease.name] = commit.activation
        if commit.outputs:
            self._wake()
        return CommitResult(Outcome.COMMITTED)

    async def exhausted(
        self, workflow: str, queues: Sequence[str], writers: Sequence[str], activation: int
    ) -> bool:
        with self._lock:
            found = self._workflows[workflow]
            return not any(found.queues[name].bodies for name in queues) and all(
                found.completed.get(writer) == activation for writer in writers
            )

    async def completed(self, workflow: str) -> dict[str, int]:
        with self._lock:
            return dict(self._workflows[workflow].completed)

    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        with self._lock:
            found = self._workflows[workflow]
            return {name: len(found.queues[name].bodies) for name in queues}

    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        with self._lock:
            bodies = self._workflows[workflow].queues[queue].bodies
            return [
                Entry(queue=queue, id=entry_id, body=body)
                for entry_id, body in itertools.islice(bodies.items(), count)
            ]

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


def _refusal(workflow: _Workflow, lease: Lease, commit: Commit) -> CommitResult | None:
    foreign = tuple(
        entry_id
        for name, entry_id in commit.acks
        if (held := workflow.queues[name].pending.get(entry_id)) is None or held.slot != lease.slot
    )
    if foreign:
        return CommitResult(Outcome.NOT_OWNER, foreign)
    adding: defaultdict[str, int] = defaultdict(int)
    for name, _ in commit.outputs:
        adding[name] += 1
    full = [
        name
        for name, count in adding.items()
        if 0 < commit.room.get(name, 0) < len(workflow.queues[name].bodies) + count
    ]
    if commit.dead and len(workflow.dead) + len(commit.dead) > DEAD_LETTERS_LIMIT:
        full.append(DEAD_LETTERS)
    return CommitResult(Outcome.FULL, tuple(full)) if full else None


class _Expiring:
    """Bytes by key, each with an optional deadline on the monotonic clock."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, float | None]] = {}

    def get(self, key: str) -> bytes | Missing:
        if key not in self._values:
            return MISSING
        value, deadline = self._values[key]
        if deadline is not None and deadline <= time.monotonic():
            del self._values[key]
            return MISSING
        return value

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        self._values[key] = (value, None if ttl is None else time.monotonic() + ttl)

    def delete(self, key: str) -> bool:
        return self._values.pop(key, None) is not None

    def keys(self) -> list[str]:
        return [key for key in list(self._values) if self.get(key) is not MISSING]


class MemoryCacheStore(CacheStore):
    def __init__(self) -> None:
        self._values = _Expiring()

    async def get(self, key: str) -> bytes | Missing:
        return self._values.get(key)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self._values.set(key, value, ttl)

    async def delete(self, key: str) -> bool:
        return self._values.delete(key)


class MemoryChannel(Channel):
    def __init__(self) -> None:
        self._values = _Expiring()
        self._lists: defaultdict[str, list[bytes]] = defaultdict(list)
        self._lock = threading.Lock()

    async def get(self, key: str) -> bytes | Missing:
        return self._values.get(key)

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        self._values.set(key, value, ttl)

    async def append(self, key: str, value: bytes) -> int:
        with self._lock:
            self._lists[key].append(value)
            return len(self._lists[key])

    async def items(self, key: str) -> list[bytes]:
        return list(self._lists.get(key, ()))

    async def add(self, key: str, amount: int = 1) -> int:
        with self._lock:
            present = self._values.get(key)
            total = amount + (0 if isinstance(present, Missing) else int(present))
            self._values.set(key, str(total).encode(), None)
            return total

    async def delete(self, key: str) -> bool:
        listed = self._lists.pop(key, None) is not None
        return self._values.delete(key) or listed

    async def keys(self) -> list[str]:
        return sorted({*self._values.keys(), *self._lists})


class MemoryFeed(Feed):
    def __init__(self) -> None:
        self._latest: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._subscribers: set[asyncio.Queue[tuple[str, bytes]]] = set()

    async def publish(
        self, workflow: str, latest: Mapping[str, bytes], events: Sequence[bytes]
    ) -> None:
        self._latest[workflow].update(latest)
        for queue in self._subscribers:
            for event in events:
                queue.put_nowait((workflow, event))

    async def latest(self, workflow: str) -> dict[str, bytes]:
        return dict(self._latest[workflow])

    async def subscribe(self) -> AsyncIterator[tuple[str, bytes]]:
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)
