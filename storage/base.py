"""The storage contract. Memory and Redis pass one and the same suite (`tests/contracts`).

Guarantees of a QueueStore:

- A queue is first in, first out for one slot without redelivery.
- An entry that was read stays *pending* with the slot that read it until a commit acknowledges it;
  nothing that was put and not acknowledged is ever dropped.
- `commit` is all or nothing: outputs, acknowledgements, state, dead letters and completion mark of
  a group of iterations become visible together, once, or not at all. It changes nothing when the
  lease's token is not the newest or the store has lost the commit before (FENCED), an entry is no
  longer pending with this slot (NOT_OWNER), an output queue has no room (FULL), or it says that the
  slot has completed while there is more to come (UNFINISHED).
- Repeating a commit with the same number changes nothing and answers COMMITTED, so that a caller
  who lost the answer may ask again.

Values are bytes of strict JSON made by `storage.codec`; a store never looks into them. Times are
seconds; waiting is in seconds, too.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence

from storage.records import (
    Commit,
    CommitResult,
    Completion,
    Entry,
    Lease,
    Missing,
    Offer,
    QueueStats,
    Room,
    SlotState,
)


class QueueStore(ABC):
    """Durable queues and the state of loops, grouped by workflow.

    Raises (every method): StoreUnavailable when the server cannot be reached or does not answer.
    """

    @abstractmethod
    async def begin(
        self, lease: Lease, activation: int, restore: SlotState | None = None
    ) -> SlotState:
        """Take the slot: raise its fence to the lease's token and return its state.

        A new activation begins with no states, sequence 0 and no completion mark.

        Args:
            restore: the state to begin with when the store knows nothing of the slot.

        Raises:
            LeaseLost: the fence already has a greater token.
        """

    @abstractmethod
    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        """Leave the slot cleanly. What is still pending with it in these queues was not the cause
        of anything: its deliveries are set to 0. Does nothing when the lease was lost."""

    @abstractmethod
    async def snapshot(self, lease: Lease) -> SlotState | None:
        """Return what the slot has committed; None when its fence has another token."""

    @abstractmethod
    async def put(self, workflow: str, queue: str, body: bytes, op_id: str | None = None) -> bool:
        """Append one entry outside any iteration.

        With an `op_id` it is appended once, however often that is repeated within OPERATION_TTL;
        the answer tells whether it was appended now.
        """

    @abstractmethod
    async def offer(
        self, workflow: str, queue: str, body: bytes, room: Room, *, op_id: str = "", mark: str = ""
    ) -> Offer:
        """Append one entry if there is room for it.

        Args:
            op_id: append it once, however often that is repeated within OFFER_TTL.
            mark: what tells one entry from another that has this `op_id`.
        """

    @abstractmethod
    async def answer(self, workflow: str, queue: str, wait: float) -> bytes | Missing:
        """Return the first entry of a queue whose name begins with ANSWER; wait at most so many
        seconds until there is one. Nothing is consumed, and any number may wait."""

    @abstractmethod
    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        """Return up to `count` new entries, of the first queues first, waiting at most `wait`
        seconds for the first. Delayed entries of the loop that are due enter its inbox before.

        Raises:
            LeaseLost: the lease's token is not the newest, or the store has lost it.
        """

    @abstractmethod
    def watch(
        self, lease: Lease, queues: Sequence[str], seconds: float, woken: asyncio.Future[None]
    ) -> None:
        """Have a future done when there is something that the last `read` of these queues has not
        found: an entry, or one that was delayed and is due. Also after so many seconds, and
        perhaps earlier: when a loop that this process runs has completed. Nothing is taken:
        whoever waits may end the future at any time.

        It fails with StoreUnavailable when the server cannot be reached.
        """

    @abstractmethod
    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        """Return what is pending with this slot, oldest first, without charging a delivery.
        An entry with `deliveries` 0 was left by a clean `end`."""

    @abstractmethod
    async def adopt(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        """Take over what is pending with other slots of the loop that are closed: they ended
        cleanly, were given up with `close`, or are not known. Return it as `pending` does."""

    @abstractmethod
    async def close(self, lease: Lease) -> None:
        """Close a slot that nobody will begin again soon; `adopt` then finds what it had in hand.
        Does nothing when a newer owner has it."""

    @abstractmethod
    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        """Charge one delivery to a pending entry and return it with the new count."""

    @abstractmethod
    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        """Apply a group of iterations; see the guarantees above."""

    @abstractmethod
    async def exhausted(self, lease: Lease, completion: Completion, activation: int) -> bool:
        """Tell whether nothing can come any more: every writer slot has committed its completion
        of this activation, all queues are empty, with nothing pending, and nothing of the loop is
        delayed."""

    @abstractmethod
    async def completed(self, workflow: str) -> dict[str, int]:
        """Return the activation that each slot (`loop/slot`) has committed its completion of."""

    @abstractmethod
    async def reopen(self, workflow: str) -> None:
        """Withdraw the completion of every slot; each has to complete again."""

    @abstractmethod
    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        """Entries per queue, those in flight included."""

    @abstractmethod
    async def delayed(self, workflow: str, loops: Sequence[str]) -> dict[str, int]:
        """Return how many entries of each loop wait to be tried again."""

    @abstractmethod
    async def stats(self, workflow: str, queues: Sequence[str]) -> dict[str, QueueStats]:
        """Return what each queue holds."""

    @abstractmethod
    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        """Return the oldest entries without consuming them; `deliveries` is 0 for those that
        nobody has in hand."""

    @abstractmethod
    async def purge(self, workflow: str, queue: str) -> int:
        """Remove what nobody has in hand, entries left by a clean `end` included, and return how
        many that were."""

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
    async def get_many(self, keys: Sequence[str]) -> list[bytes | Missing]:
        """Return the values in the order of the keys, in one round trip."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: float) -> None: ...

    @abstractmethod
    async def set_many(self, values: Mapping[str, bytes], ttl: float) -> None:
        """Set all of them in one round trip; nobody sees some of them without the others."""

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

    @abstractmethod
    async def acquire(self, name: str, holder: bytes, ttl: float) -> bool:
        """Take a lock for so many seconds and tell whether it was free. Locks are no keys."""

    @abstractmethod
    async def release(self, name: str, holder: bytes) -> bool:
        """Give a lock back; False when somebody else has it by now, or nobody."""


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
