"""What an operator wants of a workflow, or of one of its loops. Runners reconcile towards it;
nothing runs here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from orchestrator.exceptions import Conflict, InvalidRequest, NotFound
from orchestrator.flow.builder import LoadedFlow
from orchestrator.models import LoopSlot, Workflow, WorkflowVersion
from orchestrator.runtime import run_as
from orchestrator.runtime.desires import ENDS, exceeds
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit, credential_use, runners, slots, upgrades, webhooks
from orchestrator.services import status as statuses
from orchestrator.services.upgrades import Upgrade
from orchestrator.services.workflows import find, find_version

Desired = Workflow.Desired
State = LoopSlot.State
RESUME, BEGINNING = "resume", "beginning"
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The status after a request, and whether the request changed what is desired."""

    status: dict[str, Any]
    changed: bool


def status(actor: Actor, workflow_id: str) -> dict[str, Any]:
    """Return the status of a workflow with its loops and nodes, and the runners that are alive.

    Raises:
        NotFound: there is no such workflow.
    """
    authorize(actor, "production.status", workflow_id)
    found = statuses.of_workflow(find(workflow_id))
    return {**found, "runners": runners.alive(actor)}


def start(
    actor: Actor,
    workflow_id: str,
    *,
    loop: str | None = None,
    origin: str | None = None,
    number: int | None = None,
) -> Change:
    """Ask for a workflow to run, every loop of it; or for one loop to run again.

    A completed workflow, or `origin="beginning"`, opens a new activation; otherwise the present one
    goes on. Without a number the newest version is meant. Where another version runs, the loops
    that differ start again in the new one, and the others go on.

    Raises:
        NotFound: there is no such workflow, version or loop.
        Conflict: it is to begin anew and still runs, or the version cannot go on where the present
            activation is; of a loop: its workflow does not run.
        WorkflowInvalid: the version cannot be used any more.
        StoreUnavailable: Redis has to be asked what a version would lose, and is away.
    """
    authorize(actor, "production.start", workflow_id)
    if origin not in (None, RESUME, BEGINNING):
        raise InvalidRequest(f"`from` is {RESUME} or {BEGINNING}")
    if loop is not None:
        if origin is not None or number is not None:
            raise InvalidRequest("a loop is started as it is: without `from` and `version`")
        ask = _Ask(actor, "production.start", workflow_id, loop)
        return _change(ask, lambda workflow: _start_loop(workflow, loop))
    for _ in range(_TRIES):
        try:
            return _try_start(actor, workflow_id, number, origin)
        except _Overtaken:
            continue
    raise Conflict(f"{workflow_id} is changed again and again at this moment; try again")


def stop(actor: Actor, workflow_id: str, *, loop: str | None = None, force: bool = False) -> Change:
    """Ask for a workflow or one loop to stop after the iteration in hand.

    Args:
        force: do not wait for it; what was not committed runs again at the next start.

    Raises:
        NotFound: there is no such workflow or loop.
    """
    authorize(actor, "production.stop", workflow_id)
    wish = Desired.KILLED if force else Desired.STOPPED

    def apply(workflow: Workflow) -> bool:
        target = _target(workflow, loop)
        if target.completed or not exceeds(wish, target.desired):
            return False
        nothing_to_end = not target.held.exists()
        changed = target.desire(Desired.STOPPED if nothing_to_end else wish)
        target.settle(State.STOPPED)
        return changed

    return _change(_Ask(actor, "production.stop", workflow_id, loop, force), apply)


def drain(actor: Actor, workflow_id: str, *, loop: str | None = None) -> Change:
    """Ask for a workflow to stop once everything that is on its way has gone through: producers
    stop, and loops that a queue feeds go on until nothing is left for them.

    One loop that a queue feeds is drained only when whatever feeds it has stopped.

    Raises:
        NotFound: there is no such workflow or loop.
        Conflict: it does not run.
    """
    authorize(actor, "production.drain", workflow_id)

    def apply(workflow: Workflow) -> bool:
        target = _target(workflow, loop)
        target.refuse(Desired.STOPPED, Desired.KILLED, message="does not run")
        return target.desire(Desired.DRAINING)

    return _change(_Ask(actor, "production.drain", workflow_id, loop), apply)


