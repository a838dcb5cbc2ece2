"""Cache, channel and feed in this process's memory, for tests, parity and the Python API."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from storage.base import CacheStore, Channel, Feed
from storage.records import MISSING, Missing


class _Expiring:
    """Bytes by key, each with an optional deadline on the monotonic clock."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, float | None]] = {}

    def get(self, key: str) -> bytes | Missing:
        if key not in self._values:
            return MISSING
        value, deadline = self._values[key]
        if deadline is not None and deadline <= time.monotonic():
            del self._values[key]
            return MISSING
        return value

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        self._values[key] = (value, None if ttl is None else time.monotonic() + ttl)

    def delete(self, key: str) -> bool:
        return self._values.pop(key, None) is not None

    def keys(self) -> list[str]:
        return [key for key in list(self._values) if self.get(key) is not MISSING]


class MemoryCacheStore(CacheStore):
    def __init__(self) -> None:
        self._values = _Expiring()

    async def get(self, key: str) -> bytes | Missing:
        return self._values.get(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | Missing]:
        return [self._values.get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self._values.set(key, value, ttl)

    async def set_many(self, values: Mapping[str, bytes], ttl: float) -> None:
        for key, value in values.items():
            self._values.set(key, value, ttl)

    async def delete(self, key: str) -> bool:
        return self._values.delete(key)


class MemoryChannel(Channel):
    def __init__(self) -> None:
        self._values = _Expiring()
        self._lists: defaultdict[str, list[bytes]] = defaultdict(list)
        self._locks = _Expiring()
        self._lock = threading.Lock()

    async def get(self, key: str) -> bytes | Missing:
        return self._values.get(key)

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        self._values.set(key, value, ttl)

    async def append(self, key: str, value: bytes) -> int:
        with self._lock:
            self._lists[key].append(value)
            return len(self._lists[key])

    async def items(self, key: str) -> list[bytes]:
        return list(self._lists.get(key, ()))

    async def add(self, key: str, amount: int = 1) -> int:
        with self._lock:
            present = self._values.get(key)
            total = amount + (0 if isinstance(present, Missing) else int(present))
            self._values.set(key, str(total).encode(), None)
            return total

    async def delete(self, key: str) -> bool:
        listed = self._lists.pop(key, None) is not None
        return self._values.delete(key) or listed

    async def keys(self) -> list[str]:
        return sorted({*self._values.keys(), *self._lists})

    async def acquire(self, name: str, holder: bytes, ttl: float) -> bool:
        with self._lock:
            if self._locks.get(name) is not MISSING:
                return False
            self._locks.set(name, holder, ttl)
            return True

    async def release(self, name: str, holder: bytes) -> bool:
        with self._lock:
            return self._locks.get(name) == holder and self._locks.delete(name)


class MemoryFeed(Feed):
    def __init__(self) -> None:
        self._latest: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._subscribers: set[asyncio.Queue[tuple[str, bytes]]] = set()

    async def publish(
        self, workflow: str, latest: Mapping[str, bytes], events: Sequence[bytes]
    ) -> None:
        self._latest[workflow].update(latest)
        for queue in self._subscribers:
            for event in events:
                queue.put_nowait((workflow, event))

    async def latest(self, workflow: str) -> dict[str, bytes]:
        return dict(self._latest[workflow])

    async def subscribe(self) -> AsyncIterator[tuple[str, bytes]]:
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)
