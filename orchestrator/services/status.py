"""The status of workflows: what the database knows, with the live counters from the feed."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.models import LoopSlot, Workflow
from orchestrator.runtime.desires import ENDS
from orchestrator.runtime.leases import living, peers
from orchestrator.runtime.shares import Peer
from orchestrator.services.stores import with_store
from storage.codec import decode
from storage.datastore import DataStore

logger = logging.getLogger(__name__)
State = LoopSlot.State
Desired = Workflow.Desired
Live = Mapping[str, bytes]
_ENDED = (State.STOPPED, State.COMPLETED, State.FAILED)
IN_HANDS = (State.STARTING, State.RUNNING, State.BLOCKED, State.DRAINING)
_AT_WORK = (*IN_HANDS, State.DEGRADED)
_NOT_YET = {State.PENDING, State.STARTING, State.DRAINING, State.STOPPED, State.PAUSED}
_COUNTERS = ("iterations", "failures", "in_flight")
WAITING = "waiting_for_runner"


def slots_of(workflow: Workflow) -> QuerySet[LoopSlot]:
    """The slots of the present activation; rows of loops that are gone have activation 0."""
    return workflow.slots.filter(activation=workflow.activation).exclude(activation=0)


def held(workflow: Workflow) -> QuerySet[LoopSlot]:
    """The slots that a live runner still works on, of any activation."""
    return workflow.slots.filter(owner__expires_at__gt=Now()).exclude(state__in=_ENDED)


def is_completed(workflow: Workflow) -> bool:
    """Whether every loop of the present activation has ended for good."""
    states = set(slots_of(workflow).values_list("state", flat=True))
    return states == {State.COMPLETED}


def runners_alive() -> int:
    return len(living())


def of_workflow(workflow: Workflow) -> dict[str, Any]:
    """Return one workflow's status; without Redis it lacks the counters."""
    return of_workflows([workflow])[0]


def of_workflows(workflows: Iterable[Workflow]) -> list[dict[str, Any]]:
    """Return the status of each workflow, in order."""
    rows = list(workflows)
    live = _live([w.pk for w in rows])
    alive = {peer.id: peer for peer in peers()}
    slots: dict[str, list[LoopSlot]] = {w.pk: [] for w in rows}
    current = {w.pk: w.activation for w in rows}
    found = LoopSlot.objects.filter(workflow__in=rows).exclude(activation=0)
    for slot in found:
        if slot.activation == current[slot.workflow_id]:
            slots[slot.workflow_id].append(slot)
    return [_status(w, slots[w.pk], live.get(w.pk, {}), alive) for w in rows]


def _live(workflow_ids: Sequence[str]) -> dict[str, Live]:
    async def read(store: DataStore) -> list[Live]:
        return await asyncio.gather(*(store.feed.latest(i) for i in workflow_ids))

    try:
        return dict(zip(workflow_ids, with_store(read, patience=2), strict=True))
    except StoreUnavailable:
        return {}


def _status(
    workflow: Workflow, slots: Sequence[LoopSlot], live: Live, alive: Mapping[str, Peer]
) -> dict[str, Any]:
    loops = [
        _loop(slot, live.get(f"{slot.loop}/{slot.slot}"), owned=slot.owner_id in alive)
        for slot in slots
    ]
    _say_who_is_missing(workflow, loops, alive.values())
    state, reason = _summary(workflow.desired, loops, waiting=not alive)
    return {
        "workflow_id": workflow.pk,
        "name": workflow.name,
        "desired": workflow.desired,
        "status": state,
        "reason": reason,
        "activation": workflow.activation,
        "version": workflow.active_version.number if workflow.active_version else None,
        "runners_alive": len(alive),
        "loops": loops,
    }


def _loop(slot: LoopSlot, body: bytes | None, *, owned: bool) -> dict[str, Any]:
    live = _decoded(body)
    if live.get("activation", slot.activation) != slot.activation:
        live = {}
    state, reason = slot.state, slot.reason
    if owned and state in _AT_WORK and live.get("state") in _AT_WORK:
        state, reason = live["state"], live.get("reason", "")
    elif not owned and state in IN_HANDS:
        state = State.PENDING
    return {
        "loop": slot.loop,
        "slot": slot.slot,
        "desired": slot.desired,
        "state": str(state),
        "reason": reason,
        "runner": slot.owner_id if owned else None,
        "isolated": slot.isolated,
        "runs_on": slot.runs_on,
        **{name: live.get(name, 0) for name in _COUNTERS},
        "nodes": live.get("nodes", {}),
    }


def _say_who_is_missing(
    workflow: Workflow, loops: Iterable[dict[str, Any]], alive: Iterable[Peer]
) -> None:
    """Give loops that are wanted, and that no living runner has the labels for, their reason."""
    if workflow.desired in ENDS:
        return
    for loop in loops:
        waits = loop["state"] == State.PENDING and loop["desired"] not in ENDS
        if waits and loop["runs_on"] and not any(peer.fits(loop["runs_on"]) for peer in alive):
            loop["reason"] = f"{WAITING}: {', '.join(loop['runs_on'])}"


def _decoded(body: bytes | None) -> dict[str, Any]:
    try:
        value = decode(body) if body else {}
    except OrchestratorError:
        logger.warning("the feed holds a state that is not JSON")
        value = {}
    return value if isinstance(value, dict) else {}


def _summary(desired: str, loops: Sequence[dict[str, Any]], *, waiting: bool) -> tuple[str, str]:
    """Return the one word for a workflow, and the reason."""
    states = {loop["state"] for loop in loops}
    if states == {State.COMPLETED}:
        return "completed", ""
    if desired == Desired.PAUSED:
        return "paused", ""
    ended = all(loop["state"] in _ENDED for loop in loops)
    if desired in ENDS or (desired == Desired.DRAINING and ended):
        working = any(loop["runner"] and loop["state"] not in _ENDED for loop in loops)
        return ("stopping" if working else "stopped"), ""
    if State.FAILED in states:
        return "failed", _reason(loops, State.FAILED)
    if all(_is_settled(loop) for loop in loops):
        return ("paused" if State.PAUSED in states else "stopped"), ""
    if desired == Desired.DRAINING:
        return "draining", WAITING if waiting else ""
    return _progress([loop for loop in loops if not _is_settled(loop)], waiting=waiting)


def _is_settled(loop: dict[str, Any]) -> bool:
    """Whether a loop has completed, or holds still because that is desired of it alone."""
    if loop["desired"] == Desired.PAUSED:
        return loop["state"] in (State.PAUSED, *_ENDED)
    return loop["state"] == State.COMPLETED or (loop["desired"] in ENDS and loop["state"] in _ENDED)


def _progress(loops: Sequence[dict[str, Any]], *, waiting: bool) -> tuple[str, str]:
    if waiting:
        return "starting", WAITING
    states = {loop["state"] for loop in loops}
    for state in (State.DEGRADED, State.BLOCKED):
        if state in states:
            return str(state), _reason(loops, state)
    if states & _NOT_YET:
        return "starting", _reason(loops, State.PENDING)
    return "running", ""


def _reason(loops: Sequence[dict[str, Any]], state: str) -> str:
    return next((x["reason"] for x in loops if x["state"] == state and x["reason"]), "")
