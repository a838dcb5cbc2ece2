"""Taps: what nodes got and gave in production a moment ago."""

from functools import lru_cache
from typing import Any

from orchestrator.exceptions import NotFound
from orchestrator.models import WorkflowVersion
from orchestrator.runtime import taps
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services.stores import with_store
from orchestrator.services.workflows import find, find_version
from storage.datastore import DataStore


def samples(actor: Actor, workflow_id: str, node_id: str) -> list[dict[str, Any]]:
    """Return the samples of a node in every slot that runs it, as the active or else the newest
    version has them; newest first.

    Raises:
        NotFound: there is no such workflow or node.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "tap.read", workflow_id)
    slots = _slots_of(workflow_id, node_id)

    async def read(store: DataStore) -> list[dict[str, Any]]:
        return await taps.read(store.cache, workflow_id, slots, node_id)

    return with_store(read)


def sample(actor: Actor, workflow_id: str, sample_id: str) -> dict[str, Any]:
    """Return one sample.

    Raises:
        NotFound: there is no such workflow or sample, or newer ones have taken its place.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "tap.read", workflow_id)
    find(workflow_id)
    node_id = taps.node_of(sample_id)
    found = samples(actor, workflow_id, node_id) if node_id is not None else []
    for one in found:
        if one["id"] == sample_id:
            return one
    raise NotFound(
        f"{workflow_id} has no sample {sample_id}: only the last few of each node are kept, "
        "and none for more than a day"
    )


def _slots_of(workflow_id: str, node_id: str) -> tuple[str, ...]:
    workflow = find(workflow_id)
    version = workflow.active_version or find_version(workflow)
    slots = _slots(version.digest, version.pk)
    if node_id not in slots:
        raise NotFound(f"{workflow_id} has no node {node_id}")
    return slots[node_id]


@lru_cache(maxsize=1000)
def _slots(digest: str, version: int) -> dict[str, tuple[str, ...]]:
    """Return by node the slots that run it, in a version; what they depend on is in its digest.

    Raises:
        WorkflowInvalid: the version cannot be used any more.
    """
    definition = WorkflowVersion.objects.values_list("definition", flat=True).get(pk=version)
    analyzer = flow_engine().load_saved(definition).analyzer
    slots: dict[str, list[str]] = {node_id: [] for node_id in analyzer.graph.nodes}
    for loop in analyzer.loops():
        for node in loop.nodes:
            slots[node.id] += [f"{loop.id}/{number}" for number in range(loop.replicas)]
    return {node_id: tuple(found) for node_id, found in slots.items()}
