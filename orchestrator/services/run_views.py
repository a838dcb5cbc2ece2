"""What is looked at of many runs or many steps at once: without states, changes and bodies."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Length

from orchestrator.exceptions import NotFound
from orchestrator.models import Run, RunCheckpoint, RunStep
from orchestrator.security.actors import Actor, authorize

TIMELINE_SENT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; None does not restrict. `until` is exclusive.

    search: the beginning of an id, an idempotency key, or a part of the graph's name or id.
    """

    graph_id: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A step as it is drawn: when, how long, and whether it failed."""

    position: int
    number: int
    node: str
    started_at: datetime
    seconds: float
    port: str
    failed: bool
    round: int


def list_all(actor: Actor, wanted: RunFilter) -> QuerySet[Run]:
    """Return the matching runs with their graphs, newest first, without states and definitions."""
    authorize(actor, "run.read", wanted.graph_id)
    heavy = ("state", "initial_state", "graph__definition")
    return _matching(wanted).select_related("graph").defer(*heavy)


def count_by_status(actor: Actor, wanted: RunFilter) -> dict[str, int]:
    """Return how many runs match in each status, whatever status is wanted."""
    authorize(actor, "run.read", wanted.graph_id)
    rows = _matching(replace(wanted, status=None)).order_by()
    found = dict(rows.values_list("status").annotate(Count("pk")))
    return {status: found.get(status, 0) for status in Run.Status.values}


def timeline(actor: Actor, run_id: str, *, after: int, limit: int) -> list[Turn]:
    """Return the steps behind a position of the log, as they are drawn.

    Raises:
        NotFound: there is no such run.
    """
    authorize(actor, "run.read", run_id)
    _require(run_id)
    failed = ExpressionWrapper(~Q(error=""), output_field=BooleanField())
    rows = RunStep.objects.filter(run=run_id, position__gt=after).annotate(failed=failed)
    return [Turn(**row) for row in rows.values(*Turn.__dataclass_fields__)[:limit]]


def checkpoints(
    actor: Actor, run_id: str, *, after: int = 0, limit: int, steps: int | None = None
) -> list[RunCheckpoint]:
    """Return checkpoints of a run without their bodies, oldest first; each has its `bytes`.

    Args:
        after: only those with a greater number. steps: only those made after so many steps.

    Raises:
        NotFound: there is no such run.
    """
    authorize(actor, "run.read", run_id)
    _require(run_id)
    rows = RunCheckpoint.objects.filter(run=run_id, number__gt=after)
    if steps is not None:
        rows = rows.filter(steps=steps)
    return list(rows.defer("body").annotate(bytes=Length("body"))[:limit])


def _matching(wanted: RunFilter) -> QuerySet[Run]:
    rows = Run.objects.all()
    for name, value in (
        ("graph", wanted.graph_id),
        ("status", wanted.status),
        ("created_at__gte", wanted.since),
        ("created_at__lt", wanted.until),
    ):
        if value is not None:
            rows = rows.filter(**{name: value})
    if text := wanted.search:
        by_graph = Q(graph__name__icontains=text) | Q(graph__id__icontains=text)
        rows = rows.filter(Q(pk__startswith=text) | Q(idempotency_key=text) | by_graph)
    return rows


def _require(run_id: str) -> None:
    if not Run.objects.filter(pk=run_id).exists():
        raise NotFound(f"there is no run {run_id}")
