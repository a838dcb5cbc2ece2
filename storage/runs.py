"""The contract of what is kept about graphs and runs: records, and the two stores.

Memory and Django pass one and the same suite (`tests/contracts/test_run_store.py`).

Guarantees of a RunStore:

- One owner at a time: `claim` raises the run's `token`, and what an owner with a smaller token
  writes is refused (`LeaseLost`), so that a worker that was thought dead changes nothing any more.
- `record` is all or nothing: steps, state and checkpoint become visible together.
- Checkpoints are only ever inserted; `newest` first reads like `checkpoints`, backwards.
- A conditional `update` has one winner.
- States are strict JSON (InvalidPayload), of at most STATE_BYTES (PayloadTooLarge).

Every method of either store raises StoreUnavailable when the database is away. Moments are aware
datetimes in UTC by the store's own clock.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from storage import codec

Data = Mapping[str, Any]
ENDED: Final = frozenset({"completed", "terminated", "failed", "cancelled"})
"""The statuses in which nothing happens to a run any more by itself."""
ACTIVE: Final = frozenset({"pending", "running"})
STATE_BYTES: Final = 16 * 1024**2
STALE_AFTER: Final = 5.0
"""Seconds without a sign of life after which a run may be claimed from its owner."""


def new_id() -> str:
    """Return an id for a graph or a run."""
    return uuid.uuid4().hex


def as_json(value: Data) -> dict[str, Any]:
    """Return a copy of a state, or raise InvalidPayload."""
    copy: dict[str, Any] = codec.decode_own(codec.encode(value, STATE_BYTES))
    return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRecord:
    """A graph as JSON. `digest` covers what runs; a run goes on only with the one it began with."""

    id: str
    name: str
    definition: Data
    digest: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One pass through a graph.

    status: pending, running, or one of ENDED. state: the newest that is known, also while it runs.
    entry: the node it begins at. timeout: seconds, for all of it; None: no limit.
    checkpoint_every: steps from one checkpoint to the next; None: only those that a node asks for.
    steps: how many it has taken. parent: `{"run", "checkpoint"}` from which it was forked.
    request_digest: of the request that `idempotency_key` came with.
    attempt: rises when somebody starts it again. resume_from: the checkpoint at which the attempt
        begins; 0: from `initial_state`; None: at the newest.
    token: rises when a worker claims it. owner: that worker. beat_at: its last sign of life; None
        once it let go. crashes: how often it was claimed from a silent owner since a step ended.
    cancel_requested: somebody wants the owner to cancel it.
    runs_on: labels that a worker needs to execute it.
    """

    id: str
    graph_id: str
    digest: str
    initial_state: Data
    entry: str
    status: str = "pending"
    state: Data = field(default_factory=dict)
    error: Data | None = None
    message: str = ""
    max_steps: int = 1000
    timeout: float | None = None
    checkpoint_every: int | None = 1
    idempotency_key: str | None = None
    request_digest: str = ""
    parent: Data | None = None
    steps: int = 0
    attempt: int = 1
    resume_from: int | None = None
    token: int = 0
    owner: str = ""
    beat_at: datetime | None = None
    crashes: int = 0
    cancel_requested: bool = False
    runs_on: list[str] = field(default_factory=list)
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One node's turn in a run.

    number: as the run counts; a run that resumes counts on from its checkpoint, so that a number
        may come twice. position: its place in the log, given by the store.
    seconds: its duration. port: that it was left by. error: its message, None if it succeeded.
    changes: what it did to the state, see `orchestrator.execution.checkpoints.changes`.
    round: of `next_iteration`, from 0.
    """

    number: int
    node: str
    started_at: datetime
    seconds: float
    port: str | None = None
    changes: Sequence[Data] = field(default_factory=list)
    error: str | None = None
    round: int = 0
    position: int = 0

    def marshal(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return {**asdict(self), "started_at": self.started_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """A snapshot as bytes. number: from 1, by run. steps: taken when it was made.

    checksum: SHA-256 of `body`, in hex. attempt: of the run that wrote it.
    """

    run_id: str
    number: int
    steps: int
    body: bytes
    checksum: str
    attempt: int = 1
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are listed; None: any. `created_before` is exclusive."""

    graph_id: str | None = None
    status: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list, and how many there are in all."""

    runs: Sequence[RunRecord]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The steps with their positions in the log, and whether somebody wants the run cancelled."""

    steps: Sequence[StepRecord]
    cancel_requested: bool


