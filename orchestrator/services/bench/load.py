"""What production has seen, put on the bench: dead letters, tap samples, entries of queues."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.exceptions import Conflict, InvalidPayload, InvalidRequest, NotFound, Problem
from orchestrator.execution.envelope import unseal
from orchestrator.models import DeadLetter
from orchestrator.runtime import replays
from orchestrator.security.actors import authorize
from orchestrator.services import dead_letters, taps
from orchestrator.services.bench import views
from orchestrator.services.bench.cache import Origin
from orchestrator.services.bench.request import Bench
from orchestrator.services.stores import with_store

PEEK = 100
"""Entries of a queue among which one is looked for: as many as are shown."""
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Production's data, and what it becomes: the `kind` (input or output) of a node."""

    node_id: str
    kind: str
    data: dict[str, Json]
    origin: str
    of: Mapping[str, Json]
    port: str = DEFAULT_PORT


def find(
    bench: Bench, source: Mapping[str, Any], kind: str | None = None, node_id: str | None = None
) -> Found:
    """Return what is to be put on the bench.

    Args:
        source: `{"dead_letter": 12}`, `{"tap": id}`, or `{"queue": name, "entry": id}`.
        kind: `input` or `output`; None for what the source mostly is.
        node_id: another node than the one it comes from.

    Raises:
        NotFound: there is no such letter, sample or entry.
        Conflict: what it holds cannot be used, or no node would get it.
        InvalidRequest: it cannot become that.
    """
    if bench.workflow_id is None:
        raise InvalidRequest("name the stored workflow that the data comes from")
    if "dead_letter" in source:
        return _letter(bench, source["dead_letter"], kind, node_id)
    if "tap" in source:
        return _sample(bench, source["tap"], kind or INPUT, node_id)
    return _entry(bench, source["queue"], source["entry"], kind, node_id)


async def put(bench: Bench, found: Found) -> dict[str, Any]:
    """Put it on the bench, and return what is remembered of its node then.

    Raises:
        NotFound: the workflow has no such node any more.
        Conflict: the node has no such port any more.
        PayloadTooLarge: it is too large for the bench.
    """
    if found.kind == INPUT:
        return await views.give(bench, found.node_id, found.data, found.origin, found.of)
    return await views.pin(bench, found.node_id, found.data, found.port, found.origin)


def _letter(bench: Bench, number: int, kind: str | None, node_id: str | None) -> Found:
    """Return what a replay at the failed node would give it, edits included."""
    if kind == OUTPUT:
        raise _wrong("a dead letter has no output")
    letter = dead_letters.get(bench.actor, number)
    if letter.workflow_id != bench.workflow_id:
        raise NotFound(f"{bench.workflow_id} has no dead letter {number}")
    try:
        data = unseal(replays.sealed(letter, DeadLetter.ReplayFrom.NODE)).item.data
    except InvalidPayload as error:
        raise Conflict(f"dead letter {number} cannot be loaded: {error.message}") from None
    return Found(
        node_id=node_id or letter.node_id,
        kind=INPUT,
        data=data,
        origin=Origin.DEAD_LETTER,
        of={"dead_letter": number},
    )


def _sample(bench: Bench, sample_id: str, kind: str, node_id: str | None) -> Found:
    sample = taps.sample(bench.actor, str(bench.workflow_id), sample_id)
    data = sample[kind]
    if sample["truncated"]:
        raise Conflict(f"the sample {sample_id} is not whole: it was too large to be kept")
    if not isinstance(data, dict):
        raise Conflict(f"the sample {sample_id} has no {kind}")
    return Found(
        node_id=node_id or sample["node_id"],
        kind=kind,
        data=data,
        origin=Origin.TAP,
        of={"tap": sample_id, "redacted": sample["redacted"]},
        port=sample["port"] or DEFAULT_PORT,
    )


def _entry(bench: Bench, queue: str, entry_id: str, kind: str | None, node_id: str | None) -> Found:
    authorize(bench.actor, "queue.read", bench.workflow_id)
    readers = [n for n in bench.flow.node_ids if bench.flow.reads(n) == queue]
    if node_id is None and len(readers) != 1:
        raise Conflict(f"{len(readers)} nodes read the queue {queue}: name the node")
    entries = with_store(lambda store: store.queue.peek(str(bench.workflow_id), queue, PEEK))
    for entry in entries:
        if entry.id == entry_id:
            try:
                data = unseal(entry.body).item.data
            except InvalidPayload as error:
                raise Conflict(f"the entry {entry_id} cannot be read: {error.message}") from None
            return Found(
                node_id=node_id or readers[0],
                kind=kind or OUTPUT,
                data=data,
                origin=Origin.QUEUE,
                of={"queue": queue, "entry": entry_id},
            )
    raise NotFound(f"{entry_id} is not among the oldest {PEEK} entries of the queue {queue}")


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=(Problem("as", message),))
