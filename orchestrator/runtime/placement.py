"""Which host a loop runs in.

Loops share a host until one of them brings it down. A loop that is known to be the culprit, or
asks for the PROCESS pool, gets a host of its own. When a host dies and nobody knows by whom, a few
suspects get a host each; of many, each half gets one, until the culprit is alone.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection
from typing import Any

from nodes.contract import PoolType
from orchestrator.runtime.hosts import BLOCKED_AFTER, HostProcess

FEW = 8


class Placement:
    """The hosts of one runner.

    Args:
        on_message, on_death: see HostProcess.
        block_limit: seconds for which a loop may block a process of its own.
    """

    def __init__(
        self,
        on_message: Callable[[HostProcess, dict[str, Any]], None],
        on_death: Callable[[HostProcess], None],
        block_limit: float,
    ) -> None:
        self.hosts: set[HostProcess] = set()
        self._on_message = on_message
        self._on_death = on_death
        self._block_limit = block_limit
        self._shared: dict[int, HostProcess] = {}
        self._group: dict[str, int] = {}
        self._groups = itertools.count(1)

    async def host_for(self, key: str, pool: PoolType, *, isolated: bool) -> HostProcess:
        """Return a running host for a loop, and enter the loop's key there."""
        if isolated or pool is PoolType.PROCESS:
            host = await self._start(isolated=True)
        else:
            group = self._group.get(key, 0)
            found = self._shared.get(group)
            if found is None:
                found = self._shared[group] = await self._start(isolated=False)
            host = found
        host.keys.add(key)
        return host

    async def _start(self, *, isolated: bool) -> HostProcess:
        host = HostProcess(
            isolated=isolated,
            patience=self._block_limit if isolated else BLOCKED_AFTER,
            on_message=self._on_message,
            on_death=self._on_death,
        )
        await host.start()
        self.hosts.add(host)
        return host

    def hear(self) -> None:
        """Give every host time to give its next sign of life."""
        for host in self.hosts:
            host.hear()

    def remove(self, host: HostProcess) -> None:
        """Forget a host that has ended."""
        self.hosts.discard(host)
        for group, shared in list(self._shared.items()):
            if shared is host:
                del self._shared[group]

    async def loop_ended(self, host: HostProcess, key: str) -> None:
        """Take a loop off its host; a host of its own is ended with it."""
        host.keys.discard(key)
        if host.isolated and not host.keys and not host.leaving:
            await host.leave(grace=5)

    def suspects(self, keys: Collection[str], culprit: str) -> list[str]:
        """Return the loops that must be isolated after a host died with these loops."""
        if culprit or len(keys) <= FEW:
            return [culprit] if culprit else list(keys)
        groups = (next(self._groups), next(self._groups))
        for place, key in enumerate(keys):
            self._group[key] = groups[place % 2]
        return []

    async def leave(self, grace: float) -> None:
        """Let every host drain and end."""
        await asyncio.gather(*(host.leave(grace) for host in list(self.hosts)))
