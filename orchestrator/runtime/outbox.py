"""Dead letters on their way from the store's outbox into the database."""

import logging
from collections.abc import Collection, Iterable

from asgiref.sync import sync_to_async
from django.db import DataError, IntegrityError, transaction

from orchestrator.models import DeadLetter, Workflow, WorkflowVersion
from orchestrator.runtime import dead_records
from orchestrator.runtime.dead_records import Record
from storage.base import QueueStore
from storage.records import Entry

logger = logging.getLogger(__name__)
BATCH = 200
_REFUSED = (DataError, IntegrityError, ValueError, OverflowError)
"""What a database says of a value that it cannot hold."""


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
                about = {"workflow": workflow}
                logger.warning("dead letters of %s wait: %s", workflow, error, extra=about)
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
    records = [dead_records.read(entry) for entry in entries]
    types = {n: _node_types(workflow, n) for n in {record.version for record in records}}
    origins = _origins(workflow, records)
    rows = [
        dead_records.row(workflow, entry, record, types=types[record.version], origins=origins)
        for entry, record in zip(entries, records, strict=True)
    ]
    _insert(rows)
    for row, entry in _absent(workflow, rows, entries):
        _keep_alone(row, entry)


def _keep_alone(row: DeadLetter, entry: Entry) -> None:
    """Keep one row: what is wrong with it must not keep the others waiting."""
    refusal = _insert([row])
    if _absent(row.workflow_id, [row], [entry]):
        logger.warning("dead letter %s of %s: %s", entry.id, row.workflow_id, refusal)
        bare = dead_records.bare(row.workflow_id, entry, refusal)
        with transaction.atomic():
            bare.save(force_insert=True)


def _insert(rows: list[DeadLetter]) -> Exception | None:
    """Insert what is not there yet; return why the database has refused them, if it says so."""
    try:
        with transaction.atomic():
            DeadLetter.objects.bulk_create(rows, ignore_conflicts=True)
    except _REFUSED as error:
        return error
    return None


def _absent(
    workflow: str, rows: list[DeadLetter], entries: list[Entry]
) -> list[tuple[DeadLetter, Entry]]:
    """Return what was not kept: SQLite ignores more than rows that are there already."""
    ids = [entry.id for entry in entries]
    kept = DeadLetter.objects.filter(workflow_id=workflow, entry_id__in=ids)
    found = set(kept.values_list("entry_id", flat=True))
    return [(row, entry) for row, entry in zip(rows, entries, strict=True) if entry.id not in found]


def _origins(workflow: str, records: Iterable[Record]) -> set[int]:
    """Return which of the letters that were replayed are still there."""
    named = {record.origin for record in records} - {0}
    rows = DeadLetter.objects.filter(workflow_id=workflow, pk__in=named)
    return set(rows.values_list("pk", flat=True)) if named else set()


def _node_types(workflow: str, version: int) -> dict[str, str]:
    found = WorkflowVersion.objects.filter(workflow_id=workflow, number=version).first()
    if found is None:
        return {}
    return {node["id"]: node["type"] for node in found.definition["nodes"]}
