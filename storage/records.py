"""What queues, caches and feeds take and give: entries, commits, leases, and their limits.

Times are seconds; values are bytes of strict JSON made by `storage.codec`.
"""

import enum
from collections.abc import Mapping, Sequence
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
DELAYED: Final = "!delayed"
"""The name that FULL gives when too many items of the loop wait to be tried again."""
DELAYED_LIMIT: Final = 10_000
SERVER_MEMORY: Final = "the server's memory"
"""The name that FULL gives when the server itself has no memory left."""
OPERATION_TTL: Final = 7 * 24 * 3600
"""Seconds for which a `put` with an `op_id` is remembered."""
OFFER_TTL: Final = 24 * 3600
"""Seconds for which an `offer` with an `op_id` is remembered."""
ANSWER: Final = "!answer:"
"""With this begin the names of queues that somebody waits at for one entry, see `answer`."""
ANSWER_TTL: Final = 300
"""Seconds for which such a queue is kept behind what came last."""


def inbox(loop: str) -> str:
    """Return the name of a loop's inbox, a queue that it reads before its own source."""
    return f"!inbox:{loop}"


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


@dataclass(slots=True, kw_only=True)
class Entry:
    """One entry of a queue. `deliveries` counts how often it was handed out, this time included.

    Treat it as immutable; it is not frozen because that triples its cost.
    """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a queue may hold; 0 is without limit. With `drop_oldest`, entries that nobody has in
    hand make room for new ones, and those in hand do not count."""

    items: int = 0
    bytes: int = 0
    drop_oldest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The end of a slot's activation: nothing can come any more, see `QueueStore.exhausted`.

    queues: that the slot reads. writers: the slots (`loop/slot`) that write them.
    """

    queues: Sequence[str] = ()
    writers: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Commit:
    """A group of finished iterations.

    after: the number of the slot's commit before this one; None for any.
    outputs: (queue, body). room: by output queue. acks: the entries that were worked on.
    delayed: (seconds, body) that enter the loop's inbox after so long by the server's clock.
    completion: leaves the mark that this slot has ended its activation, unless more has come.
    """

    number: int
    sequence: int
    activation: int
    after: int | None = None
    outputs: list[tuple[str, bytes]] = field(default_factory=list)
    room: dict[str, Room] = field(default_factory=dict)
    acks: list[Entry] = field(default_factory=list)
    delayed: list[tuple[float, bytes]] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    dead: list[bytes] = field(default_factory=list)
    completion: Completion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """A queue at this moment.

    length: entries, those in hand included. bytes: of their bodies.
    oldest_at: seconds since the epoch at which the oldest was put; None when it is empty.
    added, dropped: entries since the queue was made. in_hand: entries by slot.
    """

    length: int
    bytes: int
    oldest_at: float | None
    added: int
    dropped: int
    in_hand: Mapping[int, int]


class Outcome(enum.StrEnum):
    COMMITTED = "committed"
    FENCED = "fenced"
    NOT_OWNER = "not_owner"
    FULL = "full"
    UNFINISHED = "unfinished"


class Offer(enum.StrEnum):
    """What became of an offered entry. OTHER: its `op_id` stands for an entry of another mark."""

    TAKEN = "taken"
    REPEATED = "repeated"
    OTHER = "other"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class CommitResult:
    """`names` are the full queues, or the ids of the entries that are not this slot's."""

    outcome: Outcome
    names: tuple[str, ...] = ()
