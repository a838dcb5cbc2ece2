"""A read that many ask for at about the same time, done once for all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Whoever asks gets the result of a read that began after the question.

    Who asks while one goes on waits for the next, together with all who ask meanwhile; reads begin
    at least `apart` seconds after one another.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], apart: float) -> None:
        self._read = read
        self._apart = apart
        self._began = float("-inf")
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return what the read gives, or raise what it raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
        # Whoever leaves takes nothing away from the others.
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> T:
        if self._running is not None:
            with suppress(Exception):  # whoever asked for that one was told
                await asyncio.shield(self._running)
        await asyncio.sleep(max(0.0, self._began + self._apart - time.monotonic()))
        self._running, self._next, self._began = self._next, None, time.monotonic()
        return await self._read()