class GraphStore(ABC):
    """Graphs by id. What a graph is does not change: another definition is another graph."""

    @abstractmethod
    async def save(self, graph: GraphRecord) -> GraphRecord:
        """Keep a graph and return it as it is kept. Saving the same again changes nothing.

        Raises:
            Conflict: there is a graph with this id and another digest.
        """

    @abstractmethod
    async def get(self, graph_id: str) -> GraphRecord:
        """Return a graph, or raise NotFound."""

    @abstractmethod
    async def list(self) -> Sequence[GraphRecord]:
        """Return all graphs, newest first."""

    @abstractmethod
    async def delete(self, graph_id: str) -> None:
        """Remove a graph with its runs.

        Raises:
            NotFound: there is none.
            Conflict: a run of it has not ended.
        """


class RunStore(ABC):
    """Runs with their steps and checkpoints. Methods raise NotFound for a run that is not there."""

    @abstractmethod
    async def create(
        self, run: RunRecord, *, checkpoint: bytes | None = None
    ) -> tuple[RunRecord, bool]:
        """Keep a new run, with its first checkpoint if it has one. With an idempotency key that is
        known already, return that run instead; the flag tells whether one was made.

        Raises:
            NotFound: there is no such graph.
            Conflict: the id is taken, or the key came with another request digest before.
        """

    @abstractmethod
    async def get(self, run_id: str) -> RunRecord: ...

    @abstractmethod
    async def list(self, which: RunFilter, *, offset: int = 0, limit: int = 50) -> Page:
        """Return runs, newest first."""

    @abstractmethod
    async def update(
        self,
        run_id: str,
        *,
        expect: Collection[str] | None = None,
        token: int | None = None,
        **fields: Any,
    ) -> RunRecord:
        """Change fields of a run and return it. `ended_at` follows the status.

        Args:
            expect: the statuses in which this may be done. token: that of the owner who does it.

        Raises:
            Conflict: it has another status. LeaseLost: it has another token.
        """

    @abstractmethod
    async def claim(
        self, run_id: str, owner: str, *, stale_after: float = STALE_AFTER
    ) -> RunRecord:
        """Take a run: raise its token, and say that it is running.

        Raises:
            Conflict: it has ended. Busy: its owner was alive less than `stale_after` seconds ago.
        """

    @abstractmethod
    async def release(self, run_id: str, token: int) -> None:
        """Let go of a run, so that another may claim it at once. Does nothing for an old token."""

    @abstractmethod
    async def record(
        self,
        run_id: str,
        token: int,
        *,
        state: Data | None = None,
        steps: Sequence[StepRecord] = (),
        taken: int | None = None,
        checkpoint: bytes | None = None,
    ) -> Recorded:
        """Write what happened, with a sign of life.

        Args:
            state: the newest. steps: for the log. taken: how many steps the run has taken now.
            checkpoint: an encoded snapshot.

        Raises:
            LeaseLost: another owner has claimed it, or it has ended. Nothing is written.
        """

    @abstractmethod
    async def cancel(self, run_id: str) -> RunRecord:
        """Cancel a run that waits, and ask the owner of one that runs to do it.

        Raises:
            Conflict: it has ended.
        """

    @abstractmethod
    async def delete(self, run_id: str) -> None:
        """Remove a run that has ended with all its steps and checkpoints.

        Raises:
            Conflict: it has not ended.
        """

    @abstractmethod
    async def steps(
        self, run_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[StepRecord]:
        """Return the log behind a position."""

    @abstractmethod
    async def checkpoints(self, run_id: str) -> Sequence[CheckpointRecord]:
        """Return the checkpoints, oldest first."""

    @abstractmethod
    async def checkpoint(self, run_id: str, number: int) -> CheckpointRecord:
        """Return one checkpoint, or raise NotFound."""

    @abstractmethod
    async def newest(
        self, run_id: str, *, before: int | None = None, attempt: int | None = None
    ) -> CheckpointRecord | None:
        """Return the newest checkpoint, of those with a smaller number than `before` and written
        in this attempt."""

    @abstractmethod
    async def abandoned(self, *, stale_after: float) -> Sequence[RunRecord]:
        """Return the runs whose owner has been silent for that many seconds, and then those that
        have waited as long: of each the oldest first, at most 1000."""
