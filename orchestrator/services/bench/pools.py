"""The warm children of each event loop of this process."""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from orchestrator.conf import orchestrator_settings

if TYPE_CHECKING:
    from orchestrator.runtime.bench.pool import BenchPool

_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, "BenchPool"] = WeakKeyDictionary()


def bench_pool() -> "BenchPool":
    """Return the warm children of this event loop."""
    from orchestrator.runtime.bench.pool import BenchPool

    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = BenchPool(orchestrator_settings())
    return _pools[loop]


async def close_bench() -> None:
    """End the children of this event loop, if there are any."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.close()
