"""Coordinator: where the batches of a group arrive, and somebody waits for the last one.

A group is opened with the number of its batches. A batch arrives once: when it is executed again
after its worker died, the first result stays. Whoever waits is woken by the server when the last
one has arrived. What is kept of a group ends with `close`, or with its time to live.
"""

import asyncio
import threading
import time
from abc import ABC, abstractmethod

from orchestrator.exceptions import NotFound


class Coordinator(ABC):
    """Raises (every method): StoreUnavailable when the server is away."""

    @abstractmethod
    async def open(self, group_id: str, batches: int, ttl: float) -> None:
        """Begin a group of so many batches, which is forgotten after `ttl` seconds. Does nothing
        when it is open already."""

    @abstractmethod
    async def arrive(self, group_id: str, batch: int, results: bytes) -> bool:
        """Leave the results of a batch, counted from 0, and wake who waits if it was the last.

        Tells whether they were kept: not when the batch had arrived before, or the group is closed.
        """

    @abstractmethod
    async def arrived(self, group_id: str, batch: int) -> bool:
        """Tell whether nothing more is wanted of a batch: it is there, or the group is closed."""

    @abstractmethod
    async def wait(self, group_id: str, timeout: float | None) -> dict[int, bytes]:
        """Wait until every batch has arrived, at most so many seconds; return the results of those
        that have, by batch. Any number may wait.

        Raises:
            NotFound: the group is not open, or was closed meanwhile.
        """

    @abstractmethod
    async def close(self, group_id: str) -> None:
        """Forget the group; what arrives later is not kept."""


class _Group:
    def __init__(self, batches: int, until: float) -> None:
        self.batches = batches
        self.until = until
        self.results: dict[int, bytes] = {}


class MemoryCoordinator(Coordinator):
    """In this process. Safe to use from several threads, each with its own event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def open(self, group_id: str, batches: int, ttl: float) -> None:
        with self._lock:
            now = time.monotonic()
            expired = [name for name, group in self._groups.items() if group.until <= now]
            for name in expired:
                del self._groups[name]
            self._groups.setdefault(group_id, _Group(batches, now + ttl))

    async def arrive(self, group_id: str, batch: int, results: bytes) -> bool:
        with self._lock:
            group = self._find(group_id)
            if group is None or batch in group.results:
                return False
            group.results[batch] = results
            complete = len(group.results) == group.batches
        if complete:
            self._wake()
        return True

    async def arrived(self, group_id: str, batch: int) -> bool:
        with self._lock:
            group = self._find(group_id)
            return group is None or batch in group.results

    async def wait(self, group_id: str, timeout: float | None) -> dict[int, bytes]:
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        self._waiting.add(waiter)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                with self._lock:
                    group = self._find(group_id)
                    if group is None:
                        raise NotFound(f"the group {group_id} is not open")
                    found = dict(group.results)
                    left = group.until - time.monotonic()
                if deadline is not None:
                    left = min(left, deadline - time.monotonic())
                    if left <= 0:
                        return found
                if len(found) == group.batches:
                    return found
                try:
                    async with asyncio.timeout(left):
                        await event.wait()
                except TimeoutError:
                    pass
                event.clear()
        finally:
            self._waiting.discard(waiter)

    async def close(self, group_id: str) -> None:
        with self._lock:
            self._groups.pop(group_id, None)
        self._wake()

    def _find(self, group_id: str) -> _Group | None:
        group = self._groups.get(group_id)
        return group if group is not None and group.until > time.monotonic() else None

    def _wake(self) -> None:
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)
