"""Dead letters on their way from the store's outbox into the database."""

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError

from orchestrator.exceptions import InvalidPayload
from orchestrator.models import DeadLetter, Workflow, WorkflowVersion
from storage.base import Entry, QueueStore
from storage.codec import decode

logger = logging.getLogger(__name__)
BATCH = 200


class Outboxes:
    """The outboxes that a runner looks after: those of what it runs, and what others left."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._workflows: set[str] = set()

    def add(self, workflow: str) -> None:
        self._workflows.add(workflow)

    async def find(self) -> None:
        """Look after what runners before this one left."""
        self._workflows |= set(await sync_to_async(_activated)())

    async def drain(self, running: Collection[str]) -> None:
        """Empty every outbox, and look no more after those of what does not run."""
        for workflow in list(self._workflows):
            try:
                while await drain(self._store, workflow) == BATCH:
                    pass
            except IntegrityError as error:  # one workflow's must not keep the others' waiting
                logger.warning("dead letters of %s wait: %s", workflow, error)
            if workflow not in running:
                self._workflows.discard(workflow)


async def drain(store: QueueStore, workflow: str) -> int:
    """Keep the oldest dead letters of a workflow, then remove them from the outbox.

    Doing it twice keeps one row each. Returns how many there were.

    Raises:
        StoreUnavailable: the server is away.
    """
    entries = await store.dead(workflow, BATCH)
    if entries:
        await sync_to_async(_keep)(workflow, entries)
        await store.forget_dead(workflow, [entry.id for entry in entries])
    return len(entries)


def _activated() -> list[str]:
    """Return the ids of the workflows that ran at some time."""
    return list(Workflow.objects.filter(activation__gt=0).values_list("pk", flat=True))


def _keep(workflow: str, entries: list[Entry]) -> None:
    if not Workflow.objects.filter(pk=workflow).exists():
        return  # it was deleted: nobody will ask for them
    types: dict[int, dict[str, str]] = {}
    rows = [_row(workflow, entry, types) for entry in entries]
    DeadLetter.objects.bulk_create(rows, ignore_conflicts=True)


def _row(workflow: str, entry: Entry, types: dict[int, dict[str, str]]) -> DeadLetter:
    record = _read(entry)
    version = int(record.get("version", 0))
    if version not in types:
        types[version] = _node_types(workflow, version)
    node_id = str(record.get("node_id", ""))
    return DeadLetter(
        workflow_id=workflow,
        entry_id=entry.id,
        version=version,
        activation=int(record.get("activation", 0)),
        loop=str(record.get("loop", "")),
        node_id=node_id,
        node_type=types[version].get(node_id, ""),
        item_id=str(record.get("item_id", ""))[:500],
        reason=str(record.get("reason", "invalid_payload")),
        error_type=str(record.get("error_type", ""))[:200],
        message=str(record.get("message", "")),
        trace=str(record.get("trace", "")),
        item=record.get("item"),
        node_input=record.get("node_input"),
        deliveries=int(record.get("deliveries", 1)),
        dead_at=datetime.fromtimestamp(float(record.get("dead_at", 0)), UTC),
    )


def _read(entry: Entry) -> dict[str, Any]:
    try:
        record = decode(entry.body)
    except InvalidPayload as error:
        return {"message": f"the record cannot be read: {error.message}"}
    return record if isinstance(record, dict) else {"message": "the record is no object"}


def _node_types(workflow: str, version: int) -> dict[str, str]:
    found = WorkflowVersion.objects.filter(workflow_id=workflow, number=version).first()
    if found is None:
        return {}
    return {node["id"]: node["type"] for node in found.definition["nodes"]}
