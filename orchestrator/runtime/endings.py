"""Ends that take a while: a drain, and a forced stop until nothing is left to end.

A desire to drain or to force a stop becomes STOPPED once every slot it is about is at rest.
"""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from orchestrator.models import LoopSlot, Workflow
from orchestrator.runtime.leases import AT_REST, living

Desired = Workflow.Desired
_PASSING = (Desired.DRAINING, Desired.KILLED)


def ending() -> list[str]:
    """Return the ids of the workflows of which something drains or is forced to stop."""
    wanted = Q(desired__in=_PASSING) | Q(slots__desired__in=_PASSING)
    return list(Workflow.objects.filter(wanted).values_list("pk", flat=True).distinct())


def resting(workflow: str) -> set[str]:
    """Return the loops of the present activation all of whose slots are at rest."""
    rows = LoopSlot.objects.filter(workflow_id=workflow, activation=F("workflow__activation"))
    return _resting(rows.values("loop", "state", "owner_id"))


def conclude(workflow: str) -> None:
    """Turn what has come to its end into STOPPED."""
    with transaction.atomic():
        row = Workflow.objects.select_for_update().filter(pk=workflow).first()
        if row is None:
            return
        slots = list(row.slots.select_for_update().filter(activation=row.activation).values())
        ended = _resting(slots)
        row.slots.filter(loop__in=ended, desired__in=_PASSING).update(desired=Desired.STOPPED)
        if row.desired in _PASSING and ended == {slot["loop"] for slot in slots}:
            row.desired = Desired.STOPPED
            row.save(update_fields=("desired", "updated_at"))


def _resting(slots: Iterable[dict[str, Any]]) -> set[str]:
    alive = living()
    rows = list(slots)
    working = {s["loop"] for s in rows if s["state"] not in AT_REST or s["owner_id"] in alive}
    return {slot["loop"] for slot in rows} - working
