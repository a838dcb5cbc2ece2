"""Checkpoints: what slots have committed, kept in the database for the day Redis loses everything.

Every few seconds a runner looks at the workflows that it runs: first at how old what is on its way
can be, then at what each slot has committed. In this order, so that an item that passes meanwhile
is in one of the two. Rows are only inserted; see `restores` for what becomes of them.
"""

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import F, Q

from orchestrator.exceptions import InvalidPayload, OrchestratorError, StoreUnavailable
from orchestrator.execution.committer import EFFECT, KEPT
from orchestrator.execution.sources import TRIAL
from orchestrator.flow.queues import plan_queues
from orchestrator.models import Checkpoint, LoopSlot
from orchestrator.runtime import dead_records, restores
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.watermarks import Sight, Watermarks
from storage.base import QueueStore
from storage.codec import decode
from storage.records import Lease, SlotState

logger = logging.getLogger(__name__)
REFRESH = 12
"""Rounds after which a slot in which nothing has changed is noted again, with what was on its way
by then; and after which rows that are too close to each other are removed."""
KEEP = 3
_GRAIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """A slot that nobody else looks after."""

    pk: int
    lease: Lease
    activation: int
    version: int
    active: int


class Checkpoints:
    """Args:
    period: seconds between two rounds.
    """

    def __init__(self, runner_id: str, queues: QueueStore, plans: Plans, period: float) -> None:
        self.period = period
        self._id = runner_id
        self._queues = queues
        self._plans = plans
        self._marks: dict[tuple[str, int], Watermarks] = {}
        self._written: dict[int, tuple[float, Any]] = {}
        """By slot: when a row was written last, and what it said."""
        self._before: set[str] = set()
        self._rounds = 0

    @property
    def slack(self) -> float:
        """Seconds by which what is chosen has to be older than what is missing."""
        return 2 * self.period

    async def write(self, running: Collection[str]) -> None:
        """Keep what slots of these workflows have committed. Of a workflow that has come to rest
        since the round before, too: that is its last word."""
        workflows = self._before | set(running)
        seats = await sync_to_async(_seats)(self._id, workflows)
        rows: list[tuple[_Seat, Checkpoint]] = []
        begun = time.monotonic()
        for _, group in groupby(seats, key=lambda seat: seat.lease.workflow):
            try:
                rows += await self._rows(list(group))
            except StoreUnavailable:
                return
            except OrchestratorError as error:  # of this workflow, not of others
                logger.warning("no checkpoint: %s", error.message)
        if rows and time.monotonic() - begun < self.period:  # else it is no news any more
            await sync_to_async(_insert)(rows)
            self._note(rows)
        self._forget(seats)
        self._before = set(running)
        self._rounds += 1
        if self._rounds % REFRESH == 0:
            await sync_to_async(prune)(workflows)

    async def _rows(self, seats: Sequence[_Seat]) -> list[tuple[_Seat, Checkpoint]]:
        """Return what is news of the slots of a workflow."""
        first = seats[0]
        oldest = await self._look(first.lease.workflow, first.activation, first.active)
        found = [await self._row(seat, oldest) for seat in seats]
        return [pair for pair in found if pair is not None]

    async def _look(self, workflow: str, activation: int, version: int) -> float:
        """Return a moment before which nothing was handed over that is still on its way."""
        loops = (await self._plans.of(workflow, version)).loops
        marks = self._marks.get((workflow, activation))
        if marks is None:
            last = await sync_to_async(_oldest)(workflow, activation)
            marks = self._marks[workflow, activation] = Watermarks(last, self.period)
        at = time.time()
        names = [queue.name for queue in plan_queues(loops.values())]
        stats = await self._queues.stats(workflow, names)
        delayed = await self._queues.delayed(workflow, list(loops))
        sight = Sight(
            at=at,
            heads={name: found.oldest_at for name, found in stats.items()},
            late=frozenset(loop for loop, count in delayed.items() if count),
            dead_since=await self._dead_since(workflow),
        )
        return marks.look(sight, loops)

    async def _dead_since(self, workflow: str) -> float | None:
        """Return when the oldest dead letter died that is not in the database yet."""
        for entry in await self._queues.dead(workflow, 1):
            died = dead_records.read(entry).moment("dead_at")
            return 0.0 if died is None else died.timestamp()
        return None

    async def _row(self, seat: _Seat, oldest: float) -> tuple[_Seat, Checkpoint] | None:
        """Return what there is to be kept of a slot, if that is news."""
        state = await self._queues.snapshot(seat.lease)
        if state is None or state.activation != seat.activation:
            return None
        try:
            row = _checkpoint(seat, state, oldest)
        except InvalidPayload as error:  # nobody of ours has written that there
            logger.warning("no checkpoint of %s: %s", seat.lease.name, error.message)
            return None
        at, said = self._written.get(seat.pk, (0.0, None))
        if said == _said(row) and time.monotonic() - at < REFRESH * self.period:
            return None
        return seat, row

    def _note(self, rows: Iterable[tuple[_Seat, Checkpoint]]) -> None:
        now = time.monotonic()
        self._written |= {seat.pk: (now, _said(row)) for seat, row in rows}

    def _forget(self, seats: Iterable[_Seat]) -> None:
        pks = {seat.pk for seat in seats}
        self._written = {pk: told for pk, told in self._written.items() if pk in pks}
        known = {(seat.lease.workflow, seat.activation) for seat in seats}
        self._marks = {key: marks for key, marks in self._marks.items() if key in known}


