"""The Coordinator on a Redis-protocol server: one hash for each group, and a list that wakes."""

import math
import time

from orchestrator.exceptions import NotFound
from storage.coordinator import Coordinator
from storage.redis_client import Client, translated
from storage.redis_scripts import Connections, Script, script_text

_LONGEST_WAIT = 2.0
"""Seconds; less than the client waits for an answer. What wakes is a push, not the end of this."""


class RedisCoordinator(Coordinator):
    def __init__(self, client: Client) -> None:
        self._client = client
        connections = Connections(client)

        def script(name: str, flags: str = "") -> Script:
            return Script(connections, script_text(flags, name))

        self._open = script("open")
        self._arrive = script("arrive")
        self._gather = script("gather", " flags=no-writes")

    @translated
    async def open(self, group_id: str, batches: int, ttl: float) -> None:
        await self._open([_key(group_id)], [batches, max(1, math.ceil(ttl * 1000))])

    @translated
    async def arrive(self, group_id: str, batch: int, results: bytes) -> bool:
        return bool(await self._arrive([_key(group_id), _wake(group_id)], [batch, results]))

    @translated
    async def arrived(self, group_id: str, batch: int) -> bool:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.exists(_key(group_id))
            pipe.hexists(_key(group_id), str(batch))
            is_open, has_arrived = await pipe.execute()
        return bool(has_arrived or not is_open)

    @translated
    async def wait(self, group_id: str, timeout: float | None) -> dict[int, bytes]:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        found = await self._look(group_id, deadline - time.monotonic())
        while found is None:
            # The element goes back to where it came from, so that it wakes everybody who waits.
            seconds = min(_LONGEST_WAIT, max(0.001, deadline - time.monotonic()))
            wake = _wake(group_id)
            waiting = ("BLMOVE", wake, wake, "LEFT", "RIGHT", f"{seconds:.3f}")
            found = await self._look(group_id, deadline - time.monotonic() - seconds, waiting)
        return found

    async def _look(
        self, group_id: str, left: float, after: tuple[str, ...] = ()
    ) -> dict[int, bytes] | None:
        """Return what has arrived if it is all, or if no time is left after this look."""
        final = 1 if left <= 0 else 0
        flat = await self._gather([_key(group_id)], [final], after=after)
        if flat is None:
            raise NotFound(f"the group {group_id} is not open")
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {int(name): value for name, value in pairs if name != b"n"} if flat else None

    @translated
    async def close(self, group_id: str) -> None:
        await self._client.unlink(_key(group_id), _wake(group_id))


def _key(group_id: str) -> str:
    return f"wo:{{group:{group_id}}}"


def _wake(group_id: str) -> str:
    return f"{_key(group_id)}:wake"
