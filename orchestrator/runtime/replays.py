"""Dead letters on their way from the database into the inbox of their loop.

A letter that a person wants again is REPLAYING until it is in the inbox, and REPLAYED then. Every
step can be repeated: the store takes the entry of one replay once, whoever sends it how often.
"""

import logging
from dataclasses import dataclass
from functools import partial

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat, Now

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import InvalidPayload
from orchestrator.execution.envelope import seal
from orchestrator.models import DeadLetter, LoopSlot, Workflow
from storage.base import QueueStore
from storage.records import inbox

logger = logging.getLogger(__name__)
BATCH = 100
INBOX_ITEMS = 10_000
INBOX_BYTES = 256 * 1024 * 1024
"""From here on an inbox takes no replays; they wait in the database."""
_UNRECORDED = ({"unencodable", "text"}, {"raw"})
"""The fields of what stands in a record for an item that could not be recorded."""
_NO_LOOP = "its loop is not in the active version"
Status = DeadLetter.Status
From = DeadLetter.ReplayFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One sending of a letter. `count` tells it from the sendings before."""

    letter: int
    count: int
    body: bytes

    @property
    def op_id(self) -> str:
        return f"replay:{self.letter}:{self.count}"


def sealed(letter: DeadLetter, origin: str) -> bytes:
    """Return the envelope in which a letter enters its inbox.

    Raises:
        InvalidPayload: what it would begin with was not recorded, is no object, or no strict JSON.
        PayloadTooLarge: it is too large.
    """
    seal_item = partial(
        seal,
        activation=letter.activation,
        version=letter.version,
        born=(letter.born_at or letter.dead_at).timestamp(),
        origin=letter.pk,
    )
    if origin == From.START:
        return seal_item(NodeOutput(letter.item_id, _data(letter, "item"), letter.headers))
    data = _data(letter, "node_input")
    begun = (letter.edited or {}).get("item", letter.item)
    start = NodeOutput(letter.item_id, begun if isinstance(begun, dict) else {}, letter.headers)
    entering = NodeOutput(letter.item_id, data, letter.node_headers)
    return seal_item(entering, entry_node=letter.node_id, start=start)


def _data(letter: DeadLetter, name: str) -> dict[str, Json]:
    edited = letter.edited or {}
    data = edited.get(name, getattr(letter, name))
    if not isinstance(data, dict):
        raise InvalidPayload(f"its {name} is no object: edit it first")
    if name not in edited and set(data) in _UNRECORDED:
        raise InvalidPayload(f"its {name} could not be recorded: edit it first")
    return data


async def pump(queue: QueueStore) -> int:
    """Send every letter that is due, and return how many were sent.

    Any number of runners may do it at the same time, and each may die at any point of it.

    Raises:
        StoreUnavailable: the server is away; what was not sent stays REPLAYING.
    """
    sent = 0
    for workflow, loop in await sync_to_async(_waiting)():
        while count := await send(queue, workflow, loop):
            sent += count
            if count < BATCH:
                break
    return sent


async def send(queue: QueueStore, workflow: str, loop: str, letter: int | None = None) -> int:
    """Send the letters of one loop that are due, or one of them; at most a batch.

    A loop cannot complete with something in its inbox; one that had completed before is reopened
    behind it, with all others: what it hands on must find its readers at work.

    Raises:
        StoreUnavailable: the server is away.
    """
    slots, _ = await sync_to_async(_slots)(workflow, loop)
    if not slots:
        await sync_to_async(_give_back)(_due(workflow, loop), _NO_LOOP)
        return 0
    room = await _room(queue, workflow, loop)
    batch = await sync_to_async(_batch)(workflow, loop, room, letter)
    for replay in batch:
        await queue.put(workflow, inbox(loop), replay.body, op_id=replay.op_id)
    reopened = bool(batch) and await _has_completed(queue, workflow, loop)
    if reopened:
        await queue.reopen(workflow)
    await sync_to_async(_conclude)(workflow, batch, reopened=reopened)
    return len(batch)


async def _has_completed(queue: QueueStore, workflow: str, loop: str) -> bool:
    """Tell whether a slot of the loop has completed, by its mark or by its row: a sending that was
    cut off may have withdrawn the mark already."""
    marks = await queue.completed(workflow)
    slots, activation = await sync_to_async(_slots)(workflow, loop)
    done = LoopSlot.State.COMPLETED
    return any(marks.get(name) == activation or state == done for name, state in slots.items())


async def _room(queue: QueueStore, workflow: str, loop: str) -> int:
    name = inbox(loop)
    stats = (await queue.stats(workflow, [name]))[name]
    if stats.bytes >= INBOX_BYTES:
        return 0
    return max(0, min(BATCH, INBOX_ITEMS - stats.length))


def _waiting() -> list[tuple[str, str]]:
    """Return the (workflow, loop) that letters are due for."""
    due = DeadLetter.objects.filter(status=Status.REPLAYING, replay_at__lte=Now())
    return list(due.order_by().values_list("workflow_id", "loop").distinct())


def _due(workflow: str, loop: str) -> QuerySet[DeadLetter]:
    rows = DeadLetter.objects.filter(status=Status.REPLAYING, replay_at__lte=Now())
    return rows.filter(workflow_id=workflow, loop=loop)


def _slots(workflow: str, loop: str) -> tuple[dict[str, str], int]:
    """Return the states of a loop's slots (`loop/slot`) in the present activation, and that."""
    activation = Workflow.objects.filter(pk=workflow).values_list("activation", flat=True).first()
    rows = LoopSlot.objects.filter(workflow_id=workflow, loop=loop, activation=activation or -1)
    return {f"{row.loop}/{row.slot}": row.state for row in rows}, activation or 0


def _batch(workflow: str, loop: str, room: int, letter: int | None) -> list[Replay]:
    """Return the oldest that are due; those that cannot be sent are dead letters again."""
    rows = _due(workflow, loop).order_by("replay_at", "pk")
    found = []
    for row in rows.filter(pk=letter)[:1] if letter is not None and room else rows[:room]:
        try:
            body = sealed(row, row.replay_from)
        except InvalidPayload as error:
            _give_back(DeadLetter.objects.filter(pk=row.pk), error.message)
        else:
            found.append(Replay(letter=row.pk, count=row.replay_count, body=body))
    return found


def _give_back(rows: QuerySet[DeadLetter], why: str) -> None:
    """Make dead letters again of what cannot be sent, and say why."""
    logger.warning("dead letters cannot be replayed: %s", why)
    rows.filter(status=Status.REPLAYING).update(
        status=Status.DEAD,
        replay_at=None,
        note=Concat(F("note"), Value(f"\nNot replayed: {why}")),
    )


def _conclude(workflow: str, batch: list[Replay], *, reopened: bool) -> None:
    """Note that a batch is in its inbox, and want completed loops again."""
    with transaction.atomic():
        if reopened:
            reopen(workflow)
        for count in {replay.count for replay in batch}:
            sent = [replay.letter for replay in batch if replay.count == count]
            rows = DeadLetter.objects.filter(pk__in=sent, replay_count=count)
            rows.filter(status=Status.REPLAYING).update(
                status=Status.REPLAYED, replay_at=Now(), replayed_at=Now()
            )


def reopen(workflow: str) -> None:
    """Want the completed slots of the present activation again."""
    LoopSlot.objects.filter(
        workflow_id=workflow,
        activation=F("workflow__activation"),
        state=LoopSlot.State.COMPLETED,
    ).update(state=LoopSlot.State.PENDING, reason="", changed_at=Now())
