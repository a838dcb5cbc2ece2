"""DataStore: the one object that holds the stores of a server."""

from abc import ABC, abstractmethod

from orchestrator.exceptions import StoreRefused
from storage.base import CacheStore, Channel, Feed, QueueStore
from storage.coordinator import Coordinator, MemoryCoordinator
from storage.memory import MemoryCacheStore, MemoryChannel, MemoryFeed
from storage.memory_queue import MemoryQueueStore
from storage.server_facts import ServerFacts


class DataStore(ABC):
    """Queues, cache, feed, channels and groups. Belongs to one event loop when it is on Redis."""

    queue: QueueStore
    cache: CacheStore
    feed: Feed
    coordinator: Coordinator

    @abstractmethod
    def channel(self, run: str) -> Channel:
        """Return the shared key and value of one run."""

    @abstractmethod
    async def check(self, *, allow_unsafe: bool = False) -> list[str]:
        """Check that the server is there and can give the guarantees.

        Args:
            allow_unsafe: let a server pass that works and may lose what it holds.

        Returns:
            What was let pass.

        Raises:
            StoreRefused: it cannot give them; the message says what to set.
            StoreUnavailable: it is away.
        """

    @abstractmethod
    async def facts(self) -> ServerFacts | None:
        """Return what the server tells of itself; None without a server.

        Raises:
            StoreUnavailable: it is away.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give the connections back."""


class MemoryDataStore(DataStore):
    def __init__(self) -> None:
        self.queue = MemoryQueueStore()
        self.cache = MemoryCacheStore()
        self.feed = MemoryFeed()
        self.coordinator = MemoryCoordinator()
        self._channels: dict[str, Channel] = {}

    def channel(self, run: str) -> Channel:
        return self._channels.setdefault(run, MemoryChannel())

    async def check(self, *, allow_unsafe: bool = False) -> list[str]:
        """Memory is always there."""
        return []

    async def facts(self) -> None:
        """There is no server."""

    async def close(self) -> None:
        """There is no connection."""


class RedisDataStore(DataStore):
    def __init__(self, url: str) -> None:
        from storage import redis, redis_client, redis_coordinator, redis_queue

        self._redis = redis
        self._check = redis_client.check_server
        self._facts = redis_client.describe_server
        self._client = redis_client.connect(url)
        self._queue = self.queue = redis_queue.RedisQueueStore(self._client)
        self.cache = redis.RedisCacheStore(self._client)
        self.feed = redis.RedisFeed(self._client)
        self.coordinator = redis_coordinator.RedisCoordinator(self._client)

    def channel(self, run: str) -> Channel:
        return self._redis.RedisChannel(self._client, run)

    async def check(self, *, allow_unsafe: bool = False) -> list[str]:
        return await self._check(self._client, allow_unsafe=allow_unsafe)

    async def facts(self) -> ServerFacts:
        return await self._facts(self._client)

    async def close(self) -> None:
        self._queue.leave()
        await self._client.aclose()


def open_store(url: str) -> DataStore:
    """Open `memory://` (this process only) or `redis://`, `rediss://`, `unix://`.

    Raises:
        StoreRefused: the URL has another scheme.
    """
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return MemoryDataStore()
    if scheme in ("redis", "rediss", "unix"):
        return RedisDataStore(url)
    raise StoreRefused(f"{scheme}:// is no store: use memory://, redis://, rediss:// or unix://")
