"""The queues of production's side of a parity run, and how a process beside them reaches them."""

import asyncio
import itertools
import random
import socket
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.exceptions import LeaseLost
from orchestrator.execution.envelope import unseal
from orchestrator.runtime.parity.wire import from_line, to_line
from storage.base import QueueStore
from storage.memory_queue import MemoryQueueStore
from storage.records import Entry, Lease

_ALL = 1_000_000
_LOOK_EVERY = 0.05
_LINE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A loop that reads a queue. writers: the slots that have to complete before it is given
    anything."""

    writers: tuple[str, ...]
    stateful: bool


class ReplayQueues(MemoryQueueStore):
    """Queues that keep what is put into them until their writers have completed, and hand it out
    then: in the order of the source to a loop that keeps state, shuffled to any other, which in
    production has its items in any order.

    Args:
        rank: the place in that order by the id of an item.
        seen: told of each entry that is handed out: the id of the loop, and the entry.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        seed: int,
        rank: Callable[[str], Any],
        seen: Callable[[str, Entry], None],
    ) -> None:
        super().__init__()
        self._feeds = feeds
        self._random = random.Random(seed)
        self._rank = rank
        self._seen = seen
        self._kept: defaultdict[str, list[Entry]] = defaultdict(list)

    async def read(
        self, lease: Lease, queues: Sequence[str], count: int, wait: float
    ) -> list[Entry]:
        feed = self._feeds.get(lease.loop)
        if feed is None:
            return await super().read(lease, queues, count, wait)
        kept = self._kept[lease.name]
        kept += await super().read(lease, queues, _ALL, min(wait, _LOOK_EVERY))
        if not (await self.completed(lease.workflow)).keys() >= set(feed.writers):
            return []
        kept += await super().read(lease, queues, _ALL, 0)
        found, kept[:] = list(kept), []
        if feed.stateful:
            found.sort(key=lambda entry: self._rank(unseal(entry.body).item.id))
        else:
            self._random.shuffle(found)
        for entry in found:
            self._seen(lease.loop, entry)
        return found

    async def pending(self, lease: Lease, queues: Sequence[str]) -> list[Entry]:
        kept = {entry.id for entry in self._kept[lease.name]}
        return [e for e in await super().pending(lease, queues) if e.id not in kept]


class _Remote:
    """Calls the store of another process over a socket.

    Args:
        names: what items were called before; told ahead of every commit.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter
        self._listening: asyncio.Task[None]

    async def open(self, connection: socket.socket) -> None:
        reader, self._writer = await asyncio.open_connection(sock=connection, limit=_LINE_LIMIT)
        self._listening = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while (message := await _receive(reader)) is not None:
            number, answer, lost = message
            waiting = self._answers.pop(number)
            if waiting.done():
                continue
            if lost is None:
                waiting.set_result(answer)
            else:
                waiting.set_exception(LeaseLost(lost))

    async def call(self, name: str, args: Any, options: Any) -> Any:
        number = next(self._numbers)
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        if name == "commit":
            self._writer.write(to_line((-1, "learn", (dict(self._names),), {})))
        self._writer.write(to_line((number, name, args, options)))
        return await waiting

    def watch(
        self, lease: Lease, queues: Sequence[str], seconds: float, woken: asyncio.Future[None]
    ) -> None:
        """Let whoever waits ask again soon: a future cannot be sent."""

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        asyncio.get_running_loop().call_later(min(seconds, _LOOK_EVERY), wake)


def _forwarded(name: str) -> Callable[..., Any]:
    async def forwarded(remote: _Remote, *args: Any, **options: Any) -> Any:
        return await remote.call(name, args, options)

    return forwarded


_METHODS = {name: _forwarded(name) for name in QueueStore.__abstractmethods__ - {"watch"}}
RemoteQueues: Any = type("RemoteQueues", (_Remote, QueueStore), _METHODS)
"""A QueueStore that is in another process; `open` it first."""


async def serve(
    store: QueueStore, connection: socket.socket, learn: Callable[[dict[str, str]], None]
) -> None:
    """Answer the calls of one RemoteQueues until it is gone.

    Args:
        learn: takes what the other process knows of the identities of items.
    """
    reader, writer = await asyncio.open_connection(sock=connection, limit=_LINE_LIMIT)
    tasks: set[asyncio.Task[None]] = set()

    async def answer(number: int, name: str, args: Any, options: Any) -> None:
        try:
            answered = await getattr(store, name)(*args, **options)
            writer.write(to_line((number, answered, None)))
        except LeaseLost as error:
            writer.write(to_line((number, None, error.message)))

    while (message := await _receive(reader)) is not None:
        number, name, args, options = message
        if name == "learn":
            learn(*args)
            continue
        task = asyncio.create_task(answer(number, name, args, options))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _receive(reader: asyncio.StreamReader) -> Any:
    try:
        raw = await reader.readline()
    except ConnectionError:
        return None
    return from_line(raw) if raw.endswith(b"\n") else None