def pause(actor: Actor, workflow_id: str, *, loop: str | None = None) -> Change:
    """Ask for a running workflow or one loop to hold still, and keep its place.

    Raises:
        NotFound: there is no such workflow or loop.
        Conflict: it does not run, or it is draining.
    """
    authorize(actor, "production.pause", workflow_id)

    def apply(workflow: Workflow) -> bool:
        target = _target(workflow, loop)
        target.refuse(Desired.STOPPED, Desired.KILLED, message="does not run")
        target.refuse(Desired.DRAINING, message="is draining; start it to let it go on")
        changed = target.desire(Desired.PAUSED)
        target.settle(State.PAUSED)
        return changed

    return _change(_Ask(actor, "production.pause", workflow_id, loop), apply)


def resume(actor: Actor, workflow_id: str, *, loop: str | None = None) -> Change:
    """Ask for a paused workflow or loop to go on.

    Raises:
        NotFound: there is no such workflow or loop.
        Conflict: it is not paused.
    """
    authorize(actor, "production.resume", workflow_id)

    def apply(workflow: Workflow) -> bool:
        target = _target(workflow, loop)
        target.refuse(*ENDS, Desired.DRAINING, message="is not paused; start it")
        changed = target.desire(Desired.RUNNING)
        target.settle(_idle_state(workflow))
        return changed

    return _change(_Ask(actor, "production.resume", workflow_id, loop), apply)


@dataclass(frozen=True, slots=True)
class _Ask:
    """Who asks for what, of a workflow or of one loop."""

    actor: Actor
    action: str
    workflow_id: str
    loop: str | None = None
    force: bool = False

    def record(self, before: dict[str, Any], workflow: Workflow) -> None:
        more = {"loop": self.loop, "force": self.force}
        after = {**_wanted(workflow), **{name: value for name, value in more.items() if value}}
        what = f"workflow:{self.workflow_id}"
        audit.record(self.actor, self.action, what, before=before, after=after)


def _wanted(workflow: Workflow) -> dict[str, Any]:
    version = workflow.active_version
    return {
        "desired": workflow.desired,
        "activation": workflow.activation,
        "version": version.number if version else None,
    }


def _change(ask: _Ask, apply: Callable[[Workflow], bool]) -> Change:
    with transaction.atomic():
        workflow = find(ask.workflow_id, lock=True)
        before = _wanted(workflow)
        changed = apply(workflow)
        ask.record(before, workflow)
    return Change(status=statuses.of_workflow(workflow), changed=changed)


