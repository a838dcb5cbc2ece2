"""Waiting for entries, with one blocking read for many that wait.

A wait takes nothing, only the read script may: so it can be given up at any moment. Whoever comes
while a read is under way has one of its own until both end, at a moment that is the same for all;
then they go on as one.
"""

import asyncio
import functools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from orchestrator.exceptions import StoreUnavailable
from storage.records import Lease
from storage.redis_scripts import Connections

_ROUND = 2.0
"""Seconds between two moments at which reads end; less than the client waits for an answer."""
_GRAIN = 0.25
"""Seconds between two moments at which a shorter wait may end without a reason: each cuts a read
off that others share."""
_GATHER = 0.01
"""Seconds in which others may come before a read begins. What arrives meanwhile is found by it."""
_STREAMS = 250
"""Streams of one read, at most one waiter's more: the server looks at each."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """places: by stream, the id of the last entry that was handed out of it."""

    places: Mapping[bytes, bytes]
    until: float
    woken: asyncio.Future[None]


class Waits:
    """The waits of one client."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._ends: dict[Lease, tuple[float, Mapping[bytes, bytes]]] = {}
        """Of slots that have found nothing: when something is due, and the last entry that was
        handed out of each stream."""
        self._watching: dict[Lease, asyncio.Future[None]] = {}
        self._coming: list[_Waiter] = []
        self._rounds: set[asyncio.Task[None]] = set()

    def note(self, lease: Lease, places: Mapping[bytes, bytes], due: bytes) -> None:
        """Keep where a slot has found nothing: behind which entry of each stream, and in how many
        seconds something is due, or empty."""
        self._ends[lease] = (time.monotonic() + float(due) if due else math.inf, places)

    def forget(self, lease: Lease) -> None:
        """Forget where a slot has found nothing."""
        self._ends.pop(lease, None)

    def add(self, lease: Lease, seconds: float, woken: "asyncio.Future[None]") -> None:
        """Have a future done when there is something for a slot where it has found nothing, or
        after about so many seconds. It fails with StoreUnavailable when nobody can be asked."""
        known = self._ends.pop(lease, None)
        if known is None:
            woken.set_result(None)
            return
        due, places = known
        grain = _ROUND if seconds >= _ROUND else _GRAIN
        end = math.ceil((time.monotonic() + seconds) / grain) * grain
        self._watching[lease] = woken
        woken.add_done_callback(functools.partial(self._ended, lease))
        self._join([_Waiter(places, min(end, due), woken)])

    def rouse(self, lease: Lease) -> None:
        """End the wait of a slot, also if it is about to begin."""
        self.forget(lease)
        if lease in self._watching:
            _wake(self._watching[lease])

    def rouse_all(self, workflow: str) -> None:
        """End the waits of all slots of a workflow."""
        for lease in {*self._ends, *self._watching}:
            if lease.workflow == workflow:
                self.rouse(lease)

    def _ended(self, lease: Lease, woken: "asyncio.Future[None]") -> None:
        if self._watching.get(lease) is woken:
            del self._watching[lease]

    def end(self) -> None:
        """Wait no more, for nobody."""
        for task in self._rounds:
            task.cancel()

    def _join(self, waiters: Sequence[_Waiter]) -> None:
        first = not self._coming
        self._coming += waiters
        if first:
            task = asyncio.create_task(self._gather(), name="waits")
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)

    async def _gather(self) -> None:
        await asyncio.sleep(_GATHER)
        groups, self._coming = list(_groups(self._coming)), []
        await asyncio.gather(*(self._round(group) for group in groups))

    async def _round(self, waiting: Sequence[_Waiter]) -> None:
        """Wait for a group until the end of the round, and let the rest of it join the next."""
        now = time.monotonic()
        end = (now // _ROUND + 1) * _ROUND
        while now < end and (waiting := [each for each in waiting if not each.woken.done()]):
            seconds = min(end, *(each.until for each in waiting)) - now
            try:
                came = await self._read(waiting, seconds)
            except ResponseError:  # of one; which it is, it will find out when it reads
                await asyncio.sleep(max(0.0, seconds))
                came = set()
            except (RedisError, OSError) as error:
                _fail(waiting, error)
                return
            now = time.monotonic()
            for each in waiting:
                if each.until <= now or came & each.places.keys():
                    _wake(each.woken)
        if rest := [each for each in waiting if not each.woken.done()]:
            self._join(rest)

    async def _read(self, waiting: Iterable[_Waiter], seconds: float) -> set[bytes]:
        """Return the streams in which there is something, when there is in one of them."""
        places: dict[bytes, bytes] = {}
        for each in waiting:
            for stream, place in each.places.items():
                known = places.setdefault(stream, place)
                if known != place:  # of another slot of the loop, which has read at another time
                    places[stream] = min(known, place, key=_order)
        block = max(1, math.ceil(seconds * 1000))
        command = ("XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", *places, *places.values())
        reply = await self._connections.send(command)
        return {row if isinstance(row, bytes) else row[0] for row in reply or ()}


def _groups(waiters: Iterable[_Waiter]) -> Iterable[list[_Waiter]]:
    """Cut into groups of so many streams as one read may have."""
    group: list[_Waiter] = []
    streams = 0
    for each in waiters:
        group.append(each)
        streams += len(each.places)
        if streams >= _STREAMS:
            yield group
            group, streams = [], 0
    if group:
        yield group


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)


def _fail(waiting: Iterable[_Waiter], error: Any) -> None:
    for each in waiting:
        if not each.woken.done():
            each.woken.set_exception(StoreUnavailable(f"Redis is away: {error}"))


def _order(place: bytes) -> tuple[int, ...]:
    return tuple(map(int, place.split(b"-")))
