"""Ending what runs on the bench, from whichever web process.

Whoever cancels leaves a key; whoever runs removes it, and ends its child. Nothing is looked at
before a run has taken a moment: most are over by then.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from orchestrator.exceptions import Cancelled, Conflict
from orchestrator.security.actors import Actor, authorize
from orchestrator.services.bench.cache import BenchCache
from orchestrator.services.bench.request import session_of
from orchestrator.services.stores import shared_store

T = TypeVar("T")
LOOK_EVERY = 0.1
PATIENCE = 2.0
_FORGOTTEN = 5.0


async def cancellable(cache: BenchCache, node_id: str, work: Coroutine[Any, Any, T]) -> T:
    """Do the work until somebody cancels it; it is ended, too, when the caller is cancelled.

    Raises:
        Cancelled: somebody did.
    """
    key = cache.key(node_id, "cancel")
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_EVERY))[0]:
            if await cache.store.delete(key):
                raise Cancelled(f"node {node_id} was cancelled")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def cancel(actor: Actor, workflow_id: str, node_id: str, session: str | None = None) -> None:
    """Cancel a node that runs in a session.

    Args:
        workflow_id: or the name that answers give an unsaved workflow.

    Raises:
        Conflict: it does not run.
    """
    authorize(actor, "bench.execute", workflow_id)
    store = shared_store().cache
    session = session or session_of(actor)
    key = BenchCache(store, workflow_id, session, _FORGOTTEN).key(node_id, "cancel")
    await store.set(key, b"1", _FORGOTTEN)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        await asyncio.sleep(LOOK_EVERY / 2)
        if not await store.get(key):
            return
    if await store.delete(key):
        raise Conflict(f"node {node_id} does not run in the session {session}")
