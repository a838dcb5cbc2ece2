"""What was tried on the bench before a workflow was saved for the first time."""

import logging
from collections.abc import Sequence

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import StoreUnavailable
from orchestrator.security.actors import Actor
from orchestrator.services.bench.cache import PARTS, BenchCache
from orchestrator.services.bench.request import session_of, unsaved_name
from orchestrator.services.stores import with_store
from storage.datastore import DataStore
from storage.records import Missing

log = logging.getLogger(__name__)
PATIENCE = 1.0
"""Seconds that storing a workflow may wait for this."""


def adopt(actor: Actor, workflow_id: str, raw: Json) -> None:
    """Give a workflow that has just been stored what its unsaved self has on the bench.

    It moves: another new workflow of this name begins with nothing. When the store is away, the
    outputs stay behind, and the workflow is stored nevertheless.
    """
    session, ttl = session_of(actor), orchestrator_settings().BENCH_TTL
    node_ids = [node["id"] for node in raw["nodes"]]

    async def move(store: DataStore) -> None:
        before = BenchCache(store.cache, unsaved_name(raw.get("name") or ""), session, ttl)
        after = BenchCache(store.cache, workflow_id, session, ttl)
        await _move(before, after, node_ids)

    try:
        with_store(move, PATIENCE)
    except StoreUnavailable as error:
        log.warning("the bench of %s stays with the unsaved workflow: %s", workflow_id, error)


async def _move(before: BenchCache, after: BenchCache, node_ids: Sequence[str]) -> None:
    kept = await before.read(node_ids)
    for node_id in {*kept.entries, *kept.given}:
        values = await before.store.get_many([before.key(node_id, part) for part in PARTS])
        there = {
            after.key(node_id, part): value
            for part, value in zip(PARTS, values, strict=True)
            if not isinstance(value, Missing)
        }
        await after.store.set_many(there, after.ttl)
        await before.forget(node_id)
