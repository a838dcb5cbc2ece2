"""What a scrape reads: from the database, and from Redis what runners and queues say."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now

from orchestrator.conf import orchestrator_settings
from orchestrator.events import LoopState
from orchestrator.exceptions import StoreUnavailable
from orchestrator.models import DeadLetter, LoopSlot, Run, Runner, WorkerSlot, Workflow
from orchestrator.runtime import measures, worker_leases
from orchestrator.runtime.desires import ENDS, greater
from orchestrator.runtime.leases import AT_REST, ENDED
from orchestrator.security.actors import SYSTEM
from orchestrator.services import live, queues
from orchestrator.services.status import IN_HANDS
from orchestrator.services.stores import with_store
from storage.datastore import DataStore
from storage.tasks import TaskQueue, queue_of, queues_of

PATIENCE = 5.0
_GONE = 600.0
"""Seconds for which a runner that died is told of."""
_LABEL_SETS = 100
"""Sets of labels of runs whose tasks are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """A slot of the present activation. held: by a living runner."""

    workflow: str
    loop: str
    slot: int
    state: str
    reason: str
    wanted: bool
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRow:
    """A runner. age: seconds since it has renewed its leases."""

    id: str
    age: float
    alive: bool
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database knows. letters: (workflow, status, count). workers: their rows.
    task_queues: those from which workers take, or runs wait to be taken.
    """

    slots: Sequence[SlotRow]
    runners: Sequence[RunnerRow]
    letters: Sequence[tuple[str, str, int]]
    runs: Sequence[tuple[str, int]]
    workers: Sequence[dict[str, Any]]
    workers_alive: int
    task_queues: Collection[str]


@dataclass(slots=True, kw_only=True)
class Reading:
    """All of it; None is for what Redis was not there to be asked for."""

    known: Known
    depths: Sequence[queues.Depth] | None = None
    tasks: int | None = None
    counted: Sequence[dict[str, Any]] = ()
    listeners: tuple[int, int] = field(default=(0, 0))


def read() -> Reading:
    """Read everything; Redis may be away."""
    reading = Reading(known=_known())
    plans = queues.planned(SYSTEM)
    alive = [runner.id for runner in reading.known.runners if runner.alive]

    async def ask(store: DataStore) -> None:
        reading.listeners = live.listeners()
        counted = await measures.read(store.cache, alive)
        tasks = await TaskQueue(store.queue).waiting_in(reading.known.task_queues)
        depths = await queues.depths(store, plans)
        reading.counted, reading.tasks, reading.depths = counted, tasks, depths

    with suppress(StoreUnavailable):
        with_store(ask, PATIENCE)
    return reading


def _known() -> Known:
    runners = _runners()
    alive = {runner.id for runner in runners if runner.alive}
    letters = DeadLetter.objects.filter(
        status__in=(DeadLetter.Status.DEAD, DeadLetter.Status.REPLAYING)
    )
    runs = Run.objects.filter(status__in=(Run.Status.PENDING, Run.Status.RUNNING))
    return Known(
        slots=_slots(alive),
        runners=runners,
        letters=list(letters.order_by().values_list("workflow_id", "status").annotate(Count("id"))),
        runs=list(runs.order_by().values_list("status").annotate(Count("id"))),
        workers=list(WorkerSlot.objects.values("slot", "active", "processed", "failed", "retried")),
        workers_alive=worker_leases.living(),
        task_queues=_task_queues(runs),
    )


def _task_queues(runs: QuerySet[Run]) -> set[str]:
    """Return the queues of each set of labels that a worker reads, or that a run asks for."""
    read = WorkerSlot.objects.values_list("labels", flat=True)
    asked = runs.order_by().values_list("runs_on", flat=True).distinct()[:_LABEL_SETS]
    return {
        *queues_of(()),
        *(queue for labels in read for queue in queues_of(labels)),
        *(queue_of(labels) for labels in asked),
    }


def _slots(alive: Iterable[str]) -> list[SlotRow]:
    living = set(alive)
    rows = LoopSlot.objects.exclude(activation=0).filter(activation=F("workflow__activation"))
    return [
        SlotRow(
            workflow=row["workflow_id"],
            loop=row["loop"],
            slot=row["slot"],
            state=_state(row["state"], held=row["owner_id"] in living),
            reason=row["reason"],
            wanted=_wanted(greater(row["of_all"], row["desired"]), row["state"]),
            held=row["owner_id"] in living,
        )
        for row in rows.values(
            "workflow_id", "loop", "slot", "state", "reason", "desired", "owner_id",
            of_all=F("workflow__desired"),
        )
    ]  # fmt: skip


def _wanted(desired: str, state: str) -> bool:
    """Tell whether a runner should have the slot; while it is drained, until it is at rest."""
    if desired == Workflow.Desired.DRAINING:
        return state not in AT_REST
    return desired not in ENDS and state not in ENDED


def _state(state: str, *, held: bool) -> str:
    return state if held or state not in IN_HANDS else str(LoopState.PENDING)


def _runners() -> list[RunnerRow]:
    ttl = orchestrator_settings().LEASE_TTL
    left = ExpressionWrapper(F("expires_at") - Now(), DurationField())
    rows = Runner.objects.annotate(left=left, held=Count("slots")).values_list("id", "left", "held")
    return [
        RunnerRow(
            id=name,
            age=max(0.0, ttl - seconds.total_seconds()),
            alive=seconds > timedelta(0),
            slots=held,
        )
        for name, seconds, held in rows
        if seconds > -timedelta(seconds=_GONE)
    ]