# What a request is about


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A workflow, or one loop of it with all its slots."""

    workflow: Workflow
    loop: str | None
    slots: QuerySet[LoopSlot]
    held: QuerySet[LoopSlot]
    desired: str
    completed: bool

    def refuse(self, *desires: str, message: str) -> None:
        """Raise if this is what is desired, or if it has come to its end by itself."""
        what = self.workflow.pk if self.loop is None else f"loop {self.loop} of {self.workflow.pk}"
        if self.completed:
            raise Conflict(f"{what} has completed")
        if self.desired in desires or (self.loop is not None and self.workflow.desired in desires):
            raise Conflict(f"{what} {message}")

    def desire(self, desired: str) -> bool:
        if self.desired == desired:
            return False
        if self.loop is not None:
            self.slots.update(desired=desired)
        else:
            self.workflow.desired = desired
            self.workflow.save(update_fields=["desired", "updated_at"])
        return True

    def settle(self, state: str) -> None:
        slots.settle(self.slots, self.held, state)


def _target(workflow: Workflow, loop: str | None) -> _Target:
    rows, held = statuses.slots_of(workflow), statuses.held(workflow)
    if loop is None:
        done = statuses.is_completed(workflow)
        return _Target(
            workflow=workflow, loop=None, slots=rows, held=held,
            desired=workflow.desired, completed=done,
        )  # fmt: skip
    rows, held = rows.filter(loop=loop), held.filter(loop=loop)
    known = list(rows.select_for_update())
    if not known:
        raise NotFound(f"{workflow.pk} runs no loop {loop}")
    done = all(slot.state == State.COMPLETED for slot in known)
    return _Target(
        workflow=workflow, loop=loop, slots=rows, held=held,
        desired=known[0].desired, completed=done,
    )  # fmt: skip


def _idle_state(workflow: Workflow) -> str:
    """The state of a slot that is wanted and that nobody has."""
    return State.PAUSED if workflow.desired == Desired.PAUSED else State.PENDING


# Starting


def _start_loop(workflow: Workflow, loop: str) -> bool:
    target = _target(workflow, loop)
    if workflow.desired in (*ENDS, Desired.DRAINING) or statuses.is_completed(workflow):
        raise Conflict(f"{workflow.pk} does not run; start it, which starts every loop")
    if target.completed:
        return False
    failed = target.slots.filter(state=State.FAILED).update(state=State.PENDING, reason="")
    changed = target.desire(Desired.RUNNING)
    target.settle(_idle_state(workflow))
    return changed or bool(failed)


class _Overtaken(Exception):
    """The workflow was changed while its versions were compared, which takes too long to keep
    everybody waiting for."""


def _try_start(actor: Actor, workflow_id: str, number: int | None, origin: str | None) -> Change:
    seen = find(workflow_id)
    version = find_version(seen, number)
    flow = flow_engine().load_saved(version.definition)
    credential_use.require_run_as(version.created_by, flow.graph)
    run_as.require_templates(version.created_by, flow.graph.nodes.values())
    upgrade = _upgrade(seen, flow, version, origin)

    def apply(workflow: Workflow) -> bool:
        if find_version(workflow, number).pk != version.pk:
            raise _Overtaken
        if (workflow.active_version_id, workflow.activation) != (
            seen.active_version_id,
            seen.activation,
        ):
            raise _Overtaken
        return _start(workflow, version, flow, upgrade, origin)

    return _change(_Ask(actor, "production.start", workflow_id), apply)


def _upgrade(
    workflow: Workflow, flow: LoadedFlow, version: WorkflowVersion, origin: str | None
) -> Upgrade | None:
    """Return what the version changes in the present activation; None when it begins anew."""
    before = workflow.active_version
    if before is None or _begins_anew(workflow, origin):
        return None
    same = before.digest == version.digest
    loaded = flow if same else flow_engine().load_saved(before.definition)
    upgrade = upgrades.compare(loaded, flow, version.number)
    if not same:
        upgrades.refuse_losses(upgrade, workflow)
    return upgrade


def _begins_anew(workflow: Workflow, origin: str | None) -> bool:
    return origin == BEGINNING or workflow.activation == 0 or statuses.is_completed(workflow)


def _start(
    workflow: Workflow,
    version: WorkflowVersion,
    flow: LoadedFlow,
    upgrade: Upgrade | None,
    origin: str | None,
) -> bool:
    completed = statuses.is_completed(workflow)
    if completed and origin == RESUME:
        raise Conflict(f"{workflow.pk} has completed; there is nothing to resume")
    fresh = _begins_anew(workflow, origin)
    if fresh:
        _refuse_while_running(workflow, completed=completed)
    if fresh != (upgrade is None):
        raise _Overtaken
    if upgrade is not None:
        upgrades.refuse_unheard(upgrade, workflow)
    loops = flow.analyzer.loops()
    changed = frozenset(loop.id for loop in loops) if upgrade is None else upgrade.changed
    news = workflow.desired != Desired.RUNNING
    workflow.activation += fresh
    workflow.active_version = version
    workflow.desired = Desired.RUNNING
    workflow.save()
    webhooks.claim(workflow, flow.graph)
    return slots.prepare(workflow, loops, changed) or news


def _refuse_while_running(workflow: Workflow, *, completed: bool) -> None:
    if workflow.desired not in ENDS and not completed and workflow.activation:
        raise Conflict(f"{workflow.pk} runs; stop it before it can start from the beginning")
    if statuses.held(workflow).exists():
        raise Conflict(f"{workflow.pk} is still stopping; try again")
