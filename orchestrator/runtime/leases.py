"""Leases in the database: which runner may run which slot, and until when.

One heartbeat row per runner renews all its slots. Every deadline is the database's own time, so
that clocks of runners do not matter. A token only ever rises; the stores refuse an older one.

Whoever changes several slots locks their workflow first. What does not, here, changes one at a
time: two that lock slots in different orders would wait for each other.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Avg, DateTimeField, ExpressionWrapper, F, TextField, Value
from django.db.models.functions import Cast, Now

from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.runtime.desires import ENDS, greater
from orchestrator.runtime.shares import Peer

State = LoopSlot.State
Desired = Workflow.Desired
ENDED = (State.COMPLETED, State.FAILED)
AT_REST = (*ENDED, State.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot as a runner sees it.

    version: in which the loop changed last. active: the version of its workflow.
    desired: the greater end of what is desired of the workflow and of the loop. A loop that has to
        go on while it is drained is RUNNING; DRAINING is one that may end now.
    drains: whether it is draining. free: no living runner owns it. token: of its last owner.
    owner: the living runner that has it, or empty. runs_on: labels that its runner needs.
    """

    pk: int
    workflow: str
    loop: str
    slot: int
    activation: int
    version: int
    active: int
    desired: str
    state: str
    isolated: bool
    token: int
    drains: bool
    mine: bool
    free: bool
    owner: str = ""
    runs_on: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.workflow}/{self.loop}/{self.slot}"

    @property
    def name(self) -> str:
        return f"{self.loop}/{self.slot}"

    @property
    def about(self) -> dict[str, Any]:
        """What a line of the log says of it beside the message."""
        names = ("workflow", "version", "loop", "slot")
        return {name: getattr(self, name) for name in names}

    @property
    def wanted(self) -> bool:
        going = self.desired in (Desired.RUNNING, Desired.PAUSED)
        return going and self.state not in ENDED

    @property
    def forsaken(self) -> bool:
        """Whether nobody has it or will take it, and its state does not say so yet."""
        return self.free and not self.wanted and self.state not in AT_REST


def _after(seconds: float) -> ExpressionWrapper:
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), DateTimeField())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerEntry:
    """What a runner says of itself once. `labels` are sorted."""

    id: str
    host: str
    pid: int
    labels: tuple[str, ...] = ()


def heartbeat(runner: RunnerEntry, load: float, ttl: float) -> None:
    """Say that the runner lives for another `ttl` seconds; enter it if it is not known."""
    known = Runner.objects.filter(pk=runner.id)
    if not known.update(expires_at=_after(ttl), load=load):
        bury()
        Runner.objects.create(
            pk=runner.id,
            host=runner.host,
            pid=runner.pid,
            labels=list(runner.labels),
            load=load,
            expires_at=_after(ttl),
        )


def leave(runner_id: str) -> None:
    """Take the runner off the list; what it still owns is free at once."""
    _remove([runner_id])


def bury(keep: float = 3600.0) -> None:
    """Forget runners that have been dead for `keep` seconds."""
    _remove(Runner.objects.filter(expires_at__lt=_after(-keep)).values_list("pk", flat=True))


def _remove(runners: Iterable[str]) -> None:
    gone = list(runners)
    for pk in list(LoopSlot.objects.filter(owner__in=gone).values_list("pk", flat=True)):
        LoopSlot.objects.filter(pk=pk, owner__in=gone).update(owner=None)
    Runner.objects.filter(pk__in=gone).delete()


def living() -> set[str]:
    """Return the ids of the runners that are alive."""
    return set(Runner.objects.filter(expires_at__gt=Now()).values_list("pk", flat=True))


def peers() -> list[Peer]:
    """Return the runners that are alive, by id.

    Those of one machine have one load: each tells it at a moment of its own.
    """
    alive = Runner.objects.filter(expires_at__gt=Now())
    loads = dict(alive.order_by().values_list("host").annotate(Avg("load")))
    rows = alive.order_by("pk").values_list("pk", "labels", "host", "draining")
    return [
        Peer(id=pk, labels=frozenset(labels), load=loads.get(host, 0.0), draining=draining)
        for pk, labels, host, draining in rows
    ]


def drain(runner_id: str) -> bool:
    """Ask a runner to give back what it has and to end; False when there is no such runner."""
    return bool(Runner.objects.filter(pk=runner_id).update(draining=True))


def slots(runner_id: str) -> list[Slot]:
    """Return every slot that is not desired to end, every one that the runner owns, and every one
    that has ended without its state saying so."""
    alive = living()
    rows = LoopSlot.objects.filter(workflow__active_version__isnull=False).values_list(
        "owner_id", "pk", "workflow_id", "loop", "slot", "activation", "version", "desired",
        "state", "isolated", "token", "workflow__active_version__number", "workflow__desired",
        "workflow__activation", Cast("runs_on", TextField()),
    )  # fmt: skip
    found = (_slot(row, row[0] == runner_id, row[0] in alive) for row in rows)
    return [slot for slot in found if slot.mine or slot.desired not in ENDS or slot.forsaken]


