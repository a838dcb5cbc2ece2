"""The stores on a Redis-protocol server (Redis 7.0, Valkey 7.2 or newer).

A queue is a stream with one consumer group; the entry is deleted when it is committed. All keys
of a workflow share one hash slot, so that one script can touch them. Commits are repeated by their
number.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from orchestrator.exceptions import LeaseLost, StoreUnavailable
from storage.base import (
    DEAD_LETTERS,
    DEAD_LETTERS_LIMIT,
    MISSING,
    CacheStore,
    Channel,
    Commit,
    CommitResult,
    Entry,
    Feed,
    Lease,
    Missing,
    Outcome,
    QueueStore,
    SlotState,
)
from storage.redis_client import Client, Keys, translated

_LUA = Path(__file__).with_name("lua")
_GROUP = "loop"
_STATE = b"node:"


class RedisQueueStore(QueueStore):
    def __init__(self, client: Client) -> None:
        self._client = client
        source = {path.stem: path.read_text() for path in _LUA.glob("*.lua")}
        register = client.register_script
        self._begin = register("#!lua flags=allow-oom\n" + source["begin"])
        self._read = register("#!lua flags=allow-oom\n" + source["read"])
        self._end = register("#!lua flags=allow-oom\n" + source["end"])
        self._exhausted = register("#!lua flags=no-writes\n" + source["exhausted"])
        # Without outputs a commit only frees memory: it must pass when the server is full.
        self._commit = register("#!lua\n" + source["commit"])
        self._commit_sink = register("#!lua flags=allow-oom\n" + source["commit"])

    @translated
    async def begin(self, lease: Lease, activation: int) -> SlotState:
        keys = Keys(lease.workflow)
        reply = await self._begin(
            keys=[keys.fence, keys.slot(lease.name), keys.completed],
            args=[lease.name, lease.token, activation],
        )
        if not reply:
            raise LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")
        crashes, flat = reply
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return SlotState(
            activation=activation,
            number=int(fields[b"number"]),
            sequence=int(fields[b"sequence"]),
            states={
                name.removeprefix(_STATE).decode(): value
                for name, value in fields.items()
                if name.startswith(_STATE)
            },
            crashes=crashes,
        )

    @translated
    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        keys = Keys(lease.workflow)
        await self._end(
            keys=[keys.fence, keys.slot(lease.name), *(keys.queue(queue) for queue in queues)],
            args=[lease.name, lease.token, lease.slot],
        )

    @translated
    async def put(self, workflow: str, queue: str, body: bytes) -> str:
        reply = await self._client.xadd(Keys(workflow).queue(queue), {"b": body})
        return str(reply.decode())

    @translated
    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        found, places = await self._read_now(lease, queues, count)
        if not found and wait > 0 and await self._comes(places, wait):
            found, _ = await self._read_now(lease, queues, count)
        return found

    async def _read_now(
        self, lease: Lease, queues: Sequence[str], count: int
    ) -> tuple[list[Entry], dict[str, bytes]]:
        """Return new entries, and up to where each stream is read."""
        keys = Keys(lease.workflow)
        streams = [keys.queue(queue) for queue in queues]
        reply = await self._read(
            keys=[keys.fence, *streams], args=[lease.name, lease.token, lease.slot, count]
        )
        if not reply:
            raise LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")
        places, rows = reply
        entries = [Entry(queue=queues[at], id=key.decode(), body=body) for at, key, body in rows]
        return entries, dict(zip(streams, places, strict=True))

    async def _comes(self, places: Mapping[str, bytes], wait: float) -> bool:
        """Wait for an entry behind these places, taking none: only the script may take."""
        block = max(1, int(wait * 1000))
        return bool(await self._client.xread(dict(places), count=1, block=block))

    @translated
    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        keys = Keys(lease.workflow)
        found: list[Entry] = []
        for queue in queues:
            stream = keys.queue(queue)
            try:
                rows = await self._client.xpending_range(
                    stream, _GROUP, "-", "+", 1_000_000, consumername=str(lease.slot)
                )
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                continue  # nothing was ever read from it
            for row in rows:
                entry_id = row["message_id"]
                body = await self._client.xrange(stream, entry_id, entry_id)
                if body:
                    found.append(
                        Entry(
                            queue=queue,
                            id=entry_id.decode(),
                            body=body[0][1][b"b"],
                            deliveries=row["times_delivered"],
                        )
                    )
        return found

    @translated
    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        await self._client.xclaim(
            Keys(lease.workflow).queue(entry.queue), _GROUP, str(lease.slot), 0, [entry.id]
        )
        return Entry(
            queue=entry.queue, id=entry.id, body=entry.body, deliveries=entry.deliveries + 1
        )

    @translated
    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        keys = Keys(lease.workflow)
        named = [queue for queue, _ in commit.outputs] + [queue for queue, _ in commit.acks]
        queues = list(dict.fromkeys(named))
        place = {queue: index for index, queue in enumerate(queues, start=5)}
        args: list[Any] = [lease.name, lease.token, lease.slot, commit.number, commit.sequence]
        args += [commit.activation if commit.completed else "", DEAD_LETTERS_LIMIT]
        args += [commit.room.get(queue, 0) for queue in queues]
        for pairs in (commit.outputs, commit.acks):
            args.append(len(pairs))
            for queue, value in pairs:
                args += (place[queue], value)
        args.append(len(commit.states))
        for node, value in commit.states.items():
            args += (_STATE + node.encode(), value)
        args += [len(commit.dead), *commit.dead]
        script = self._commit if commit.outputs or commit.dead else self._commit_sink
        try:
            reply = await script(
                keys=[keys.fence, keys.slot(lease.name), keys.completed, keys.dead]
                + [keys.queue(queue) for queue in queues],
                args=args,
            )
        except OutOfMemoryError:
            return CommitResult(Outcome.FULL, ("the server's memory",))
        return _result([part.decode() for part in reply], queues)

    @translated
    async def exhausted(
        self, workflow: str, queues: Sequence[str], writers: Sequence[str], activation: int
    ) -> bool:
        keys = Keys(workflow)
        return bool(
            await self._exhausted(
                keys=[keys.completed, *(keys.queue(queue) for queue in queues)],
                args=[activation, *writers],
            )
        )

    @translated
    async def completed(self, workflow: str) -> dict[str, int]:
        marks = await self._client.hgetall(Keys(workflow).completed)
        return {name.decode(): int(activation) for name, activation in marks.items()}

    @translated
    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        keys = Keys(workflow)
        async with self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.xlen(keys.queue(queue))
            return dict(zip(queues, await pipe.execute(), strict=True))

    @translated
    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        rows = await self._client.xrange(Keys(workflow).queue(queue), count=count)
        return [Entry(queue=queue, id=row[0].decode(), body=row[1][b"b"]) for row in rows]

    @translated
    async def dead(self, workflow: str, count: int) -> list[Entry]:
        rows = await self._client.xrange(Keys(workflow).dead, count=count)
        return [Entry(queue=DEAD_LETTERS, id=row[0].decode(), body=row[1][b"b"]) for row in rows]

    @translated
    async def forget_dead(self, workflow: str, ids: Sequence[str]) -> None:
        if ids:
            await self._client.xdel(Keys(workflow).dead, *ids)

    @translated
    async def forget(self, workflow: str) -> None:
        pattern = Keys(workflow).prefix.replace("[", "\\[") + "*"
        keys = [key async for key in self._client.scan_iter(match=pattern, count=1000)]
        if keys:
            await self._client.unlink(*keys)


def _result(reply: list[str], queues: list[str]) -> CommitResult:
    outcome, names = Outcome(reply[0]), reply[1:]
    if outcome is Outcome.FULL:
        names = [DEAD_LETTERS if name == "dead" else queues[int(name)] for name in names]
    return CommitResult(outcome, tuple(names))


class RedisCacheStore(CacheStore):
    def __init__(self, client: Client) -> None:
        self._client = client

    @translated
    async def get(self, key: str) -> bytes | Missing:
        value = await self._client.get(f"wo:cache:{key}")
        return MISSING if value is None else bytes(value)

    @translated
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await self._client.set(f"wo:cache:{key}", value, px=max(1, int(ttl * 1000)))

    @translated
    async def delete(self, key: str) -> bool:
        return bool(await self._client.delete(f"wo:cache:{key}"))


class RedisChannel(Channel):
    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self._prefix = f"wo:{{run:{run}}}:"

    @translated
    async def get(self, key: str) -> bytes | Missing:
        value = await self._client.get(self._prefix + key)
        return MISSING if value is None else bytes(value)

    @translated
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        px = None if ttl is None else max(1, int(ttl * 1000))
        await self._client.set(self._prefix + key, value, px=px)

    @translated
    async def append(self, key: str, value: bytes) -> int:
        return int(await self._client.rpush(self._prefix + key, value))

    @translated
    async def items(self, key: str) -> list[bytes]:
        return list(await self._client.lrange(self._prefix + key, 0, -1))

    @translated
    async def add(self, key: str, amount: int = 1) -> int:
        return int(await self._client.incrby(self._prefix + key, amount))

    @translated
    async def delete(self, key: str) -> bool:
        return bool(await self._client.delete(self._prefix + key))

    @translated
    async def keys(self) -> list[str]:
        found = [key async for key in self._client.scan_iter(match=f"{self._prefix}*", count=1000)]
        return sorted(key.decode().removeprefix(self._prefix) for key in found)


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
