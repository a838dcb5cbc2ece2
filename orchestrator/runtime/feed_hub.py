"""One subscription to the feed per web process, fanned out to bounded queues.

A slow client never holds up the others, nor the loops: its queue has 64 places, and what does not
fit replaces the older event of the same thing, or the oldest. It is told how many it missed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress

from orchestrator.exceptions import OrchestratorError
from orchestrator.runtime.feed_frames import Detail, Event, Frame, frames
from orchestrator.runtime.rate_history import RateHistory
from storage.base import Feed

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 64
APART = "!"
"""What the name of something begins with that is no workflow, such as a run."""
BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)
_TURN = QUEUE_LENGTH // 2
"""Events after which the clients get their turn: one that keeps up misses nothing."""


class FeedClient:
    """What one listener has not read yet. `workflow` None stands for all workflows."""

    def __init__(self, workflow: str | None, detail: Detail = Detail.ALL) -> None:
        self.workflow = workflow
        self.detail = detail
        self.lost = 0
        """Events that were dropped so far."""
        self._frames: deque[Frame] = deque()
        self._dropped = 0
        self._gap = False
        self._ready = asyncio.Event()

    def put(self, frame: Frame) -> None:
        """Add an event; when the queue is full, one is dropped and the gap is told."""
        if len(self._frames) >= QUEUE_LENGTH:
            self._drop_for(frame)
        self._frames.append(frame)
        self._ready.set()

    def mark_gap(self) -> None:
        """Tell that events may have been missed, nobody knows how many."""
        self._gap = True
        self._ready.set()

    async def get(self) -> Frame:
        """Wait for the next event; `gap` comes before what was added after it."""
        while not (self._frames or self._gap):
            self._ready.clear()
            await self._ready.wait()
        if self._gap:
            dropped, self._gap, self._dropped = self._dropped, False, 0
            return Frame({"type": "gap", "dropped": dropped})
        return self._frames.popleft()

    def _drop_for(self, frame: Frame) -> None:
        same = next((i for i, old in enumerate(self._frames) if old.key == frame.key), 0)
        del self._frames[same]
        self._dropped += 1
        self.lost += 1
        self._gap = True


class FeedHub:
    """Subscribes from `start`, or its first client, to `close`; again after Redis was away."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._clients: set[FeedClient] = set()
        self._lost = 0
        """Events that clients who are gone did not get."""
        self._task: asyncio.Task[None] | None = None
        self.rates = RateHistory()

    def start(self) -> None:
        """Subscribe in the running event loop, if that has not been done."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="feed-hub")

    @contextmanager
    def client(
        self, workflow: str | None = None, detail: Detail = Detail.ALL
    ) -> Iterator[FeedClient]:
        """Give a client of one workflow, or of all, that listens until the block is left."""
        self.start()
        client = FeedClient(workflow, detail)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)
            self._lost += client.lost

    @property
    def listeners(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    @property
    def lost(self) -> int:
        """How many events were dropped because clients were slow, of all clients ever."""
        return self._lost + sum(client.lost for client in self._clients)

    def watches_all(self) -> bool:
        """Whether anybody listens to all workflows."""
        return any(client.workflow is None for client in self._clients)

    def tell_all(self, event: Event) -> None:
        """Give an event of this process's own to those who listen to all workflows."""
        frame = Frame(event)
        for client in self._clients:
            if client.workflow is None:
                client.put(frame)

    async def close(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                async with aclosing(self._feed.subscribe()) as messages:  # type: ignore[type-var]
                    async for name, body in messages:
                        failures = 0
                        await self._fan_out(name, body)
            except OrchestratorError as error:
                if not failures:
                    logger.warning("the feed is away: %s", error)
            self.rates.interrupt()
            for client in self._clients:
                client.mark_gap()
            await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
            failures += 1
            self.rates.resume()

    async def _fan_out(self, name: str, body: bytes) -> None:
        own = name.startswith(APART)  # what is no workflow is shown to who asks for it
        if own and not self._listening(name):
            return
        for number, frame in enumerate(frames(name, body), start=1):
            if not own:
                self.rates.take(name, frame.event)
            for client in self._listening(name):
                if frame.concerns(client.detail):
                    client.put(frame)
            if number % _TURN == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)  # a read of Redis that need not wait gives nobody a turn

    def _listening(self, name: str) -> list[FeedClient]:
        wanted = (name,) if name.startswith(APART) else (None, name)
        return [client for client in self._clients if client.workflow in wanted]
