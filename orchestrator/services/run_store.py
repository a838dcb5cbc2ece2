"""Graphs and runs in the database, behind the contract of `storage.runs`."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now

from orchestrator.exceptions import Busy, Conflict, LeaseLost, NotFound
from orchestrator.models import Graph, Run, RunCheckpoint, RunStep
from orchestrator.runtime.database import in_thread
from storage.runs import (
    ACTIVE,
    ENDED,
    STALE_AFTER,
    CheckpointRecord,
    Data,
    GraphRecord,
    GraphStore,
    Page,
    Recorded,
    RunFilter,
    RunRecord,
    RunStore,
    StepRecord,
    as_json,
)

Status = Run.Status
_RUN = tuple(name for name in RunRecord.__dataclass_fields__ if name != "idempotency_key")
_STEP = tuple(StepRecord.__dataclass_fields__)
_COUNTERS = ("logged", "checkpointed", "cancel_requested", "attempt", "steps")
_CHECKPOINT = tuple(CheckpointRecord.__dataclass_fields__)


class DjangoGraphStore(GraphStore):
    @in_thread
    def save(self, graph: GraphRecord) -> GraphRecord:
        row, made = Graph.objects.get_or_create(
            pk=graph.id,
            defaults={
                "name": graph.name,
                "definition": graph.definition,
                "digest": graph.digest,
            },
        )
        if row.digest != graph.digest:
            raise Conflict(f"there is another graph {graph.id}")
        return _graph(Graph.objects.get(pk=graph.id) if made else row)

    @in_thread
    def get(self, graph_id: str) -> GraphRecord:
        row = Graph.objects.filter(pk=graph_id).first()
        if row is None:
            raise NotFound(f"there is no graph {graph_id}")
        return _graph(row)

    @in_thread
    def list(self) -> Sequence[GraphRecord]:
        return [_graph(row) for row in Graph.objects.all()]

    @in_thread
    def delete(self, graph_id: str) -> None:
        with transaction.atomic():
            row = Graph.objects.select_for_update().filter(pk=graph_id).first()
            if row is None:
                raise NotFound(f"there is no graph {graph_id}")
            if row.runs.filter(status__in=ACTIVE).exists():
                raise Conflict(f"graph {graph_id} has runs that have not ended")
            row.delete()


class DjangoRunStore(RunStore):
    """What an owner writes is a conditional update on its token: a late one changes nothing."""

    @in_thread
    def create(self, run: RunRecord, *, checkpoint: bytes | None = None) -> tuple[RunRecord, bool]:
        values = {name: getattr(run, name) for name in _RUN if name not in ("id", "created_at")}
        values |= {"state": as_json(run.state), "initial_state": as_json(run.initial_state)}
        key = run.idempotency_key or ""
        if key and (known := _by_key(run, key)):
            return known, False
        if not Graph.objects.filter(pk=run.graph_id).exists():
            raise NotFound(f"there is no graph {run.graph_id}")
        try:
            with transaction.atomic():
                row = Run.objects.create(pk=run.id, idempotency_key=key, **values)
                if checkpoint is not None:
                    row.checkpointed = 1
                    row.save(update_fields=["checkpointed"])
                    _insert(row, checkpoint)
        except IntegrityError:
            if key and (known := _by_key(run, key)):
                return known, False
            raise Conflict(f"there is a run {run.id} already") from None
        return _run(Run.objects.get(pk=run.id)), True

    @in_thread
    def get(self, run_id: str) -> RunRecord:
        return _run(_find(run_id))

    @in_thread
    def list(self, which: RunFilter, *, offset: int = 0, limit: int = 50) -> Page:
        rows = Run.objects.all()
        for name, value in (
            ("graph", which.graph_id),
            ("status", which.status),
            ("created_at__gte", which.created_after),
            ("created_at__lt", which.created_before),
        ):
            if value is not None:
                rows = rows.filter(**{name: value})
        return Page(runs=[_run(row) for row in rows[offset : offset + limit]], total=rows.count())

    @in_thread
    def update(
        self,
        run_id: str,
        *,
        expect: Collection[str] | None = None,
        token: int | None = None,
        **fields: Any,
    ) -> RunRecord:
        if "state" in fields:
            fields["state"] = as_json(fields["state"])
        if "status" in fields:
            fields["ended_at"] = Now() if fields["status"] in ENDED else None
        rows = Run.objects.filter(pk=run_id)
        if token is not None:
            rows = rows.filter(token=token)
        if expect is not None:
            rows = rows.filter(status__in=expect)
        with transaction.atomic():
            if not rows.update(**fields):
                row = _find(run_id)
                if token is not None and row.token != token:
                    raise LeaseLost(f"another worker has run {run_id}")
                raise Conflict(f"run {run_id} is {row.status}")
            return _run(_find(run_id))

    @in_thread
    def claim(self, run_id: str, owner: str, *, stale_after: float = STALE_AFTER) -> RunRecord:
        rows = Run.objects.filter(pk=run_id, status__in=ACTIVE)
        silent = Q(beat_at=None) | Q(beat_at__lte=_ago(stale_after))
        with transaction.atomic():
            changed = rows.filter(silent).update(
                status=Status.RUNNING,
                token=F("token") + 1,
                owner=owner,
                beat_at=Now(),
                crashes=F("crashes") + Case(When(beat_at=None, then=0), default=1),
                started_at=Coalesce("started_at", Now()),
            )
            row = _find(run_id)
        if changed:
            return _run(row)
        if row.status in ENDED:
            raise Conflict(f"run {run_id} is {row.status}")
        raise Busy(f"run {run_id} is in the hands of {row.owner}")

    @in_thread
    def release(self, run_id: str, token: int) -> None:
        _require(run_id)
        Run.objects.filter(pk=run_id, token=token).update(beat_at=None)

    @in_thread
    def record(
        self,
        run_id: str,
        token: int,
        *,
        state: Data | None = None,
        steps: Sequence[StepRecord] = (),
        taken: int | None = None,
        checkpoint: bytes | None = None,
    ) -> Recorded:
        values: dict[str, Any] = {"beat_at": Now()}
        if state is not None:
            values["state"] = as_json(state)
        if taken is not None:
            values["steps"] = taken
        if steps:
            values |= {"logged": F("logged") + len(steps), "crashes": 0}
        if checkpoint is not None:
            values["checkpointed"] = F("checkpointed") + 1
        with transaction.atomic():
            rows = Run.objects.filter(pk=run_id, token=token, status=Status.RUNNING)
            if not rows.update(**values):
                _require(run_id)
                raise LeaseLost(f"another worker has run {run_id}, or it has ended")
            row = rows.only(*_COUNTERS).get()
            before = row.logged - len(steps)
            placed = [replace(step, position=before + n) for n, step in enumerate(steps, 1)]
            RunStep.objects.bulk_create(_step_row(run_id, step) for step in placed)
            if checkpoint is not None:
                _insert(row, checkpoint)
        return Recorded(steps=placed, cancel_requested=row.cancel_requested)

    @in_thread
    def cancel(self, run_id: str) -> RunRecord:
        rows = Run.objects.filter(pk=run_id)
        with transaction.atomic():
            changed = rows.filter(status=Status.RUNNING).update(cancel_requested=True)
            changed += rows.filter(status=Status.PENDING).update(
                status=Status.CANCELLED, cancel_requested=True, ended_at=Now()
            )
            row = _find(run_id)
        if not changed:
            raise Conflict(f"run {run_id} is {row.status}")
        return _run(row)

    @in_thread
    def delete(self, run_id: str) -> None:
        with transaction.atomic():
            row = Run.objects.select_for_update().filter(pk=run_id).first()
            if row is None:
                raise NotFound(f"there is no run {run_id}")
            if row.status in ACTIVE:
                raise Conflict(f"run {run_id} is {row.status}")
            row.delete()

    @in_thread
    def steps(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[StepRecord]:
        _require(run_id)
        rows = RunStep.objects.filter(run=run_id, position__gt=after)
        return [_step(row) for row in rows[:limit]]

    @in_thread
    def checkpoints(self, run_id: str) -> Sequence[CheckpointRecord]:
        _require(run_id)
        return [_checkpoint(row) for row in RunCheckpoint.objects.filter(run=run_id)]

    @in_thread
    def checkpoint(self, run_id: str, number: int) -> CheckpointRecord:
        _require(run_id)
        row = RunCheckpoint.objects.filter(run=run_id, number=number).first()
        if row is None:
            raise NotFound(f"run {run_id} has no checkpoint {number}")
        return _checkpoint(row)

    @in_thread
    def newest(
        self, run_id: str, *, before: int | None = None, attempt: int | None = None
    ) -> CheckpointRecord | None:
        _require(run_id)
        rows: QuerySet[RunCheckpoint] = RunCheckpoint.objects.filter(run=run_id)
        if before is not None:
            rows = rows.filter(number__lt=before)
        if attempt is not None:
            rows = rows.filter(attempt=attempt)
        row = rows.order_by("-number").first()
        return None if row is None else _checkpoint(row)

    @in_thread
    def abandoned(self, *, stale_after: float) -> Sequence[RunRecord]:
        rows = Run.objects.filter(status__in=ACTIVE).alias(sign=Coalesce("beat_at", "created_at"))
        rows = rows.filter(sign__lt=_ago(stale_after)).order_by("-status", "created_at", "pk")
        return [_run(row) for row in rows[:1000]]


def _ago(seconds: float) -> ExpressionWrapper:
    return ExpressionWrapper(Now() - Value(timedelta(seconds=seconds)), DateTimeField())


def _find(run_id: str) -> Run:
    row: Run | None = Run.objects.filter(pk=run_id).first()
    if row is None:
        raise NotFound(f"there is no run {run_id}")
    return row


def _require(run_id: str) -> None:
    if not Run.objects.filter(pk=run_id).exists():
        raise NotFound(f"there is no run {run_id}")


def _by_key(run: RunRecord, key: str) -> RunRecord | None:
    """Return the run that was made with an idempotency key, if the request was the same."""
    row = Run.objects.filter(idempotency_key=key).first()
    if row is not None and row.request_digest != run.request_digest:
        raise Conflict("the idempotency key came with another request before")
    return None if row is None else _run(row)


def _insert(row: Run, body: bytes) -> None:
    RunCheckpoint.objects.create(
        run_id=row.pk,
        number=row.checkpointed,
        steps=row.steps,
        attempt=row.attempt,
        body=body,
        checksum=sha256(body).hexdigest(),
    )


def _step_row(run_id: str, step: StepRecord) -> RunStep:
    values = {name: getattr(step, name) for name in _STEP}
    texts = {"port": step.port or "", "error": step.error or "", "changes": list(step.changes)}
    return RunStep(run_id=run_id, **values | texts)


def _graph(row: Graph) -> GraphRecord:
    return GraphRecord(
        id=row.pk,
        name=row.name,
        definition=row.definition,
        digest=row.digest,
        created_at=row.created_at,
    )


def _run(row: Run) -> RunRecord:
    values = {name: getattr(row, name) for name in _RUN}
    return RunRecord(**values, idempotency_key=row.idempotency_key or None)


def _step(row: RunStep) -> StepRecord:
    values = {name: getattr(row, name) for name in _STEP}
    return StepRecord(**values | {"port": row.port or None, "error": row.error or None})


def _checkpoint(row: RunCheckpoint) -> CheckpointRecord:
    values = {name: getattr(row, name) for name in _CHECKPOINT}
    return CheckpointRecord(**values | {"body": bytes(row.body)})
