"""Leases in the database: which runner may run which slot, and until when.

One heartbeat row per runner renews all its slots. Every deadline is the database's own time, so
that clocks of runners do not matter. A token only ever rises; the stores refuse an older one.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.functions import Now

from orchestrator.models import LoopSlot, Runner, Workflow

State = LoopSlot.State
ENDED = (State.COMPLETED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot as a runner sees it. `free`: no living runner owns it."""

    pk: int
    workflow: str
    loop: str
    slot: int
    activation: int
    version: int
    desired: str
    state: str
    isolated: bool
    mine: bool
    free: bool

    @property
    def key(self) -> str:
        return f"{self.workflow}/{self.loop}/{self.slot}"

    @property
    def name(self) -> str:
        return f"{self.loop}/{self.slot}"

    @property
    def wanted(self) -> bool:
        return self.desired != Workflow.Desired.STOPPED and self.state not in ENDED


def _after(seconds: float) -> ExpressionWrapper:
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), DateTimeField())


def heartbeat(runner_id: str, host: str, pid: int, ttl: float) -> None:
    """Say that the runner lives for another `ttl` seconds; enter it if it is not known."""
    if not Runner.objects.filter(pk=runner_id).update(expires_at=_after(ttl)):
        bury()
        Runner.objects.create(pk=runner_id, host=host, pid=pid, expires_at=_after(ttl))


def leave(runner_id: str) -> None:
    """Take the runner off the list; what it still owns is free at once."""
    Runner.objects.filter(pk=runner_id).delete()


def bury(keep: float = 3600.0) -> None:
    """Forget runners that have been dead for `keep` seconds."""
    Runner.objects.filter(expires_at__lt=_after(-keep)).delete()


def living() -> set[str]:
    """Return the ids of the runners that are alive."""
    return set(Runner.objects.filter(expires_at__gt=Now()).values_list("pk", flat=True))


def slots(runner_id: str) -> list[Slot]:
    """Return every slot that is wanted, and every one that the runner owns."""
    alive = living()
    rows = LoopSlot.objects.filter(workflow__active_version__isnull=False).values(
        "pk", "workflow_id", "loop", "slot", "activation", "state", "isolated", "owner_id",
        version=F("workflow__active_version__number"), desired=F("workflow__desired"),
        wanted=F("workflow__activation"),
    )  # fmt: skip
    found = []
    for row in rows:
        mine = row["owner_id"] == runner_id
        if row["activation"] != row["wanted"]:
            row["desired"] = Workflow.Desired.STOPPED
        if mine or row["desired"] != Workflow.Desired.STOPPED:
            found.append(_slot(row, mine=mine, free=row["owner_id"] not in alive))
    return found


def _slot(row: dict[str, Any], *, mine: bool, free: bool) -> Slot:
    return Slot(
        pk=row["pk"],
        workflow=row["workflow_id"],
        loop=row["loop"],
        slot=row["slot"],
        activation=row["activation"],
        version=row["version"],
        desired=row["desired"],
        state=row["state"],
        isolated=row["isolated"],
        mine=mine,
        free=free,
    )


def acquire(pk: int, runner_id: str, activation: int) -> int | None:
    """Take a slot that no living runner owns, or that is the runner's own, with a new token.

    Returns None when somebody else was faster, or it is not wanted for this activation any more.
    """
    with transaction.atomic():
        slot = LoopSlot.objects.select_for_update().filter(pk=pk, activation=activation).first()
        if slot is None or slot.state in ENDED:
            return None
        if slot.owner_id not in (None, runner_id):
            if Runner.objects.filter(pk=slot.owner_id, expires_at__gt=Now()).exists():
                return None
        slot.owner_id = runner_id
        slot.token += 1
        slot.state, slot.reason = State.STARTING, ""
        slot.save(update_fields=("owner", "token", "state", "reason", "changed_at"))
        return slot.token


def release(pk: int, runner_id: str, activation: int, state: str, reason: str = "") -> None:
    """Give a slot back. Its state is kept, unless a new activation has begun meanwhile."""
    mine = LoopSlot.objects.filter(pk=pk, owner_id=runner_id)
    mine.filter(activation=activation).update(state=state, reason=reason[:500])
    mine.update(owner=None)


def note(runner_id: str, states: Iterable[tuple[int, str, str]]) -> None:
    """Keep the observed (slot, state, reason) of slots the runner owns."""
    with transaction.atomic():
        for pk, state, reason in states:
            LoopSlot.objects.filter(pk=pk, owner_id=runner_id).update(
                state=state, reason=reason[:500]
            )


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
