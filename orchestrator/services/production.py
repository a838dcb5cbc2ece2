"""What an operator wants of a workflow. Runners reconcile towards it; nothing runs here."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from orchestrator.exceptions import Conflict, InvalidRequest, Problem
from orchestrator.flow.builder import LoadedFlow
from orchestrator.models import LoopSlot, Workflow, WorkflowVersion
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import status as statuses
from orchestrator.services.workflows import find, find_version

Desired = Workflow.Desired
State = LoopSlot.State
RESUME, BEGINNING = "resume", "beginning"
_TERMINAL = (State.COMPLETED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The status after a request, and whether the request changed what is desired."""

    status: dict[str, Any]
    changed: bool


def status(actor: Actor, workflow_id: str) -> dict[str, Any]:
    """Return the status of a workflow with its loops and nodes.

    Raises:
        NotFound: there is no such workflow.
    """
    authorize(actor, "production.status", workflow_id)
    return statuses.of_workflow(find(workflow_id))


def start(
    actor: Actor, workflow_id: str, *, origin: str | None = None, number: int | None = None
) -> Change:
    """Ask for a workflow to run.

    A completed workflow, or `origin="beginning"`, opens a new activation; otherwise the present one
    goes on. Without a number the newest version is meant.

    Raises:
        NotFound: there is no such workflow or version.
        Conflict: it runs in another version, is still stopping, or the version cannot go on where
            the present activation is.
        WorkflowInvalid: the version cannot be used any more.
    """
    authorize(actor, "production.start", workflow_id)
    if origin not in (None, RESUME, BEGINNING):
        raise InvalidRequest(f"`from` is {RESUME} or {BEGINNING}")
    flow = flow_engine().load(find_version(find(workflow_id), number).definition)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        version = find_version(workflow, number)
        if version.definition != flow.spec.raw:
            raise Conflict(f"{workflow_id} was saved at the same moment; try again")
        changed = _start(workflow, version, flow, origin)
    return Change(status=statuses.of_workflow(workflow), changed=changed)


def stop(actor: Actor, workflow_id: str) -> Change:
    """Ask for a workflow to stop; its loops end after the iteration in hand.

    Raises:
        NotFound: there is no such workflow.
    """
    authorize(actor, "production.stop", workflow_id)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        changed = _desire(workflow, Desired.STOPPED)
        _settle(workflow, State.STOPPED)
    return Change(status=statuses.of_workflow(workflow), changed=changed)


def pause(actor: Actor, workflow_id: str) -> Change:
    """Ask for a running workflow to hold still, and keep its place.

    Raises:
        NotFound: there is no such workflow.
        Conflict: it does not run.
    """
    authorize(actor, "production.pause", workflow_id)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        if workflow.desired == Desired.STOPPED or statuses.is_completed(workflow):
            raise Conflict(f"{workflow_id} does not run")
        changed = _desire(workflow, Desired.PAUSED)
        _settle(workflow, State.PAUSED)
    return Change(status=statuses.of_workflow(workflow), changed=changed)


def resume(actor: Actor, workflow_id: str) -> Change:
    """Ask for a paused workflow to go on.

    Raises:
        NotFound: there is no such workflow.
        Conflict: it is not paused.
    """
    authorize(actor, "production.resume", workflow_id)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        if workflow.desired == Desired.STOPPED or statuses.is_completed(workflow):
            raise Conflict(f"{workflow_id} is not paused; start it")
        changed = _desire(workflow, Desired.RUNNING)
        _settle(workflow, State.PENDING)
    return Change(status=statuses.of_workflow(workflow), changed=changed)


def _start(
    workflow: Workflow, version: WorkflowVersion, flow: LoadedFlow, origin: str | None
) -> bool:
    completed = statuses.is_completed(workflow)
    if workflow.desired != Desired.STOPPED and not completed:
        return _start_running(workflow, version, origin)
    if completed and origin == RESUME:
        raise Conflict(f"{workflow.pk} has completed; there is nothing to resume")
    fresh = completed or origin == BEGINNING or workflow.activation == 0
    before = workflow.active_version
    changed_version = before is None or before.digest != version.digest
    if fresh or changed_version:
        _refuse_while_stopping(workflow)
    if before is not None and changed_version and not fresh:
        _refuse_lost_places(flow_engine().load(before.definition), flow, version)
    workflow.activation += fresh
    workflow.active_version = version
    workflow.desired = Desired.RUNNING
    workflow.save()
    _prepare_slots(workflow, flow, anew=fresh or changed_version)
    return True


