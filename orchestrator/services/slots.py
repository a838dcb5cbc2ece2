"""The rows of slots: one per loop and replica of the version that is active.

Rows are never removed, so that a token never falls back: one that is gone has activation 0.
"""

from collections.abc import Collection

from django.db.models import QuerySet
from django.utils import timezone

from orchestrator.flow.loops import Loop
from orchestrator.models import LoopSlot, Workflow
from orchestrator.services import status as statuses

Desired = Workflow.Desired
State = LoopSlot.State
_FIELDS = ["activation", "version", "desired", "state", "reason", "isolated", "runs_on"]


def prepare(workflow: Workflow, loops: Collection[Loop], changed: frozenset[str]) -> bool:
    """Make the slots fit the loops of the active version, each desired to run; tell whether there
    is anything to do for runners.

    Args:
        changed: the loops that are to start in the active version.
    """
    assert workflow.active_version is not None
    number = workflow.active_version.number
    wanted = {(loop.id, slot) for loop in loops for slot in range(loop.replicas)}
    present = {(s.loop, s.slot): s for s in workflow.slots.select_for_update()}
    labels = {loop.id: list(loop.runs_on) for loop in loops}
    held = set(statuses.held(workflow).values_list("pk", flat=True))
    news = False
    for place, slot in present.items():
        idle = slot.pk not in held
        if place not in wanted:
            news |= _retire(slot, idle=idle)
        else:
            version = number if slot.loop in changed or not slot.version else slot.version
            slot.runs_on = labels[slot.loop]
            news |= _want(slot, workflow.activation, version, idle=idle)
    LoopSlot.objects.bulk_update(present.values(), _FIELDS, batch_size=100)
    missing = sorted(wanted - present.keys())
    LoopSlot.objects.bulk_create(
        LoopSlot(
            workflow=workflow,
            loop=loop,
            slot=n,
            activation=workflow.activation,
            version=number,
            runs_on=labels[loop],
        )
        for loop, n in missing
    )
    return news or bool(missing)


def _retire(slot: LoopSlot, *, idle: bool) -> bool:
    news = bool(slot.activation)
    slot.activation = 0
    if idle and slot.owner_id is None:  # else a runner ends it, or clears up after one that died
        slot.state, slot.reason = State.STOPPED, ""
    return news


def _want(slot: LoopSlot, activation: int, version: int, *, idle: bool) -> bool:
    fresh = (slot.activation, slot.version) != (activation, version)
    completed = slot.activation == activation and slot.state == State.COMPLETED
    news = not completed and (
        fresh or slot.desired != Desired.RUNNING or slot.state == State.FAILED
    )
    slot.isolated = slot.isolated and not fresh
    slot.activation, slot.version, slot.desired = activation, version, Desired.RUNNING
    # Its completion mark holds for the whole activation; and a runner that has it sees that it is
    # wanted again before it lets go.
    if idle and not completed:
        slot.state, slot.reason = State.PENDING, ""
    return news


def settle(slots: QuerySet[LoopSlot], held: QuerySet[LoopSlot], state: str) -> None:
    """Give the slots that nobody holds a state at once; a runner does it for its own. What has
    completed or failed stays so."""
    idle = slots.exclude(state__in=(State.COMPLETED, State.FAILED)).exclude(
        pk__in=held.values("pk")
    )
    idle.exclude(state=state).update(state=state, reason="", changed_at=timezone.now())
