"""Queues and inboxes for people: how full they are, what is in them, and emptying them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from orchestrator.exceptions import InvalidRequest, NotFound, WorkflowInvalid
from orchestrator.flow.queues import PlannedQueue, plan_queues
from orchestrator.models import Workflow, WorkflowVersion
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit, queue_views
from orchestrator.services.stores import with_store
from orchestrator.services.workflows import find
from storage.datastore import DataStore
from storage.records import Entry, QueueStats

logger = logging.getLogger(__name__)
PURGE_PATIENCE = 60.0
_AT_ONCE = 16
"""Workflows that are asked for at once; each takes a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """What to list; None does not restrict."""

    workflow_id: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueList:
    """Part of a list: the queues, how many there are in all, and the workflows that could not be
    read (id and reason)."""

    results: list[dict[str, Any]]
    count: int
    broken: list[dict[str, str]]


def find_all(actor: Actor, wanted: QueueFilter, *, offset: int = 0, limit: int = 50) -> QueueList:
    """Return the queues and inboxes of every workflow, as its active or else newest version has
    them, in the order of the workflows' ids.

    Raises:
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "queue.read", wanted.workflow_id)
    workflows = _with_version()
    if wanted.workflow_id is not None:
        workflows = workflows.filter(pk=wanted.workflow_id)
    places, broken = [], []
    for workflow, version, digest in workflows:
        try:
            plans = _plans(digest, version)
        except WorkflowInvalid as error:
            broken.append({"workflow_id": workflow, "message": error.message})
        else:
            places += [
                (workflow, plan) for plan in plans if wanted.kind in (None, queue_views.kind(plan))
            ]
    part = places[offset : offset + limit]
    return QueueList(results=_described(part), count=len(places), broken=broken)


def get(actor: Actor, workflow_id: str, queue: str) -> dict[str, Any]:
    """Return one queue or inbox.

    Raises:
        NotFound: there is no such workflow or queue.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "queue.read", workflow_id)
    return _described([(workflow_id, _find(workflow_id, queue))])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What a queue of a workflow holds. delayed: of an inbox, what its loop has put off."""

    workflow: str
    plan: PlannedQueue
    stats: QueueStats
    delayed: int | None


def planned(actor: Actor) -> dict[str, tuple[PlannedQueue, ...]]:
    """Return the queues and inboxes of each workflow that was ever started and can be read."""
    authorize(actor, "queue.read")
    found = {}
    for workflow, version, digest in _with_version().filter(activation__gt=0):
        with suppress(WorkflowInvalid):
            found[workflow] = _plans(digest, version)
    return found


async def depths(store: DataStore, plans: Mapping[str, Sequence[PlannedQueue]]) -> list[Depth]:
    """Return what each of these queues holds.

    Raises:
        StoreUnavailable: Redis is away.
    """
    held = await _read(store, plans)
    return [
        Depth(
            workflow=workflow,
            plan=plan,
            stats=held[workflow].stats[plan.name],
            delayed=held[workflow].delayed.get(plan.inbox_of or ""),
        )
        for workflow, wanted in plans.items()
        for plan in wanted
    ]


def items(actor: Actor, workflow_id: str, queue: str, count: int) -> list[dict[str, Any]]:
    """Return the oldest entries of a queue, which stay where they are.

    Raises:
        NotFound: there is no such workflow or queue.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "queue.read", workflow_id)
    _find(workflow_id, queue)

    async def peek(store: DataStore) -> list[Entry]:
        return await store.queue.peek(workflow_id, queue, count)

    return queue_views.items(with_store(peek))


def purge(actor: Actor, workflow_id: str, queue: str, *, confirm: str) -> int:
    """Remove what nobody has in hand, and return how many entries that were.

    Args:
        confirm: the name of the queue once more.

    Raises:
        NotFound: there is no such workflow or queue.
        InvalidRequest: `confirm` is another name; nothing was removed.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "queue.purge", workflow_id)
    _find(workflow_id, queue)
    if confirm != queue:
        raise InvalidRequest(f"to purge it, send the name of the queue, {queue}, as `confirm`")
    removed = with_store(lambda store: store.queue.purge(workflow_id, queue), PURGE_PATIENCE)
    logger.warning(
        "audit: %s (id %s) purged the queue %s of %s: %d entries removed",
        actor.name, actor.id, queue, workflow_id, removed,
    )  # fmt: skip
    what = f"queue:{workflow_id}/{queue}"
    audit.record(actor, "queue.purge", what, after={"removed": removed})
    return removed


def _with_version() -> QuerySet[Workflow, tuple[str, int, str]]:
    """Return (id, version's primary key, its digest) of each workflow."""
    versions = WorkflowVersion.objects.filter(workflow=OuterRef("pk")).order_by("-number")
    used = Coalesce(
        "active_version_id", Subquery(versions.values("pk")[:1]), output_field=BigIntegerField()
    )
    code = Subquery(WorkflowVersion.objects.filter(pk=OuterRef("used")).values("digest")[:1])
    return (
        Workflow.objects.annotate(used=used, code=code)
        .exclude(used=None)
        .order_by("pk")
        .values_list("pk", "used", "code")
    )


@lru_cache(maxsize=1000)
def _plans(digest: str, version: int) -> tuple[PlannedQueue, ...]:
    """Return the queues of a version; what they depend on is in its digest.

    Raises:
        WorkflowInvalid: the version cannot be used any more.
    """
    definition = WorkflowVersion.objects.values_list("definition", flat=True).get(pk=version)
    return tuple(plan_queues(flow_engine().load_saved(definition).analyzer.loops()))


def _find(workflow_id: str, queue: str) -> PlannedQueue:
    find(workflow_id)
    for _, version, digest in _with_version().filter(pk=workflow_id):
        for plan in _plans(digest, version):
            if plan.name == queue:
                return plan
    raise NotFound(f"{workflow_id} has no queue {queue}")


def _described(places: Sequence[tuple[str, PlannedQueue]]) -> list[dict[str, Any]]:
    by_workflow: dict[str, list[PlannedQueue]] = {}
    for workflow, plan in places:
        by_workflow.setdefault(workflow, []).append(plan)
    held = with_store(lambda store: _read(store, by_workflow, live=True)) if places else {}
    return [queue_views.row(workflow, plan, held[workflow]) for workflow, plan in places]


async def _read(
    store: DataStore, plans: Mapping[str, Sequence[PlannedQueue]], *, live: bool = False
) -> dict[str, queue_views.Contents]:
    """Return what queues hold. live: and what the feed has of their workflows."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(workflow: str) -> queue_views.Contents:
        wanted = plans[workflow]
        async with gate:
            stats = await store.queue.stats(workflow, [plan.name for plan in wanted])
            latest = await store.feed.latest(workflow) if live else {}
            loops = [plan.inbox_of for plan in wanted if plan.inbox_of is not None]
            delayed = await store.queue.delayed(workflow, loops)
        return queue_views.Contents(stats=stats, delayed=delayed, latest=latest)

    found = await asyncio.gather(*map(one, plans))
    return dict(zip(plans, found, strict=True))
