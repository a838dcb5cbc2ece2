"""Cache, channel and feed on a Redis-protocol server."""

from collections.abc import AsyncIterator, Mapping, Sequence

from redis.exceptions import RedisError

from orchestrator.exceptions import StoreUnavailable
from storage.base import CacheStore, Channel, Feed
from storage.records import MISSING, Missing
from storage.redis_client import Client, Keys, translated


class RedisCacheStore(CacheStore):
    def __init__(self, client: Client) -> None:
        self._client = client

    @translated
    async def get(self, key: str) -> bytes | Missing:
        value = await self._client.get(f"wo:cache:{key}")
        return MISSING if value is None else bytes(value)

    @translated
    async def get_many(self, keys: Sequence[str]) -> list[bytes | Missing]:
        values = await self._client.mget([f"wo:cache:{key}" for key in keys]) if keys else []
        return [MISSING if value is None else bytes(value) for value in values]

    @translated
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await self._client.set(f"wo:cache:{key}", value, px=max(1, int(ttl * 1000)))

    @translated
    async def set_many(self, values: Mapping[str, bytes], ttl: float) -> None:
        async with self._client.pipeline() as pipe:
            for key, value in values.items():
                pipe.set(f"wo:cache:{key}", value, px=max(1, int(ttl * 1000)))
            await pipe.execute()

    @translated
    async def delete(self, key: str) -> bool:
        return bool(await self._client.delete(f"wo:cache:{key}"))


_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


_THERE = """
local there = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. key, ARGV[2] .. key) > 0 then
    there[#there + 1] = key
  else
    redis.call('SREM', KEYS[1], key)
  end
end
return there
"""


class RedisChannel(Channel):
    """`!keys` names what may be there: to look for keys by a pattern would read all of Redis."""

    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self._prefix = f"wo:{{run:{run}}}:"
        self._lists = f"wo:{{run:{run}}}!list:"
        self._locks = f"wo:{{run:{run}}}!lock:"
        self._keys = f"wo:{{run:{run}}}!keys"

    @translated
    async def get(self, key: str) -> bytes | Missing:
        value = await self._client.get(self._prefix + key)
        return MISSING if value is None else bytes(value)

    @translated
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        px = None if ttl is None else max(1, int(ttl * 1000))
        async with self._client.pipeline() as pipe:
            pipe.sadd(self._keys, key)
            pipe.set(self._prefix + key, value, px=px)
            await pipe.execute()

    @translated
    async def append(self, key: str, value: bytes) -> int:
        async with self._client.pipeline() as pipe:
            pipe.sadd(self._keys, key)
            pipe.rpush(self._lists + key, value)
            return int((await pipe.execute())[1])

    @translated
    async def items(self, key: str) -> list[bytes]:
        return list(await self._client.lrange(self._lists + key, 0, -1))

    @translated
    async def add(self, key: str, amount: int = 1) -> int:
        async with self._client.pipeline() as pipe:
            pipe.sadd(self._keys, key)
            pipe.incrby(self._prefix + key, amount)
            return int((await pipe.execute())[1])

    @translated
    async def delete(self, key: str) -> bool:
        async with self._client.pipeline() as pipe:
            pipe.srem(self._keys, key)
            pipe.delete(self._prefix + key, self._lists + key)
            return bool((await pipe.execute())[1])

    @translated
    async def keys(self) -> list[str]:
        there = await self._client.eval(_THERE, 1, self._keys, self._prefix, self._lists)
        return sorted(key.decode() for key in there)

    @translated
    async def acquire(self, name: str, holder: bytes, ttl: float) -> bool:
        px = max(1, int(ttl * 1000))
        return bool(await self._client.set(self._locks + name, holder, nx=True, px=px))

    @translated
    async def release(self, name: str, holder: bytes) -> bool:
        return bool(await self._client.eval(_RELEASE, 1, self._locks + name, holder))


class RedisFeed(Feed):
    def __init__(self, client: Client) -> None:
        self._client = client

    @translated
    async def publish(
        self, workflow: str, latest: Mapping[str, bytes], events: Sequence[bytes]
    ) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            if latest:
                pipe.hset(Keys(workflow).latest, mapping=dict(latest))
            for event in events:
                pipe.publish(f"wo:feed:{workflow}", event)
            await pipe.execute()

    @translated
    async def latest(self, workflow: str) -> dict[str, bytes]:
        fields = await self._client.hgetall(Keys(workflow).latest)
        return {name.decode(): value for name, value in fields.items()}

    async def subscribe(self) -> AsyncIterator[tuple[str, bytes]]:
        try:
            async with self._client.pubsub() as channel:
                await channel.psubscribe("wo:feed:*")
                while True:
                    message = await channel.get_message(ignore_subscribe_messages=True, timeout=1)
                    if message is not None:
                        workflow = message["channel"].decode().removeprefix("wo:feed:")
                        yield workflow, message["data"]
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis is away: {error}") from error