@lru_cache(maxsize=10_000)
def _slot(row: tuple[Any, ...], mine: bool, owned: bool) -> Slot:
    """Return a slot of a row. Most rows are as they were when they were read before."""
    owner, pk, workflow, loop, slot, activation, version, desired, *more = row
    state, isolated, token, active, of_all, current, runs_on = more
    desired = greater(of_all, desired)
    if activation != current:
        desired = greater(desired, Desired.STOPPED)
    return Slot(
        pk=pk,
        workflow=workflow,
        loop=loop,
        slot=slot,
        activation=activation,
        version=version,
        active=active,
        desired=desired,
        state=state,
        isolated=isolated,
        token=token,
        drains=desired == Desired.DRAINING,
        mine=mine,
        free=not owned,
        owner=owner if owned else "",
        runs_on=tuple(json.loads(runs_on)),
    )


def acquire(slot: Slot, runner_id: str) -> int | None:
    """Take a slot that no living runner owns, or that is the runner's own, with a new token.

    Returns None when somebody else was faster, or it is not wanted any more as it was seen.
    """
    with transaction.atomic():
        # The workflow first, as whoever changes what is desired does.
        workflow = Workflow.objects.select_for_update().filter(pk=slot.workflow).first()
        row = LoopSlot.objects.select_for_update().filter(pk=slot.pk).first()
        if workflow is None or row is None or not _is_as_seen(slot, workflow, row):
            return None
        if row.owner_id not in (None, runner_id):
            if Runner.objects.filter(pk=row.owner_id, expires_at__gt=Now()).exists():
                return None
        row.owner_id = runner_id
        row.token += 1
        row.state, row.reason = State.STARTING, ""
        row.save(update_fields=("owner", "token", "state", "reason", "changed_at"))
        return int(row.token)


def _is_as_seen(slot: Slot, workflow: Workflow, row: LoopSlot) -> bool:
    if not slot.activation == row.activation == workflow.activation:
        return False
    if row.version != slot.version or row.state in ENDED:
        return False
    desired = greater(workflow.desired, row.desired)
    # One that was seen before a drain was asked for may be a producer.
    return desired not in ENDS and (desired != Desired.DRAINING or slot.drains)


def release(slot: Slot, runner_id: str, state: str, reason: str = "") -> None:
    """Give a slot back. Its state is kept, unless a new activation has begun meanwhile; what has
    completed in a version that is not its own any more is wanted again."""
    with transaction.atomic():
        row = LoopSlot.objects.select_for_update().filter(pk=slot.pk, owner_id=runner_id).first()
        if row is None:
            return
        if row.activation == slot.activation:
            outdated = state == State.COMPLETED and row.version != slot.version
            row.state, row.reason = (State.PENDING, "") if outdated else (state, reason[:500])
        row.owner = None
        row.save(update_fields=("state", "reason", "owner", "changed_at"))


def settle(slot: Slot) -> None:
    """Say of a forsaken slot that it is stopped, unless somebody has taken it meanwhile."""
    rows = LoopSlot.objects.filter(pk=slot.pk, token=slot.token).exclude(state__in=AT_REST)
    rows.update(state=State.STOPPED, reason="", owner=None)


def note(runner_id: str, states: Iterable[tuple[int, str, str]]) -> None:
    """Keep the observed (slot, state, reason) of slots the runner owns."""
    for pk, state, reason in states:
        LoopSlot.objects.filter(pk=pk, owner_id=runner_id).update(state=state, reason=reason[:500])


def isolate(pk: int) -> None:
    """Give the slot a process of its own from its next start on."""
    LoopSlot.objects.filter(pk=pk).update(isolated=True)


def all_completed(workflow: str, activation: int) -> bool:
    """Tell whether every slot of an activation is completed."""
    rows = LoopSlot.objects.filter(workflow_id=workflow, activation=activation)
    return rows.exists() and not rows.exclude(state=State.COMPLETED).exists()


def owned(runner_id: str) -> set[tuple[int, int]]:
    """Return the (pk, token) of every slot that the runner owns."""
    return set(LoopSlot.objects.filter(owner_id=runner_id).values_list("pk", "token"))


def completed(workflows: Collection[str]) -> list[tuple[int, str, str, int]]:
    """Return (pk, workflow, `loop/slot`, activation) of what has completed in these workflows."""
    rows = LoopSlot.objects.filter(
        workflow__in=workflows, activation=F("workflow__activation"), state=State.COMPLETED
    )
    return [(row.pk, row.workflow_id, f"{row.loop}/{row.slot}", row.activation) for row in rows]


def revive(pk: int, activation: int) -> None:
    """Want a slot again that had completed, unless a new activation has begun meanwhile."""
    LoopSlot.objects.filter(pk=pk, activation=activation, state=State.COMPLETED).update(
        state=State.PENDING
    )


def definition(workflow: str, version: int) -> Any:
    """Return the JSON of a version."""
    return Workflow.objects.get(pk=workflow).versions.get(number=version).definition
