"""Dead letters by error: what fails, how often, since when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, Max, Min, QuerySet

from orchestrator.models import DeadLetter
from orchestrator.security.actors import Actor, authorize
from orchestrator.services.dead_letters import DeadLetterFilter, Status

_SHARED = ("workflow_id", "loop", "node_id", "node_type", "reason", "error_type", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Part of the groups, the latest first.

    count: of all groups.
    statuses: how many letters there are of each status, whatever status is asked for.
    newest: the greatest id of a letter so far; `max_id` with it leaves out what comes later.
    """

    results: list[dict[str, Any]]
    count: int
    statuses: dict[str, int]
    newest: int


def find_all(actor: Actor, wanted: DeadLetterFilter, *, offset: int = 0, limit: int = 50) -> Groups:
    """Return the groups of the matching dead letters."""
    authorize(actor, "dead_letter.read", wanted.workflow_id)
    newest = DeadLetter.objects.aggregate(newest=Max("pk"))["newest"] or 0
    rows = wanted.rows().filter(pk__lte=newest).order_by()
    groups = rows.values("fingerprint").annotate(
        count=Count("pk"), first_at=Min("dead_at"), last_at=Max("dead_at"), newest=Max("pk")
    )
    part = groups.order_by("-last_at", "fingerprint")[offset : offset + limit]
    return Groups(
        results=_described(list(part)),
        count=rows.aggregate(count=Count("fingerprint", distinct=True))["count"],
        statuses=_by_status(replace(wanted, status=None).rows()),
        newest=newest,
    )


def _described(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add what the newest letter of each group says of all of them."""
    letters = DeadLetter.objects.filter(pk__in=[group["newest"] for group in groups])
    said = {row["pk"]: row for row in letters.order_by().values("pk", *_SHARED)}
    return [{**said[g["newest"]], **g} for g in groups if g["newest"] in said]


def _by_status(rows: QuerySet[DeadLetter]) -> dict[str, int]:
    found = dict(rows.order_by().values_list("status").annotate(count=Count("pk")))
    return {status: found.get(status, 0) for status in Status.values}
