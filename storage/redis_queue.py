"""Durable queues on a Redis-protocol server (Redis 7.0, Valkey 7.2 or newer).

A queue is a stream with one consumer group; the entry is deleted when it is committed. All keys
of a workflow share one hash slot, so that one script can touch them. Commits are repeated by their
number.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

from orchestrator.exceptions import LeaseLost
from storage.base import QueueStore
from storage.records import (
    DEAD_LETTERS,
    MISSING,
    OFFER_TTL,
    OPERATION_TTL,
    SERVER_MEMORY,
    Commit,
    CommitResult,
    Completion,
    Entry,
    Lease,
    Missing,
    Offer,
    Outcome,
    QueueStats,
    Room,
    SlotState,
    inbox,
)
from storage.redis_client import Client, Keys, translated
from storage.redis_scripts import Connections, Script, script_text
from storage.redis_waits import Waits
from storage.redis_wire import STATE, commit_args, commit_result, queue_stats, slot_state

_GROUP = "loop"
_PURGED_AT_ONCE = 1000
_TOLD_AT_ONCE = 100
_LONGEST_WAIT = 2.0
"""Seconds; less than the client waits for an answer."""


class RedisQueueStore(QueueStore):
    def __init__(self, client: Client) -> None:
        self._client = client
        self._connections = connections = Connections(client)
        self._waits = Waits(connections)

        def script(flags: str, *names: str) -> Script:
            return Script(connections, script_text(flags, *names))

        relieving = " flags=allow-oom"  # what frees memory, or needs next to none
        self._begin = script(relieving, "begin")
        self._read = script(relieving, "due", "read")
        self._end = script(relieving, "end")
        self._close = script(relieving, "close")
        self._adopt = script(relieving, "adopt")
        self._purge = script(relieving, "purge")
        looking = " flags=no-writes"
        self._exhausted = script(looking, "exhausted")
        self._snapshot = script(looking, "snapshot")
        self._stats = script(looking, "stats")
        self._put = script("", "put")
        self._offer = script("", "offer")
        # Without outputs a commit only frees memory: it must pass when the server is full.
        self._commit = script("", "due", "commit")
        self._commit_sink = script(relieving, "due", "commit")

    @translated
    async def begin(
        self, lease: Lease, activation: int, restore: SlotState | None = None
    ) -> SlotState:
        keys = Keys(lease.workflow)
        args: list[Any] = [lease.name, lease.token, activation]
        if restore is not None:
            args.append(restore.sequence)
            for name, value in restore.states.items():
                args += (STATE + name.encode(), value)
        reply = await self._begin(
            keys=[keys.fence, keys.slot(lease.name), keys.completed], args=args
        )
        if not reply:
            raise _lost(lease)
        crashes, flat = reply
        return slot_state(dict(zip(flat[::2], flat[1::2], strict=True)), crashes)

    @translated
    async def end(self, lease: Lease, queues: Sequence[str]) -> None:
        self._waits.forget(lease)
        keys = Keys(lease.workflow)
        await self._end(
            keys=[keys.fence, keys.slot(lease.name), *(keys.queue(queue) for queue in queues)],
            args=[lease.name, lease.token, lease.slot],
        )

    @translated
    async def snapshot(self, lease: Lease) -> SlotState | None:
        keys = Keys(lease.workflow)
        flat = await self._snapshot(
            keys=[keys.fence, keys.slot(lease.name)], args=[lease.name, lease.token]
        )
        return slot_state(dict(zip(flat[::2], flat[1::2], strict=True))) if flat else None

    @translated
    async def put(self, workflow: str, queue: str, body: bytes, op_id: str | None = None) -> bool:
        keys = Keys(workflow)
        named = [keys.queue(queue), keys.bytes]
        if op_id is not None:
            named.append(keys.operation(op_id))
        return bool(await self._put(keys=named, args=[queue, body, OPERATION_TTL]))

    @translated
    async def offer(
        self, workflow: str, queue: str, body: bytes, room: Room, *, op_id: str = "", mark: str = ""
    ) -> Offer:
        keys = Keys(workflow)
        named = [keys.queue(queue), keys.bytes, *([keys.operation(op_id)] if op_id else [])]
        args = [queue, body, room.items, room.bytes, mark, OFFER_TTL]
        return Offer((await self._offer(keys=named, args=args)).decode())

    @translated
    async def answer(self, workflow: str, queue: str, wait: float) -> bytes | Missing:
        stream = Keys(workflow).queue(queue)
        deadline = time.monotonic() + wait
        while True:
            left = min(_LONGEST_WAIT, max(0.001, deadline - time.monotonic()))
            found = await self._client.xread({stream: "0"}, count=1, block=math.ceil(left * 1000))
            if found:
                return bytes(found[0][1][0][1][b"b"])
            if time.monotonic() >= deadline:
                return MISSING

    @translated
    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        keys = Keys(lease.workflow)
        box = inbox(lease.loop)
        streams = [keys.queue(queue) for queue in queues]
        named = [keys.fence, keys.delayed(lease.loop), keys.queue(box), keys.bytes, *streams]
        args = [lease.name, lease.token, lease.slot, count, box]
        reply = await self._read(named, args)
        if reply and not reply[0] and wait > 0:
            _, due, places = reply
            # What waits for an entry takes none: only the script may. The server goes on with that
            # by itself, without another way to and fro.
            block = math.ceil((min(wait, float(due)) if due else wait) * 1000)
            waiting = ("XREAD", "COUNT", 1, "BLOCK", max(1, block), "STREAMS", *streams, *places)
            reply = await self._read(named, args, after=waiting)
        if not reply:
            raise _lost(lease)
        found, due, places = reply
        if not found:
            behind = {name.encode(): place for name, place in zip(streams, places, strict=True)}
            self._waits.note(lease, behind, due)
        return [Entry(queue=queues[at], id=key.decode(), body=body) for at, key, body in found]

    def watch(
        self, lease: Lease, queues: Sequence[str], seconds: float, woken: asyncio.Future[None]
    ) -> None:
        self._waits.add(lease, seconds, woken)

    def leave(self) -> None:
        """End every `watch`, when the client is closed."""
        self._waits.end()

    @translated
    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        keys = Keys(lease.workflow)
        async with self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.xpending_range(
                    keys.queue(queue), _GROUP, "-", "+", 1_000_000, consumername=str(lease.slot)
                )
            replies = await pipe.execute(raise_on_error=False)
        found: list[Entry] = []
        for queue, rows in zip(queues, map(_of_group, replies), strict=True):
            handed = {row["message_id"]: row["times_delivered"] for row in rows or ()}
            found += await self._entries(lease, queue, handed)
        return found

    async def _entries(self, lease: Lease, queue: str, handed: Mapping[bytes, int]) -> list[Entry]:
        """Return the entries with these ids, and their deliveries."""
        if not handed:
            return []
        stream = Keys(lease.workflow).queue(queue)
        async with self._client.pipeline(transaction=False) as pipe:
            for entry_id in handed:
                pipe.xrange(stream, entry_id, entry_id)
            bodies = await pipe.execute()
        return [
            Entry(queue=queue, id=entry_id.decode(), body=body[0][1][b"b"], deliveries=deliveries)
            for (entry_id, deliveries), body in zip(handed.items(), bodies, strict=True)
            if body
        ]

    @translated
    async def adopt(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        keys = Keys(lease.workflow)
        async with self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.xpending(keys.queue(queue), _GROUP)
            replies = await pipe.execute(raise_on_error=False)
        found: list[Entry] = []
        for queue, summary in zip(queues, map(_of_group, replies), strict=True):
            names = [int(row["name"]) for row in summary["consumers"]] if summary else []
            others = [name for name in names if name != lease.slot]
            if not others:
                continue
            slots = [keys.slot(f"{lease.loop}/{number}") for number in others]
            rows = await self._adopt(
                keys=[keys.fence, keys.queue(queue), *slots],
                args=[lease.name, lease.token, lease.slot, *others],
            )
            found += await self._entries(lease, queue, {row[0]: row[1] for row in rows})
        return found

    @translated
    async def close(self, lease: Lease) -> None:
        keys = Keys(lease.workflow)
        await self._close(keys=[keys.fence, keys.slot(lease.name)], args=[lease.name, lease.token])

    @translated
    async def redeliver(self, lease: Lease, entry: Entry) -> Entry:
        await self._client.xclaim(
            Keys(lease.workflow).queue(entry.queue), _GROUP, str(lease.slot), 0, [entry.id]
        )
        return replace(entry, deliveries=entry.deliveries + 1)

    @translated
    async def commit(self, lease: Lease, commit: Commit) -> CommitResult:
        queues = list(
            dict.fromkeys(
                [queue for queue, _ in commit.outputs] + [entry.queue for entry in commit.acks]
            )
        )
        if commit.completion is not None:
            read = list(commit.completion.queues)
            queues = [queue for queue in queues if queue not in read] + read
        grows = commit.outputs or commit.dead or commit.delayed
        script = self._commit if grows else self._commit_sink
        keys = Keys(lease.workflow)
        try:
            reply = await script(
                keys=[
                    *(keys.fence, keys.slot(lease.name), keys.completed, keys.dead, keys.bytes),
                    *(keys.dropped, keys.delayed(lease.loop), keys.queue(inbox(lease.loop))),
                    *(keys.queue(queue) for queue in queues),
                ],
                args=commit_args(lease, commit, queues),
            )
        except OutOfMemoryError:
            return CommitResult(Outcome.FULL, (SERVER_MEMORY,))
        finally:
            if commit.delayed:  # something may be due earlier than was known
                self._waits.rouse(lease)
            if commit.completion is not None:  # others may have waited for that alone
                self._waits.rouse_all(lease.workflow)
        return commit_result([part.decode() for part in reply], queues)

    @translated
    async def exhausted(self, lease: Lease, completion: Completion, activation: int) -> bool:
        keys = Keys(lease.workflow)
        streams = (keys.queue(queue) for queue in completion.queues)
        return bool(
            await self._exhausted(
                keys=[keys.completed, keys.delayed(lease.loop), *streams],
                args=[activation, *completion.writers],
            )
        )

    @translated
    async def completed(self, workflow: str) -> dict[str, int]:
        marks = await self._client.hgetall(Keys(workflow).completed)
        return {name.decode(): int(activation) for name, activation in marks.items()}

    @translated
    async def reopen(self, workflow: str) -> None:
        await self._client.delete(Keys(workflow).completed)

    @translated
    async def lengths(self, workflow: str, queues: Sequence[str]) -> dict[str, int]:
        keys = Keys(workflow)
        async with self._client.pipeline(transaction=True) as pipe:
            for queue in queues:
                pipe.xlen(keys.queue(queue))
            return dict(zip(queues, await pipe.execute(), strict=True))

    @translated
    async def delayed(self, workflow: str, loops: Sequence[str]) -> dict[str, int]:
        keys = Keys(workflow)
        async with self._client.pipeline(transaction=True) as pipe:
            for loop in loops:
                pipe.zcard(keys.delayed(loop))
            return dict(zip(loops, await pipe.execute(), strict=True))

    @translated
    async def stats(self, workflow: str, queues: Sequence[str]) -> dict[str, QueueStats]:
        keys = Keys(workflow)
        found: dict[str, QueueStats] = {}
        for start in range(0, len(queues), _TOLD_AT_ONCE):
            names = queues[start : start + _TOLD_AT_ONCE]
            rows = await self._stats(
                keys=[keys.bytes, keys.dropped, *(keys.queue(name) for name in names)], args=names
            )
            found |= zip(names, map(queue_stats, rows), strict=True)
        return found

    @translated
    async def peek(self, workflow: str, queue: str, count: int) -> list[Entry]:
        stream = Keys(workflow).queue(queue)
        rows = await self._client.xrange(stream, count=count)
        if not rows:
            return []
        try:
            handed = await self._client.xpending_range(
                stream, _GROUP, rows[0][0], rows[-1][0], 1_000_000
            )
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            handed = []
        deliveries = {row["message_id"]: row["times_delivered"] for row in handed}
        return [
            Entry(
                queue=queue, id=key.decode(), body=fields[b"b"], deliveries=deliveries.get(key, 0)
            )
            for key, fields in rows
        ]

    @translated
    async def purge(self, workflow: str, queue: str) -> int:
        keys = Keys(workflow)
        newest = await self._client.xrevrange(keys.queue(queue), count=1)
        removed, more = 0, bool(newest)
        while more:
            gone, waiting = await self._purge(
                keys=[keys.queue(queue), keys.bytes], args=[queue, newest[0][0], _PURGED_AT_ONCE]
            )
            removed, more = removed + gone, waiting == _PURGED_AT_ONCE
        return removed

    @translated
    async def dead(self, workflow: str, count: int) -> list[Entry]:
        rows = await self._connections.send(
            ("XRANGE", Keys(workflow).dead, "-", "+", "COUNT", count)
        )
        return [Entry(queue=DEAD_LETTERS, id=row[0].decode(), body=row[1][1]) for row in rows]

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


def _of_group(reply: Any) -> Any:
    """Return a reply about a group; None when nothing was ever read from its stream."""
    if isinstance(reply, Exception):
        if not isinstance(reply, ResponseError) or not str(reply).startswith("NOGROUP"):
            raise reply
        return None
    return reply


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"slot {lease.name} of {lease.workflow} has a newer owner")