def _seats(runner_id: str, workflows: Collection[str]) -> list[_Seat]:
    """Return the slots that this runner has, and those that nobody has, by workflow."""
    rows = LoopSlot.objects.filter(
        Q(owner=runner_id) | Q(owner=None),
        workflow__in=workflows,
        workflow__active_version__isnull=False,
        activation=F("workflow__activation"),
        token__gt=0,
    )
    found = rows.order_by("workflow", "loop", "slot").values_list(
        "pk", "workflow_id", "loop", "slot", "token", "activation", "version",
        "workflow__active_version__number",
    )  # fmt: skip
    return [
        _Seat(
            pk=pk,
            lease=Lease(workflow=workflow, loop=loop, slot=slot, token=token),
            activation=activation,
            version=version,
            active=active,
        )
        for pk, workflow, loop, slot, token, activation, version, active in found
    ]


def _oldest(workflow: str, activation: int) -> float:
    """Return what was known last of how old things on their way are; 0 for nothing."""
    rows = Checkpoint.objects.filter(workflow=workflow, activation=activation)
    return next((row.oldest_at.timestamp() for row in rows if restores.is_sound(row)), 0.0)


def _checkpoint(seat: _Seat, state: SlotState, oldest: float) -> Checkpoint:
    row = Checkpoint(
        workflow_id=seat.lease.workflow,
        loop=seat.lease.loop,
        slot=seat.lease.slot,
        activation=seat.activation,
        version=seat.version,
        token=seat.lease.token,
        sequence=state.sequence,
        states=_kept(state),
        oldest_at=datetime.fromtimestamp(oldest, UTC),
    )
    row.checksum = restores.checksum(row)
    return row


def _kept(state: SlotState) -> dict[str, str]:
    """Return the states of nodes as texts; of what they have staged only that they have.

    Raises:
        InvalidPayload: one is not JSON.
    """
    return {
        name: (KEPT if name.startswith(EFFECT) else _checked(raw)).decode()
        for name, raw in state.states.items()
        if name != TRIAL
    }


def _checked(raw: bytes) -> bytes:
    decode(raw)
    return raw


def _said(row: Checkpoint) -> Any:
    return row.activation, row.version, row.sequence, row.states


def _insert(rows: Sequence[tuple[_Seat, Checkpoint]]) -> None:
    """Insert rows, but those of slots that have a new owner meanwhile."""
    tokens = {seat.pk: seat.lease.token for seat, _ in rows}
    with transaction.atomic():
        found = LoopSlot.objects.filter(pk__in=tokens).values_list("pk", "token")
        same = {pk for pk, token in found if tokens[pk] == token}
        Checkpoint.objects.bulk_create([row for seat, row in rows if seat.pk in same])


def prune(workflows: Collection[str]) -> None:
    """Remove checkpoints that cannot be chosen any more, and thin out the older ones."""
    with transaction.atomic():
        rows = Checkpoint.objects.filter(workflow__in=workflows)
        rows.exclude(activation=F("workflow__activation")).delete()
        kept = rows.order_by("workflow", "loop", "slot", "pk").defer("states")
        gone = [
            row.pk
            for _, group in groupby(kept, key=lambda r: (r.workflow_id, r.loop, r.slot))
            for row in surplus(list(group))
        ]
        Checkpoint.objects.filter(pk__in=gone).delete()


def surplus(rows: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Return which of a slot's checkpoints, oldest first, are not needed: those that it has gone
    back behind, and those that are closer to the next than an eighth of their age."""
    dropped = restores.superseded(rows)
    left = [row for row in reversed(rows) if row.pk not in dropped]
    gone = [row for row in rows if row.pk in dropped]
    last = left[:KEEP]
    for row in left[KEEP:]:
        gap = last[-1].created_at - row.created_at
        if gap * _GRAIN < left[0].created_at - row.created_at:
            gone.append(row)
        else:
            last.append(row)
    return gone
