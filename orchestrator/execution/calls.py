"""Calls of other workflows: an item for one of their queues, and what they answer."""

import asyncio
import time
from typing import TYPE_CHECKING

from nodes.contract import REPLY, Json, NodeOutput
from orchestrator.exceptions import NodeFailed, StoreUnavailable
from orchestrator.execution.envelope import seal, unseal
from storage.base import QueueStore
from storage.records import Missing, Offer, Room

if TYPE_CHECKING:
    from orchestrator.execution.context import ExecutionContext

_WAIT = 0.5


async def call(
    store: QueueStore,
    walk: "ExecutionContext",
    workflow: str,
    queue: str,
    item: NodeOutput,
    *,
    key: str,
    max_length: int,
    wait: float | None,
) -> dict[str, Json] | None:
    """Do what `CallsContext.call` says. `key` stands for the item at the node that calls.

    While the queue is full or Redis is away it is tried again: the loop waits with it.
    """
    scope = walk.scope
    if workflow == scope.workflow:
        message = "a workflow does not call itself: a queue-writer leads to its own queues"
        raise NodeFailed(message, error_type="CallsItself")
    item = NodeOutput(f"{scope.workflow}:{item.id}", item.data, item.metadata)
    body = seal(item, activation=0, version=0, born=walk.born or time.time())
    room = Room(items=max_length)
    while True:
        try:
            taken = await store.offer(workflow, queue, body, room, op_id=f"call:{key}", mark=key)
        except StoreUnavailable:
            taken = Offer.FULL
        if taken is not Offer.FULL:
            break
        await asyncio.sleep(_WAIT)
    if wait is None:
        return None
    found = await store.answer(workflow, item.metadata[REPLY], wait)
    if isinstance(found, Missing):
        raise NodeFailed(
            f"the workflow {workflow} has not answered within {wait:g} s; it has the item, and will"
            " work on it all the same",
            error_type="NoAnswer",
        )
    return unseal(found).item.data