def _start_running(workflow: Workflow, version: WorkflowVersion, origin: str | None) -> bool:
    """Answer a start of what is running or paused already."""
    active = workflow.active_version
    if active is None or active.digest != version.digest:
        number = active.number if active else 0
        raise Conflict(
            f"{workflow.pk} runs in version {number}; stop it before version {version.number}"
        )
    if origin == BEGINNING:
        raise Conflict(f"{workflow.pk} runs; stop it before it can start from the beginning")
    changed = _desire(workflow, Desired.RUNNING)
    failed = statuses.slots_of(workflow).filter(state=State.FAILED)
    changed = bool(failed.update(state=State.PENDING, reason="")) or changed
    _settle(workflow, State.PENDING)
    return changed


def _refuse_while_stopping(workflow: Workflow) -> None:
    if statuses.held(workflow).exists():
        raise Conflict(f"{workflow.pk} is still stopping; try again")


def _refuse_lost_places(before: LoadedFlow, after: LoadedFlow, version: WorkflowVersion) -> None:
    """Refuse a version that would silently skip a cursor, a state or the items of a queue."""
    lost = _places(before) - _places(after)
    if lost:
        problems = tuple(Problem(f"nodes.{name}", f"its {kind} is kept") for kind, name in lost)
        raise Conflict(
            f"version {version.number} lacks what the present activation goes on with; "
            f"start it with `from: {BEGINNING}`, or start the version before",
            problems=problems,
        )


def _places(flow: LoadedFlow) -> set[tuple[str, str]]:
    states = {("state", f"{n.id} ({n.type})") for n in flow.graph.nodes.values() if n.node.stateful}
    return states | {("queue", loop.reads) for loop in flow.analyzer.loops() if loop.reads}


def _prepare_slots(workflow: Workflow, flow: LoadedFlow, *, anew: bool) -> None:
    """Make a row per loop and replica. Rows are never removed, so that a token never falls back:
    the row of a loop that is gone has activation 0."""
    wanted = {(loop.id, n) for loop in flow.analyzer.loops() for n in range(loop.replicas)}
    present = {(s.loop, s.slot): s for s in workflow.slots.select_for_update()}
    held = set(statuses.held(workflow).values_list("pk", flat=True))
    for place, slot in present.items():
        if place in wanted and slot.pk in held:
            continue  # its runner sees that it is wanted again before it has let go
        if place in wanted:
            _reset(slot, workflow.activation, anew=anew)
        else:
            slot.activation = 0
    LoopSlot.objects.bulk_update(
        present.values(), ["activation", "state", "reason", "isolated"], batch_size=100
    )
    LoopSlot.objects.bulk_create(
        LoopSlot(workflow=workflow, loop=loop, slot=n, activation=workflow.activation)
        for loop, n in sorted(wanted - present.keys())
    )


def _reset(slot: LoopSlot, activation: int, *, anew: bool) -> None:
    same = slot.activation == activation
    if anew:
        slot.isolated = False
    if same and slot.state == State.COMPLETED:
        return  # its completion mark holds for the whole activation
    slot.activation = activation
    slot.state, slot.reason = State.PENDING, ""


def _desire(workflow: Workflow, desired: str) -> bool:
    if workflow.desired == desired:
        return False
    workflow.desired = desired
    workflow.save(update_fields=["desired", "updated_at"])
    return True


def _settle(workflow: Workflow, state: str) -> None:
    """Give the slots that nobody holds the state at once; a runner does it for its own."""
    idle = statuses.slots_of(workflow).exclude(state__in=_TERMINAL)
    held = statuses.held(workflow).values("pk")
    idle.exclude(pk__in=held).exclude(state=state).update(
        state=state, reason="", changed_at=timezone.now()
    )
