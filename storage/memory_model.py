"""What the memory store keeps of a workflow."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from storage.records import Completion, Entry, Lease, Room, SlotState


@dataclass(slots=True)
class Held:
    """An entry in the hands of a slot."""

    slot: int
    deliveries: int = 1


@dataclass(slots=True)
class Queue:
    """`fresh` and `held` part the entries: nobody, or a slot, has them in hand."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    put_at: dict[str, float] = field(default_factory=dict)
    fresh: dict[str, None] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    weight: int = 0
    added: int = 0
    dropped: int = 0

    def add(self, entry_id: str, body: bytes) -> None:
        self.bodies[entry_id] = body
        self.put_at[entry_id] = time.time()
        self.fresh[entry_id] = None
        self.weight += len(body)
        self.added += 1

    def remove(self, entry_id: str) -> None:
        self.weight -= len(self.bodies.pop(entry_id))
        del self.put_at[entry_id]
        self.fresh.pop(entry_id, None)
        self.held.pop(entry_id, None)

    def entry(self, name: str, entry_id: str) -> Entry:
        held = self.held.get(entry_id)
        deliveries = held.deliveries if held is not None else 0
        return Entry(queue=name, id=entry_id, body=self.bodies[entry_id], deliveries=deliveries)

    def to_drop(
        self, room: Room, bodies: Sequence[bytes], acked: Sequence[Entry]
    ) -> list[str] | None:
        """Return the entries that must go so that the bodies fit; None when they do not.

        Where the oldest are dropped, what is in hand does not count: it is on its way out, and a
        cycle of queues could stick.
        """
        length = len(self.bodies) - len(acked)
        held = self.weight - sum(len(entry.body) for entry in acked)
        over = length + len(bodies) - room.items if room.items else 0
        heavy = held + sum(map(len, bodies)) - room.bytes if room.bytes and length else 0
        if over <= 0 and heavy <= 0:
            return []
        if not room.drop_oldest:
            return None
        over -= len(self.held) - len(acked)
        found: list[str] = []
        for entry_id in self.fresh:
            if over <= 0 and heavy <= 0:
                break
            found.append(entry_id)
            over, heavy = over - 1, heavy - len(self.bodies[entry_id])
        return found


@dataclass(slots=True)
class Slot:
    activation: int
    number: int = 0
    sequence: int = 0
    states: dict[str, bytes] = field(default_factory=dict)
    open: bool = False
    crashed_at: int = -1
    crashes: int = 0

    def state(self, crashes: int = 0) -> SlotState:
        return SlotState(
            activation=self.activation,
            number=self.number,
            sequence=self.sequence,
            states=dict(self.states),
            crashes=crashes,
        )


@dataclass(slots=True)
class Workflow:
    queues: defaultdict[str, Queue] = field(default_factory=lambda: defaultdict(Queue))
    fences: dict[str, int] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    completed: dict[str, int] = field(default_factory=dict)
    dead: dict[str, bytes] = field(default_factory=dict)
    delayed: defaultdict[str, list[tuple[float, bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    operations: dict[str, float] = field(default_factory=dict)
    offers: dict[str, tuple[str, float]] = field(default_factory=dict)

    def owns(self, lease: Lease) -> bool:
        return self.fences.get(lease.name) == lease.token

    def exhausted(self, loop: str, completion: Completion, activation: int) -> bool:
        return (
            not self.delayed[loop]
            and not any(self.queues[name].bodies for name in completion.queues)
            and all(self.completed.get(writer) == activation for writer in completion.writers)
        )

    def pending(self, queues: Sequence[str], slot: int) -> Iterator[Entry]:
        for name in queues:
            queue = self.queues[name]
            for entry_id, held in queue.held.items():
                if held.slot == slot:
                    yield queue.entry(name, entry_id)
