"""Leases of workers in the database: who may take tasks in which slot, and until when.

As with the slots of loops, every deadline is the database's own time, and a token only rises.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Max, QuerySet, Value
from django.db.models.functions import Now

from orchestrator.models import WorkerSlot
from orchestrator.runtime.task_execution import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLease:
    slot: int
    token: int


def _after(seconds: float) -> ExpressionWrapper:
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), DateTimeField())


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEntry:
    """What a worker says of itself. `labels` are sorted."""

    name: str
    host: str
    pid: int
    concurrency: int
    labels: tuple[str, ...] = ()


def acquire(worker: WorkerEntry, ttl: float) -> WorkerLease | None:
    """Take a slot that no living worker has, or a new one, with a new token. A slot is for workers
    of the same labels: what one has left in it others of them can take over.

    Returns None while a living worker has this name, or when somebody else was faster.
    """
    try:
        with transaction.atomic():
            rows = WorkerSlot.objects.select_for_update()
            if rows.filter(worker=worker.name, expires_at__gt=Now()).exists():
                return None
            labels = list(worker.labels)
            rows = rows.filter(labels=labels)
            row = (
                rows.filter(worker=worker.name).first()
                or rows.filter(worker="").first()
                or rows.filter(expires_at__lte=Now()).first()
            )
            if row is None:
                highest = WorkerSlot.objects.aggregate(highest=Max("slot"))["highest"]
                number = 0 if highest is None else highest + 1
                row = WorkerSlot.objects.create(slot=number, labels=labels)
            WorkerSlot.objects.filter(pk=row.pk).update(
                token=F("token") + 1, worker=worker.name, host=worker.host,
                pid=worker.pid, concurrency=worker.concurrency,
                started_at=Now(), expires_at=_after(ttl),
                active=0, processed=0, failed=0, retried=0, seconds=0.0,
            )  # fmt: skip
            return WorkerLease(slot=row.slot, token=row.token + 1)
    except IntegrityError:
        return None


def renew(lease: WorkerLease, counts: Counts, ttl: float) -> bool:
    """Keep the lease for another `ttl` seconds; False when it is lost."""
    return bool(_rows(lease).update(expires_at=_after(ttl), **asdict(counts)))


def release(lease: WorkerLease, counts: Counts | None = None) -> None:
    """Give the slot back. Nothing may be in hand in it that `TaskSlot.adopt` does not find."""
    done = {} if counts is None else asdict(counts)
    _rows(lease).update(worker="", expires_at=None, **{**done, "active": 0})


def expired() -> list[WorkerLease]:
    """Return the leases that have ended without being given back."""
    rows = WorkerSlot.objects.exclude(worker="").filter(expires_at__lte=Now())
    return [WorkerLease(slot=row.slot, token=row.token) for row in rows]


def retire(lease: WorkerLease) -> WorkerLease | None:
    """Raise the token of an ended lease, so that its worker can do nothing more; None when it was
    renewed or taken meanwhile."""
    changed = _rows(lease).filter(expires_at__lte=Now()).update(token=F("token") + 1)
    return WorkerLease(slot=lease.slot, token=lease.token + 1) if changed else None


def living(runs_on: Iterable[str] = ()) -> int:
    """Return how many workers are alive that have these labels."""
    rows = WorkerSlot.objects.exclude(worker="").filter(expires_at__gt=Now())
    wanted = frozenset(runs_on)
    return sum(wanted.issubset(labels) for labels in rows.values_list("labels", flat=True))


def _rows(lease: WorkerLease) -> QuerySet[WorkerSlot]:
    return WorkerSlot.objects.filter(slot=lease.slot, token=lease.token)
