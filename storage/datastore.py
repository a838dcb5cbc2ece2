"""DataStore: the one object that holds the stores of a server."""

from abc import ABC, abstractmethod

from orchestrator.exceptions import StoreRefused
from storage.base import CacheStore, Channel, Feed, QueueStore
from storage.memory import MemoryCacheStore, MemoryChannel, MemoryFeed, MemoryQueueStore


class DataStore(ABC):
    """Queues, cache, feed and channels. Belongs to one event loop when it is on Redis."""

    queue: QueueStore
    cache: CacheStore
    feed: Feed

    @abstractmethod
    def channel(self, run: str) -> Channel:
        """Return the shared key and value of one run."""

    @abstractmethod
    async def check(self) -> None:
        """Check that the server is there and can give the guarantees.

        Raises:
            StoreRefused: it is too old.
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
        self._channels: dict[str, Channel] = {}

    def channel(self, run: str) -> Channel:
        return self._channels.setdefault(run, MemoryChannel())

    async def check(self) -> None:
        """Memory is always there."""

    async def close(self) -> None:
        """There is no connection."""


class RedisDataStore(DataStore):
    def __init__(self, url: str) -> None:
        from storage import redis, redis_client

        self._redis = redis
        self._check = redis_client.check_server
        self._client = redis_client.connect(url)
        self.queue = redis.RedisQueueStore(self._client)
        self.cache = redis.RedisCacheStore(self._client)
        self.feed = redis.RedisFeed(self._client)

    def channel(self, run: str) -> Channel:
        return self._redis.RedisChannel(self._client, run)

    async def check(self) -> None:
        await self._check(self._client)

    async def close(self) -> None:
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
