"""Runners: which are alive, what they are good for, and an end for one of them."""

from typing import Any

from django.db.models import Count
from django.db.models.functions import Now

from orchestrator.exceptions import NotFound
from orchestrator.models import Runner
from orchestrator.runtime import leases
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit


def alive(actor: Actor) -> list[dict[str, Any]]:
    """Return the runners that are alive, the oldest first."""
    authorize(actor, "production.status")
    rows = Runner.objects.filter(expires_at__gt=Now()).annotate(held=Count("slots"))
    return [
        {
            "id": row.pk,
            "host": row.host,
            "labels": row.labels,
            "load": round(row.load, 2),
            "slots": row.held,
            "draining": row.draining,
        }
        for row in rows
    ]


def lives(runner_id: str) -> bool:
    """Tell whether a runner is alive."""
    return runner_id in leases.living()


def drain(actor: Actor, runner_id: str) -> None:
    """Let a runner give back its loops, and end; others that fit take them.

    Raises:
        NotFound: no such runner is alive.
    """
    authorize(actor, "runner.drain", runner_id)
    if not lives(runner_id) or not leases.drain(runner_id):
        known = ", ".join(sorted(leases.living())) or "none"
        raise NotFound(f"no runner {runner_id!r} is alive; alive: {known}")
    audit.record(actor, "runner.drain", f"runner:{runner_id}", after={"draining": True})
