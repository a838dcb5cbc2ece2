"""Many dead letters at once, by ids or by a filter, with a few statements for all of them.

Letters whose state or place does not allow it are left as they are, and counted. What is broken
off may be asked for again: what was done stays done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    QuerySet,
    Value,
    Window,
)
from django.db.models.functions import Concat, Now, RowNumber

from orchestrator.exceptions import Conflict, InvalidRequest, Problem
from orchestrator.models import DeadLetter, Workflow
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services import status as statuses
from orchestrator.services.dead_letters import DeadLetterFilter, From, Status, places

MAX_LETTERS = 100_000
PART = 10_000
PER_SECOND = 50.0
_BETWEEN = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Letters by their ids, or by a filter."""

    ids: Sequence[int] | None = None
    wanted: DeadLetterFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkChange:
    """How many letters were changed, and how many were left as they are.

    workflows: the status of each workflow that letters are replayed in.
    """

    count: int
    skipped: int
    workflows: dict[str, str] = field(default_factory=dict)


def replay_all(
    actor: Actor,
    selection: Selection,
    origin: str = From.START,
    per_second: float = PER_SECOND,
) -> BulkChange:
    """Let runners replay letters one after the other, so many in a second.

    Raises:
        InvalidRequest: these are too many.
    """
    authorize(actor, "dead_letter.replay")
    pause = timedelta(seconds=1 / per_second)
    rows, total = _selected(selection)
    count, touched = 0, []
    for workflow in _workflows(rows):
        before = count
        for part in _parts(_with_place(rows.filter(workflow=workflow), workflow, origin)):
            count += _schedule(part, actor, origin, pause, before=count)
        if count > before:
            touched.append(workflow)
    _record(actor, "dead_letter.replay", selection, count)
    found = {status["workflow_id"]: status["status"] for status in statuses.of_workflows(touched)}
    return BulkChange(count=count, skipped=total - count, workflows=found)


def discard_all(actor: Actor, selection: Selection, note: str | None = None) -> BulkChange:
    """Discard letters.

    Raises:
        InvalidRequest: these are too many.
    """
    authorize(actor, "dead_letter.discard")
    changes = {} if note is None else {"note": note}
    rows, total = _selected(selection)
    count = sum(
        part.update(
            status=Status.DISCARDED, discarded_at=Now(), discarded_by_id=actor.id, **changes
        )
        for part in _parts(rows)
    )
    _record(actor, "dead_letter.discard", selection, count)
    return BulkChange(count=count, skipped=total - count)


def _record(actor: Actor, action: str, selection: Selection, count: int) -> None:
    """Write one row for all letters; each of them tells who has done it, too."""
    if selection.ids is not None:
        asked: dict[str, object] = {"ids": sorted(selection.ids)}
    else:
        asked = {"filter": asdict(selection.wanted or DeadLetterFilter())}
    audit.record(actor, action, "dead-letters", after={**asked, "count": count})


def _selected(selection: Selection) -> tuple[QuerySet[DeadLetter], int]:
    """Return those of the selected letters that are dead, and how many were asked for."""
    if selection.ids is not None:
        ids = set(selection.ids)
        return DeadLetter.objects.filter(pk__in=ids, status=Status.DEAD).order_by(), len(ids)
    rows = (selection.wanted or DeadLetterFilter()).rows().filter(status=Status.DEAD).order_by()
    total = rows.count()
    if total > MAX_LETTERS:
        message = f"these are {total} dead letters; at most {MAX_LETTERS} at once"
        raise InvalidRequest(message, problems=(Problem("filter", message),))
    return rows, total


def _parts(rows: QuerySet[DeadLetter]) -> Iterator[QuerySet[DeadLetter]]:
    """Part rows by their ids: a statement over all of them would keep a small database locked for
    longer than a runner may wait."""
    after = 0
    while True:
        rest = rows.filter(pk__gt=after)
        last = list(rest.order_by("pk").values_list("pk", flat=True)[PART - 1 : PART])
        if not last:
            yield rest
            return
        after = last[0]
        yield rest.filter(pk__lte=after)


def _workflows(rows: QuerySet[DeadLetter]) -> list[Workflow]:
    ids = rows.values("workflow_id").distinct()
    return list(Workflow.objects.filter(pk__in=ids).select_related("active_version").order_by("pk"))


def _with_place(
    rows: QuerySet[DeadLetter], workflow: Workflow, origin: str
) -> QuerySet[DeadLetter]:
    """Return the letters that have a place in the active version."""
    try:
        nodes = places(workflow).nodes
    except Conflict:
        return rows.none()
    if origin == From.START:
        return rows.filter(loop__in=nodes)
    found = rows.values_list("loop", "node_id").distinct()
    good = [f"{loop}{_BETWEEN}{node}" for loop, node in found if node in nodes.get(loop, ())]
    return rows.annotate(place=Concat("loop", Value(_BETWEEN), "node_id")).filter(place__in=good)


def _schedule(
    rows: QuerySet[DeadLetter], actor: Actor, origin: str, pause: timedelta, *, before: int
) -> int:
    """Make letters REPLAYING, each with its own time, and return how many that were.

    A row's number within its query can be had from a window only, and an UPDATE has none: what the
    ORM makes of the query becomes a table that the UPDATE reads.
    """
    number = Window(RowNumber(), order_by="pk") + Value(before - 1)
    later = ExpressionWrapper(number * Value(pause), DurationField())
    due = ExpressionWrapper(Now() + later, DateTimeField())
    try:
        query, given = rows.values("id").annotate(due=due).query.sql_with_params()
    except EmptyResultSet:
        return 0
    table = connection.ops.quote_name(DeadLetter._meta.db_table)
    statement = (
        f"UPDATE {table} SET status = %s, replay_count = {table}.replay_count + 1,"
        f" replay_from = %s, replay_at = due.due, replayed_by_id = %s"
        f" FROM ({query}) AS due WHERE {table}.id = due.id AND {table}.status = %s"
    )
    values = (Status.REPLAYING, origin, actor.id, *given, Status.DEAD)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
