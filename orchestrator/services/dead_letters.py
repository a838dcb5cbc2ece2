"""Items that failed for good: looked at, changed, replayed, discarded.

Each change of state is one conditional UPDATE, so that of two people only one does it.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from nodes.contract import Json
from orchestrator.exceptions import (
    Conflict,
    InvalidPayload,
    InvalidRequest,
    NotFound,
    Problem,
    StoreUnavailable,
    WorkflowInvalid,
)
from orchestrator.models import DeadLetter, Workflow
from orchestrator.runtime import replays
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services import status as statuses
from orchestrator.services.stores import with_store
from storage.codec import encode

Status = DeadLetter.Status
From = DeadLetter.ReplayFrom
PAYLOADS = ("item", "headers", "node_input", "node_headers", "trace", "attempts", "edited")
"""What a list leaves out."""
EDITABLE = ("item", "node_input")
_STATES = {
    Status.REPLAYING: "is being replayed already",
    Status.REPLAYED: "was replayed; if it failed again there is a new dead letter",
    Status.DISCARDED: "was discarded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which letters; None does not restrict. `search` looks into item ids and messages; `max_id`
    leaves out what came after somebody looked; `origin` is the letter that these are replays of."""

    workflow_id: str | None = None
    node_id: str | None = None
    loop: str | None = None
    reason: str | None = None
    error_type: str | None = None
    status: str | None = None
    activation: int | None = None
    version: int | None = None
    since: datetime | None = field(default=None, metadata={"lookup": "dead_at__gte"})
    until: datetime | None = field(default=None, metadata={"lookup": "dead_at__lte"})
    fingerprint: str | None = None
    max_id: int | None = field(default=None, metadata={"lookup": "pk__lte"})
    origin: int | None = field(default=None, metadata={"lookup": "origin_id"})
    search: str | None = None

    def rows(self) -> QuerySet[DeadLetter]:
        rows = DeadLetter.objects.all()
        for name, described in self.__dataclass_fields__.items():
            value = getattr(self, name)
            if value is None:
                continue
            if name == "search":
                rows = rows.filter(Q(item_id__icontains=value) | Q(message__icontains=value))
            else:
                rows = rows.filter(**{described.metadata.get("lookup", name): value})
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where letters of a workflow may go: the nodes of each loop of its active version."""

    version: int
    nodes: dict[str, set[str]]


def find_all(actor: Actor, wanted: DeadLetterFilter) -> QuerySet[DeadLetter]:
    """Return the matching dead letters, newest first, without their payloads."""
    authorize(actor, "dead_letter.read", wanted.workflow_id)
    return wanted.rows().defer(*PAYLOADS)


def get(actor: Actor, dead_letter_id: int) -> DeadLetter:
    """Return one dead letter with everything that is known of it.

    Raises:
        NotFound: there is none.
    """
    authorize(actor, "dead_letter.read")
    return _find(dead_letter_id)


def edit(actor: Actor, dead_letter_id: int, changes: dict[str, Json]) -> DeadLetter:
    """Change what a replay begins with, or the note. The original stays beside it.

    Args:
        changes: `item` and `node_input`, each an object or None for the original; `note`.

    Raises:
        NotFound: there is no such letter.
        Conflict: it is not dead any more.
        InvalidPayload: a value is not strict JSON, or too large for a queue.
    """
    authorize(actor, "dead_letter.edit")
    with transaction.atomic():
        letter = _find(dead_letter_id, lock=True)
        _refuse_unless_dead(letter)
        before = {"note": letter.note, "edited": letter.edited}
        letter.note = changes.get("note", letter.note)
        edits = {**(letter.edited or {}), **{k: changes[k] for k in EDITABLE if k in changes}}
        letter.edited = {k: v for k, v in edits.items() if v is not None} or None
        _check_edits(letter)
        letter.save(update_fields=["note", "edited"])
        after = {"note": letter.note, "edited": letter.edited}
        audit.record(actor, "dead_letter.edit", _name(letter), before=before, after=after)
    return letter


def replay(actor: Actor, dead_letter_id: int, origin: str = From.START) -> tuple[DeadLetter, str]:
    """Send a letter back into its loop's inbox, with the same item id.

    Without Redis it stays REPLAYING, and a runner sends it later. Of a workflow that is stopped it
    waits in the inbox; one that has completed goes on until it has completed again.

    Args:
        origin: `start` of the loop with the item, or `node`: the one that failed, with its input.

    Returns:
        The letter, and the status of its workflow.

    Raises:
        NotFound: there is no such letter.
        Conflict: it is not dead any more, or it has no place in the active version, or what it
            would begin with was not recorded.
    """
    authorize(actor, "dead_letter.replay")
    letter = _find(dead_letter_id)
    _refuse_unless_dead(letter)
    _refuse_without_place(letter, origin)
    try:
        replays.sealed(letter, origin)
    except InvalidPayload as error:
        raise Conflict(f"dead letter {letter.pk} cannot be replayed: {error.message}") from None
    with transaction.atomic():
        changed = DeadLetter.objects.filter(pk=letter.pk, status=Status.DEAD).update(
            status=Status.REPLAYING,
            replay_count=F("replay_count") + 1,
            replay_from=origin,
            replay_at=Now(),
            replayed_by_id=actor.id,
        )
        if changed:
            audit.record(actor, "dead_letter.replay", _name(letter), after={"from": origin})
    if not changed:
        _refuse_unless_dead(_find(dead_letter_id))
    _send(letter)
    letter.refresh_from_db()
    return letter, statuses.of_workflow(letter.workflow)["status"]


def discard(actor: Actor, dead_letter_id: int, note: str | None = None) -> DeadLetter:
    """Say that nothing is to be done about a letter. Its row stays.

    Raises:
        NotFound: there is no such letter.
        Conflict: it is not dead any more.
    """
    authorize(actor, "dead_letter.discard")
    letter = _find(dead_letter_id)
    changes = {} if note is None else {"note": note}
    with transaction.atomic():
        changed = DeadLetter.objects.filter(pk=letter.pk, status=Status.DEAD).update(
            status=Status.DISCARDED, discarded_at=Now(), discarded_by_id=actor.id, **changes
        )
        if changed:
            audit.record(actor, "dead_letter.discard", _name(letter), after=changes)
    letter.refresh_from_db()
    if not changed:
        _refuse_unless_dead(letter)
    return letter


def places(workflow: Workflow) -> Places:
    """Return where letters of a workflow may go.

    Raises:
        Conflict: it has no active version, or that cannot be loaded.
    """
    version = workflow.active_version
    if version is None:
        raise Conflict(f"{workflow.pk} has no active version: start it first")
    try:
        flow = flow_engine().load_saved(version.definition)
    except WorkflowInvalid as error:
        message = f"version {version.number} of {workflow.pk} cannot be loaded any more"
        raise Conflict(message, problems=error.problems) from None
    loops = flow.analyzer.loops()
    nodes = {loop.id: {node.id for node in loop.nodes} for loop in loops}
    return Places(version=version.number, nodes=nodes)


def _find(dead_letter_id: int, *, lock: bool = False) -> DeadLetter:
    rows = DeadLetter.objects.filter(pk=dead_letter_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound(f"there is no dead letter {dead_letter_id}")
    return found


def _name(letter: DeadLetter) -> str:
    return f"dead-letter:{letter.pk}"


def _refuse_unless_dead(letter: DeadLetter) -> None:
    if letter.status != Status.DEAD:
        raise Conflict(f"dead letter {letter.pk} {_STATES[Status(letter.status)]}")


def _refuse_without_place(letter: DeadLetter, origin: str) -> None:
    if origin not in From.values:
        raise InvalidRequest("`from` is start or node", problems=(Problem("from", "unknown"),))
    known = places(letter.workflow)
    if letter.loop not in known.nodes:
        raise Conflict(f"version {known.version} has no loop {letter.loop!r}")
    if origin == From.NODE and letter.node_id not in known.nodes[letter.loop]:
        message = f"version {known.version} has no node {letter.node_id!r} in loop {letter.loop!r}"
        raise Conflict(message)


def _check_edits(letter: DeadLetter) -> None:
    for name, value in (letter.edited or {}).items():
        try:
            encode(value)
        except InvalidPayload as error:
            problems = (Problem(name, error.message),)
            raise type(error)(error.message, problems=problems) from None


def _send(letter: DeadLetter) -> None:
    workflow, loop = letter.workflow_id, letter.loop
    try:
        with_store(lambda store: replays.send(store.queue, workflow, loop, letter.pk))
    except StoreUnavailable:
        return  # a runner sends it when it is back
