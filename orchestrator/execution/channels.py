"""RunChannel: the shared key and value of one run, as its tasks see it: JSON in, JSON out."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import Busy
from storage.base import Channel
from storage.codec import decode, encode
from storage.records import MISSING, Missing

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.1


class RunChannel:
    """JSON on a `storage.base.Channel`; see there for what each method promises."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def get(self, key: str, default: Any = None) -> Json:
        """Return the value, or the default when there is none, or none any more."""
        value = await self._channel.get(key)
        return default if isinstance(value, Missing) else decode(value)

    async def set(self, key: str, value: Json, ttl: float | None = None) -> None:
        """Keep a value, for `ttl` seconds or for as long as the channel lives.

        Raises:
            InvalidPayload: the value is not JSON.
        """
        await self._channel.set(key, encode(value), ttl)

    async def append(self, key: str, value: Json) -> int:
        """Append to a list and return its new length."""
        return await self._channel.append(key, encode(value))

    async def items(self, key: str) -> list[Json]:
        """Return what was appended, oldest first."""
        return [decode(value) for value in await self._channel.items(key)]

    async def add(self, key: str, amount: int = 1) -> int:
        """Add to an integer atomically and return it; a missing key counts as 0."""
        return await self._channel.add(key, amount)

    async def delete(self, key: str) -> bool:
        """Remove a value or a list, and tell whether it was there."""
        return await self._channel.delete(key)

    async def keys(self) -> list[str]:
        return await self._channel.keys()

    @asynccontextmanager
    async def lock(
        self, name: str, *, ttl: float = 30.0, timeout: float | None = None
    ) -> AsyncIterator[None]:
        """Hold a lock: `async with context.channel.lock("totals"):`.

        Args:
            ttl: seconds after which another gets it even so, should its holder have died.
            timeout: seconds to wait for it; None: without limit.

        Raises:
            Busy: somebody else held it for all of `timeout`.
        """
        holder = uuid.uuid4().bytes
        try:
            async with asyncio.timeout(timeout):
                wait = _FIRST_WAIT
                while not await self._channel.acquire(name, holder, ttl):
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)
        except TimeoutError:
            raise Busy(f"the lock {name!r} was held for {timeout:g} s by another") from None
        try:
            yield
        finally:
            await self._channel.release(name, holder)

    async def dump(self) -> dict[str, Json]:
        """Return everything in it, for a checkpoint. Times to live are not kept."""
        values, lists = {}, {}
        for key in await self._channel.keys():
            value = await self._channel.get(key)
            if value is not MISSING:
                values[key] = await self.get(key)
            if items := await self.items(key):
                lists[key] = items
        return {"values": values, "lists": lists} if values or lists else {}

    async def load(self, dumped: Mapping[str, Json]) -> None:
        """Make it hold what `dump` returned, and nothing else."""
        for key in await self._channel.keys():
            await self._channel.delete(key)
        for key, value in dumped.get("values", {}).items():
            await self.set(key, value)
        for key, items in dumped.get("lists", {}).items():
            for value in items:
                await self.append(key, value)
