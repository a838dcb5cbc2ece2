"""What a node emitted on the bench becomes real: it goes into production's queues."""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from channels.db import database_sync_to_async

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import Conflict, NotFound
from orchestrator.execution.envelope import seal
from orchestrator.security.actors import authorize
from orchestrator.services import queues
from orchestrator.services.bench.request import Bench
from orchestrator.services.workflows import find, find_version


async def put_into_queues(bench: Bench, node_id: str, emitted: Sequence[dict[str, Json]]) -> None:
    """Put what a node emitted where a production loop will read it: all of it or nothing.

    Raises:
        Conflict: the workflow is not stored, or has no such queue, or it is full.
        PayloadTooLarge: an item is too large for a queue.
    """
    if not emitted:
        return
    if bench.workflow_id is None:
        raise Conflict("a workflow that is not stored has no queues: save it before you write")
    run = f"bench:{node_id}:{uuid.uuid4().hex}"
    bodies = await database_sync_to_async(_checked, thread_sensitive=False)(bench, run, emitted)
    for place, (queue, body) in enumerate(bodies):
        await bench.store.queue.put(bench.workflow_id, queue, body, op_id=f"{run}:{place}")


def _checked(bench: Bench, run: str, emitted: Sequence[dict[str, Json]]) -> list[tuple[str, bytes]]:
    """Return the envelopes, after a look at every queue they are for."""
    authorize(bench.actor, "bench.write_out", bench.workflow_id)
    workflow = find(str(bench.workflow_id))
    version = workflow.active_version or find_version(workflow)
    bodies = [
        (
            item["queue"],
            seal(
                NodeOutput(f"{run}:{place}", item["data"]),
                activation=workflow.activation,
                version=version.number,
                born=time.time(),
            ),
        )
        for place, item in enumerate(emitted)
    ]
    sizes: Counter[str] = Counter()
    for queue, body in bodies:
        sizes[queue] += len(body)
    counts = Counter(queue for queue, _ in bodies)
    for queue, size in sizes.items():
        _require_room(_look(bench, queue), counts[queue], size)
    return bodies


def _look(bench: Bench, queue: str) -> dict[str, Any]:
    try:
        return queues.get(bench.actor, str(bench.workflow_id), queue)
    except NotFound as error:
        raise Conflict(f"nothing was written: {error}") from None


def _require_room(queue: dict[str, Any], count: int, size: int) -> None:
    for held, more, limit, what in (
        (queue["depth"], count, queue["max_length"], "entries"),
        (queue["bytes"], size, queue["max_bytes"], "bytes"),
    ):
        if limit and held + more > limit:
            raise Conflict(
                f"nothing was written: the queue {queue['name']} is full, "
                f"with {held} of {limit} {what}"
            )
