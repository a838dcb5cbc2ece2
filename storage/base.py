"""The storage contract. Memory and Redis pass one and the same suite (`tests/contracts`).

Guarantees of a QueueStore:

- A queue is first in, first out for one slot without redelivery.
- An entry that was read stays *pending* with the slot that read it until a commit acknowledges it;
  nothing that was put and not acknowledged is ever dropped.
- `commit` is all or nothing: outputs, acknowledgements, state, dead letters and completion mark of
  a group of iterations become visible together, once, or not at all. It changes nothing when the
  lease's token is not the newest (FENCED), an entry is no longer pending with this slot
  (NOT_OWNER), or an output queue has no room (FULL).
- Repeating a commit with the same number changes nothing and answers COMMITTED, so that a caller
  who lost the answer may ask again.

Values are bytes of strict JSON made by `storage.codec`; a store never looks into them. Times are
seconds; waiting is in seconds, too.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()
"""What a look-up answers when there is no value; `None` is a value."""

DEAD_LETTERS: Final = "!dead-letters"
"""The name that FULL gives when the outbox of dead letters has no room."""
DEAD_LETTERS_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one copy of a loop. A greater token beats a smaller one."""

    workflow: str
    loop: str
    slot: int
    token: int

    @property
    def name(self) -> str:
        return f"{self.loop}/{self.slot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a queue. `deliveries` counts how often it was handed out, this time included."""

    queue: str
    id: str
    body: bytes
    deliveries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """What a slot finds when it begins.

    number: of its last commit. sequence: of its last committed iteration.
    states: committed node states by node id, as JSON bytes.
    crashes: how often in a row the slot ended without `end` at this very sequence.
    """

    activation: int
    number: int
    sequence: int
    states: Mapping[str, bytes]
    crashes: int


@dataclass(slots=True, kw_only=True)
class Commit:
    """A group of finished iterations. `room` gives the length limit of each output queue;
    `completed` leaves the mark that this slot has ended its activation."""

    number: int
    sequence: int
    activation: int
    outputs: list[tuple[str, bytes]] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)
    acks: list[tuple[str, str]] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    dead: list[bytes] = field(default_factory=list)
    completed: bool = False


class Outcome(enum.StrEnum):
    COMMITTED = "committed"
    FENCED = "fenced"
    NOT_OWNER = "not_owner"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class CommitResult:
    """`names` are the full queues, or the ids of the entries that another slot owns."""

    outcome: Outcome
    names: tuple[str, ...] = ()


class QueueStore(ABC):
    """Durable queues and the state of loops, grouped by workflow.

    Raises (every method): StoreUnavailable when the server cannot be reached or does not answer.
    """

    @abstractmethod
    async def begin(self, lease: Lease, activation: int) -> SlotState:
        """Take the slot: raise its fence to the lease's token and return its state.

        A new activation begins with no states, sequence 0 and no completion mark.

        Raises:
            LeaseLost: the fence already has a greater token.
        """

    @abstractmethod
    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        """Leave the slot cleanly. What is still pending with it in these queues was not the cause
        of anything: its deliveries are set to 0. Does nothing when the lease was lost."""

    @abstractmethod
    async def put(self, workflow: str, queue: str, body: bytes) -> str:
        """Append one entry outside any iteration and return its id."""

    @abstractmethod
    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        """Return up to `count` new entries, waiting at most `wait` seconds for the first.

        Raises:
            LeaseLost: the lease's token is not the newest, or the store has lost it.
        """

    @abstractmethod
    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        """Return what is pending with this slot, oldest first, without charging a delivery.
        An entry with `deliveries` 0 was left by a clean `end`."""

    @abstractmethod
    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        """Charge one delivery to a pending entry and return it with the new count."""

    @abstractmethod
    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        """Apply a group of iterations; see the guarantees above."""

    @abstractmethod
    async def exhausted(
        self, workflow: str, queues: Sequence[str], writers: Sequence[str], activation: int
    ) -> bool:
        """Tell whether nothing can come any more: every writer slot (`loop/slot`) has committed
        its completion of this activation, and all queues are empty, with nothing pending."""

    @abstractmethod
    async def completed(self, workflow: str) -> dict[str, int]:
        """Return the activation that each slot (`loop/slot`) has committed its completion of."""

    @abstractmethod
    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        """Entries per queue, those in flight included."""

    @abstractmethod
    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        """Return the oldest entries without consuming them."""

    @abstractmethod
    async def dead(self, workflow: str, count: int) -> list[Entry]:
        """Return the oldest dead letters of the outbox without removing them."""

    @abstractmethod
    async def forget_dead(self, workflow: str, ids: Sequence[str]) -> None:
        """Remove dead letters from the outbox, after they were kept elsewhere."""

    @abstractmethod
    async def forget(self, workflow: str) -> None:
        """Remove every key of a workflow."""


class CacheStore(ABC):
    """Values with a time to live, such as outputs on the bench."""

    @abstractmethod
    async def get(self, key: str) -> bytes | Missing:
        """Return the value, or MISSING."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: float) -> None: ...

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Remove the key and tell whether it was there."""


class Channel(ABC):
    """Shared key and value for the nodes of one run."""

    @abstractmethod
    async def get(self, key: str) -> bytes | Missing:
        """Return the value, or MISSING."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None: ...

    @abstractmethod
    async def append(self, key: str, value: bytes) -> int:
        """Append to a list and return its new length."""

    @abstractmethod
    async def items(self, key: str) -> list[bytes]:
        """Return what was appended, oldest first."""

    @abstractmethod
    async def add(self, key: str, amount: int = 1) -> int:
        """Add to an integer atomically and return it; a missing key counts as 0."""

    @abstractmethod
    async def delete(self, key: str) -> bool: ...

    @abstractmethod
    async def keys(self) -> list[str]: ...


class Feed(ABC):
    """Best-effort live state: the latest of each loop, and a stream of events. Never blocks a
    loop for long and promises no delivery; `latest` is what a reader starts from."""

    @abstractmethod
    async def publish(
        self, workflow: str, latest: Mapping[str, bytes], events: Sequence[bytes]
    ) -> None:
        """Keep `latest` (JSON by slot name, `loop/slot`) and send the events to subscribers."""

    @abstractmethod
    async def latest(self, workflow: str) -> dict[str, bytes]:
        """Return the last published state of every slot."""

    @abstractmethod
    def subscribe(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (workflow, event) of all workflows from now on, until closed."""
