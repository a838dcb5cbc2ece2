"""Which checkpoint a slot begins with when Redis has lost everything.

What was on its way is gone. It has to be made again: a producer goes back to where it was before
the oldest of it was handed over, and a loop whose nodes keep state to where it was before it handed
over what may be missing downstream. The further down a loop is, the later it may begin; what is
upstream of it has to begin where the items are that its checkpoint has not seen.

A decision uses only what was known when the slot's own newest checkpoint was written. That one
proves that Redis had the slot by then, and what others have written since they were restored
themselves does not mislead it.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.execution.committer import EFFECT
from orchestrator.flow.digests import digest_of
from orchestrator.flow.loops import Loop
from orchestrator.models import Checkpoint
from orchestrator.runtime.leases import Slot

logger = logging.getLogger(__name__)
Place = tuple[str, int]
"""A loop and the number of a slot of it."""


def checksum(row: Checkpoint) -> str:
    """Return the SHA-256, in hex, of all that a checkpoint says."""
    said = [
        row.workflow_id, row.loop, row.slot, row.activation, row.version, row.token, row.sequence,
        row.states, row.oldest_at.timestamp(),
    ]  # fmt: skip
    return digest_of(said)


def is_sound(row: Checkpoint) -> bool:
    return checksum(row) == row.checksum


def find(slot: Slot, loops: Mapping[str, Loop], slack: float) -> dict[str, Any] | None:
    """Return what a slot is to begin with if Redis knows nothing of it; None if nothing was kept.

    It is JSON: `sequence`, `states`, `known`, the sequence that was kept last, and `at`, the moment
    of the checkpoint, or an empty text where none is old enough and the loop begins anew.

    Args:
        loops: of the version that is active.
        slack: seconds by which clocks and looks may be apart.
    """
    names = {slot.loop, *_downstream(slot.loop, loops)}
    rows = Checkpoint.objects.filter(
        workflow=slot.workflow, activation=slot.activation, loop__in=names
    )
    history = sound(rows.order_by("pk"))
    place = (slot.loop, slot.slot)
    if place not in history:
        return None
    newest = history[place][-1]
    row = choose(history, loops, place, slack)
    # Nobody knows how much of its files belongs to the checkpoint: they are kept as they are.
    states = {name: state for name, state in newest.states.items() if name.startswith(EFFECT)}
    if row is not None:
        states |= {n: state for n, state in row.states.items() if not n.startswith(EFFECT)}
    return {
        "sequence": 0 if row is None else row.sequence,
        "states": states,
        "known": newest.sequence,
        "at": "" if row is None else row.created_at.isoformat(timespec="seconds"),
    }


def sound(rows: Iterable[Checkpoint]) -> dict[Place, list[Checkpoint]]:
    """Return checkpoints by slot, oldest first, without those that are damaged."""
    history: defaultdict[Place, list[Checkpoint]] = defaultdict(list)
    for row in rows:
        if is_sound(row):
            history[row.loop, row.slot].append(row)
        else:
            logger.warning("checkpoint %d (%s) is damaged and not used", row.pk, row)
    return dict(history)


def choose(
    history: Mapping[Place, Sequence[Checkpoint]],
    loops: Mapping[str, Loop],
    place: Place,
    slack: float,
) -> Checkpoint | None:
    """Return the checkpoint of a slot to begin with; None for the beginning of the activation."""
    own = history.get(place)
    if not own:
        return None
    newest = own[-1]
    loop = loops.get(place[0])
    if loop is not None and loop.reads is not None and not _keeps_state(newest):
        return newest  # nothing depends on where it begins
    limit = _limit(history, loops, place, newest.created_at, slack, frozenset())
    return None if limit is None else _last(own, limit)


def _limit(
    history: Mapping[Place, Sequence[Checkpoint]],
    loops: Mapping[str, Loop],
    place: Place,
    known_at: datetime,
    slack: float,
    seen: frozenset[Place],
) -> datetime | None:
    """Return the moment before which a slot has to begin; None for the beginning."""
    own = _until(history.get(place, ()), known_at)
    if place in seen or not own:
        return None
    limits = [own[-1].oldest_at]
    for name in _downstream(place[0], loops) - {place[0]}:
        for number in range(loops[name].replicas):
            theirs = _until(history.get((name, number), ()), known_at)
            if not theirs:
                return None  # what it has in hand nobody knows
            if not _keeps_state(theirs[-1]):
                continue
            bound = _limit(history, loops, (name, number), known_at, slack, seen | {place})
            row = None if bound is None else _last(theirs, bound)
            if row is None:
                return None
            limits.append(row.oldest_at)
    return min(limits) - timedelta(seconds=slack)


def _until(rows: Sequence[Checkpoint], moment: datetime) -> list[Checkpoint]:
    return [row for row in rows if row.created_at <= moment]


def _last(rows: Sequence[Checkpoint], limit: datetime) -> Checkpoint | None:
    """Return the newest that is no younger than the limit. One with a greater sequence than a later
    one is of a time that Redis has lost: the slot went back behind it."""
    dropped = superseded(rows)
    fit = (row for row in reversed(rows) if row.created_at <= limit and row.pk not in dropped)
    return next(fit, None)


def superseded(rows: Sequence[Checkpoint]) -> set[int]:
    """Return which of a slot's checkpoints, oldest first, it has gone back behind."""
    found: set[int] = set()
    least: int | None = None
    for row in reversed(rows):
        if least is not None and row.sequence > least:
            found.add(row.pk)
        least = row.sequence if least is None else min(least, row.sequence)
    return found


def _keeps_state(row: Checkpoint) -> bool:
    return any(not name.startswith(EFFECT) for name in row.states)


def _downstream(name: str, loops: Mapping[str, Loop]) -> set[str]:
    """Return the loops that get what a loop hands over, through any number of queues. One that is
    in a cycle is downstream of itself."""
    found: set[str] = set()
    rest: Collection[str] = [name]
    while rest:
        writes = {queue for loop in rest if loop in loops for queue in loops[loop].writes}
        rest = [loop.id for loop in loops.values() if loop.reads in writes and loop.id not in found]
        found.update(rest)
    return found
