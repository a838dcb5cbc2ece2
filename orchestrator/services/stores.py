"""The DataStore of this process: one per event loop, and a bridge for synchronous callers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import StoreUnavailable
from storage.datastore import DataStore, open_store

T = TypeVar("T")
PATIENCE = 5.0
_stores: WeakKeyDictionary[asyncio.AbstractEventLoop, DataStore] = WeakKeyDictionary()


def shared_store() -> DataStore:
    """Return the store of the running event loop; it stays open until `close_shared_store`."""
    loop = asyncio.get_running_loop()
    if loop not in _stores:
        _stores[loop] = open_store(orchestrator_settings().REDIS_URL)
    return _stores[loop]


async def close_shared_store() -> None:
    """Close the store of the running event loop, if there is one."""
    store = _stores.pop(asyncio.get_running_loop(), None)
    if store is not None:
        await store.close()


def with_store(work: Callable[[DataStore], Awaitable[T]], patience: float = PATIENCE) -> T:
    """Run async work on a store from synchronous code and return its result.

    Raises:
        StoreUnavailable: the server is away or takes longer than `patience` seconds.
    """

    async def bounded() -> T:
        try:
            return await asyncio.wait_for(work(shared_store()), patience)
        except TimeoutError:
            raise StoreUnavailable("Redis does not answer") from None

    return run_async(bounded)


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Run async work that uses the shared store from synchronous code.

    Under the web server it runs in the server's event loop, whose store stays open. A management
    command has no loop: it gets one for the moment, and the store is closed with it.
    """

    async def bridge() -> T:
        passing = asyncio.get_running_loop() not in _stores
        try:
            return await work()
        finally:
            if passing:
                await close_shared_store()

    return async_to_sync(bridge)()
