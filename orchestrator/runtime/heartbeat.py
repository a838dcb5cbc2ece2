"""The heartbeat of a runner: one write renews all its leases.

It has a thread and a database connection of its own, so that nothing that takes long in the
runner's other work with the database holds a renewal up.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import connections

from orchestrator.runtime import clock, leases
from orchestrator.runtime.database import afresh
from orchestrator.runtime.leases import RunnerEntry

T = TypeVar("T")


class Heartbeat:
    """Args:
    ttl: seconds for which a beat keeps the leases. They are acted on for two thirds of it.
    """

    def __init__(self, runner: RunnerEntry, ttl: float) -> None:
        self.until = 0.0
        """The moment of `clock` until which the leases may be acted on."""
        self._runner = runner
        self._ttl = ttl
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="heartbeat")

    async def beat(self) -> set[tuple[int, int]] | None:
        """Renew the leases. Returns None, or what is still owned if it may be less than before:
        the (pk, token) of each slot."""
        asked_at = clock.now()
        await self._call(leases.heartbeat, self._runner, load(), self._ttl)
        late = clock.now() > self.until
        owned = await self._call(leases.owned, self._runner.id) if late else None
        self.until = asked_at + self._ttl * 2 / 3
        return owned

    async def drain(self) -> None:
        """Say that whatever is given back is for others."""
        await self._call(leases.drain, self._runner.id)

    async def leave(self) -> None:
        """Give up whatever is still owned."""
        await self._call(leases.leave, self._runner.id)
        await self._call(connections.close_all)

    async def _call(self, work: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, afresh, partial(work, *args))


def load() -> float:
    """Return the load of this machine: processes that want a processor, for each that there is."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
