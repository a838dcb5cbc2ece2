"""The system at a glance: what is there, what waits, and what has failed for good."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import Error
from django.db.models import Count

from orchestrator.exceptions import OrchestratorError
from orchestrator.models import DeadLetter
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import health, queues

_EVERY = 1_000_000
UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("runners", "database", "redis", "queued", "dead_letters")),
    "workflows": {},
}
"""An overview of what nobody has looked at yet."""


def overview(actor: Actor) -> dict[str, Any]:
    """Return the checks of health, how many items wait in queues and inboxes, and how many dead
    letters nobody has dealt with: in all, and of each workflow that has any.

    What cannot be counted, because Redis or the database is away, is None.
    """
    authorize(actor, "production.status")
    checked = health.checks()
    there = {name: checked[name] for name in ("database", "redis")}
    dead = _dead_letters() if there["database"] == "ok" else None
    queued = _queued(actor) if set(there.values()) == {"ok"} else None
    ids = {*(queued or ()), *(dead or ())}
    return {
        "runners": health.alive(checked)["runners_alive"],
        **there,
        "queued": _total(queued),
        "dead_letters": _total(dead),
        "workflows": {
            i: {"queued": _of(queued, i), "dead_letters": _of(dead, i)} for i in sorted(ids)
        },
    }


def _queued(actor: Actor) -> Counter[str] | None:
    depths: Counter[str] = Counter()
    try:
        found = queues.find_all(actor, queues.QueueFilter(), limit=_EVERY)
    except (OrchestratorError, Error):
        return None
    for queue in found.results:
        depths[queue["workflow_id"]] += queue["depth"]
    return +depths


def _dead_letters() -> Counter[str] | None:
    rows = DeadLetter.objects.filter(status=DeadLetter.Status.DEAD).order_by()
    try:
        return Counter(dict(rows.values_list("workflow_id").annotate(Count("id"))))
    except Error:
        return None


def _total(counted: Counter[str] | None) -> int | None:
    return None if counted is None else counted.total()


def _of(counted: Counter[str] | None, workflow: str) -> int | None:
    return None if counted is None else counted[workflow]
