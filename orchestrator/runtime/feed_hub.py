"""One subscription to the feed per web process, fanned out to bounded queues.

A slow client never holds up the others, nor the loops: its queue has 64 places, and what does not
fit replaces the older event of the same thing, or the oldest. It is told how many it missed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

from orchestrator.exceptions import OrchestratorError
from storage.base import Feed
from storage.codec import decode

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 64
APART = "!"
"""What the name of something begins with that is no workflow, such as a run."""
BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)
Event = dict[str, Any]
_KEY = ("workflow_id", "type", "loop", "slot", "node")


class FeedClient:
    """What one listener has not read yet. `workflow` None stands for all workflows."""

    def __init__(self, workflow: str | None) -> None:
        self.workflow = workflow
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._gap = False
        self._ready = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event; when the queue is full, one is dropped and the gap is told."""
        if len(self._events) >= QUEUE_LENGTH:
            self._drop_for(event)
        self._events.append(event)
        self._ready.set()

    def mark_gap(self) -> None:
        """Tell that events may have been missed, nobody knows how many."""
        self._gap = True
        self._ready.set()

    async def get(self) -> Event:
        """Wait for the next event; `gap` comes before what was added after it."""
        while not (self._events or self._gap):
            self._ready.clear()
            await self._ready.wait()
        if self._gap:
            dropped, self._gap, self._dropped = self._dropped, False, 0
            return {"type": "gap", "dropped": dropped}
        return self._events.popleft()

    def _drop_for(self, event: Event) -> None:
        key = _key(event)
        same = next((i for i, e in enumerate(self._events) if _key(e) == key), 0)
        del self._events[same]
        self._dropped += 1
        self._gap = True


class FeedHub:
    """Subscribes when the first client comes, and again after Redis was away."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._clients: set[FeedClient] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def client(self, workflow: str | None = None) -> Iterator[FeedClient]:
        """Give a client of one workflow, or of all, that listens until the block is left."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="feed-hub")
        client = FeedClient(workflow)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

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
                async with aclosing(self._feed.subscribe()) as events:  # type: ignore[type-var]
                    async for workflow, body in events:
                        failures = 0
                        self._fan_out(workflow, body)
            except OrchestratorError as error:
                logger.warning("the feed is away: %s", error)
            for client in self._clients:
                client.mark_gap()
            await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
            failures += 1

    def _fan_out(self, workflow: str, body: bytes) -> None:
        own = workflow.startswith(APART)  # what is no workflow is shown to who asks for it
        wanted = (workflow,) if own else (None, workflow)
        listening = [c for c in self._clients if c.workflow in wanted]
        if not listening:
            return
        try:
            event = {**decode(body), "workflow_id": workflow}
        except (OrchestratorError, TypeError):
            logger.warning("the feed of %s sent something that is no event", workflow)
            return
        for client in listening:
            client.put(event)


def _key(event: Event) -> tuple[Any, ...]:
    return tuple(event.get(name) for name in _KEY)
