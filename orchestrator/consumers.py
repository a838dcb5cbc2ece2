"""WebSockets: `state_sync` on connect, then events whose numbers have no gap.

A client may send `{"type": "ping"}` and `{"type": "request_state"}`. `gap` tells that events were
dropped because the client was slow; `request_state` brings it up to date.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from contextlib import ExitStack
from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error

from orchestrator.exceptions import InvalidPayload, NotAllowed, NotFound
from orchestrator.runtime.feed_frames import Detail, numbered, opened, without_nodes
from orchestrator.runtime.feed_hub import FeedClient
from orchestrator.runtime.run_feed import PREFIX
from orchestrator.security.actors import SYSTEM, Actor, authorize
from orchestrator.services import live, runs
from storage.codec import decode

logger = logging.getLogger(__name__)

NOT_AUTHENTICATED, NOT_ALLOWED, UNKNOWN, TOO_MANY = 4401, 4403, 4404, 4429
INVALID, VIOLATION, TOO_BIG, TRY_LATER = 1003, 1008, 1009, 1013
MAX_MESSAGE = 4 * 1024
MAX_PER_SECOND = 20
MAX_SOCKETS = 10
CHECK_EVERY = 15.0


class LiveConsumer(AsyncWebsocketConsumer):
    """A socket that shows `state()` and the events of `watched()`.

    `scope["actor"]` and `scope["credential"]` were put there by the guard in `routing`. What a
    socket shows is read and made to text once for all that show the same; whether this one may see
    it is asked each time.
    """

    action: ClassVar[str] = "production.status"

    _open: ClassVar[Counter[int | None]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._received: deque[float] = deque(maxlen=MAX_PER_SECOND)
        self._sending = asyncio.Lock()
        self._sequence = 0
        self._closed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._actor: Actor = scope["actor"]
        try:
            await super().__call__(scope, receive, send)
        finally:  # also when the socket ended with an error, which `disconnect` does not see
            for task in self._tasks:
                task.cancel()
            self._stack.close()

    def watched(self) -> str | None:
        """Return the workflow or the run whose events are shown, or None for all workflows."""
        raise NotImplementedError

    @staticmethod
    async def state(watched: str, detail: Detail) -> dict[str, Any]:
        """Return the body of `state_sync`."""
        raise NotImplementedError

    async def connect(self) -> None:
        await self.accept()
        if self._open[self._actor.id] >= MAX_SOCKETS:
            await self.close(TOO_MANY)
            return
        detail = _detail(self.scope)
        if detail is None:
            await self.close(VIOLATION, "detail is all, counters or loops")
            return
        self._count_in()
        # Listen first: what happens while the state is read comes after it.
        client = self._stack.enter_context(live.feed_hub().client(self.watched(), detail))
        self._state = self._shared_state(detail)
        await self._send_state()
        if not self._closed:
            self._tasks = [
                asyncio.create_task(self._forward(client)),
                asyncio.create_task(self._check()),
            ]

    async def disconnect(self, code: int) -> None:
        self._closed = True

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        if not self._closed:
            self._closed = True
            await super().close(code, reason)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._closed:
            return
        if len(bytes_data or (text_data or "").encode("utf-8", "replace")) > MAX_MESSAGE:
            await self.close(TOO_BIG)
        elif self._too_often():
            await self.close(VIOLATION)
        else:
            await self._answer(text_data)

    async def _answer(self, text: str | None) -> None:
        try:
            message = decode(text or "")
        except InvalidPayload:
            await self.close(INVALID)
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ping":
            await self._send({"type": "pong"})
        elif kind == "request_state":
            await self._send_state()
        else:
            error = {"code": "invalid_request", "message": "send `ping` or `request_state`"}
            await self._send({"type": "error", "error": error})

    def _shared_state(self, detail: Detail) -> Any:
        show, watched = self.state, self.watched()

        async def read() -> str:
            return opened({**await show(watched or "", detail), "type": "state_sync"})

        return live.live().state((type(self), watched, detail), read)

    async def _send_state(self) -> None:
        try:
            authorize(self._actor, self.action, self.watched())
            text = await self._state.get()
        except NotAllowed:
            await self.close(NOT_ALLOWED)
        except NotFound:
            await self.close(UNKNOWN)
        except Error as error:
            logger.warning("a state could not be read: %s", error)
            await self.close(TRY_LATER)
        else:
            await self._send_numbered(text)

    async def _forward(self, client: FeedClient) -> None:
        while not self._closed:
            frame = await client.get()
            await self._send_numbered(frame.text(client.detail))

    async def _check(self) -> None:
        """End the socket when its session or token does not hold any more."""
        look = database_sync_to_async(live.watcher, thread_sensitive=False)
        while not self._closed:
            await asyncio.sleep(CHECK_EVERY)
            try:
                actor = await look(self.scope["credential"])
            except NotAllowed:
                await self.close(NOT_ALLOWED)
            except Error as error:
                logger.warning("a socket could not be checked again: %s", error)
            else:
                if actor is None:
                    await self.close(NOT_AUTHENTICATED)
                else:
                    self._actor = actor

    async def _send_numbered(self, text: str) -> None:
        async with self._sending:
            sequence, self._sequence = self._sequence, self._sequence + 1
            await self._send_text(numbered(text, sequence))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(message).decode())

    async def _send_text(self, text: str) -> None:
        if self._closed:
            return
        try:
            await self.send(text_data=text)
        except (OSError, RuntimeError):  # the client went away in this moment
            self._closed = True

    def _too_often(self) -> bool:
        now = time.monotonic()
        full = len(self._received) == MAX_PER_SECOND
        crowded = full and now - self._received[0] < 1.0
        self._received.append(now)
        return crowded

    def _count_in(self) -> None:
        self._open[self._actor.id] += 1
        self._stack.callback(self._count_out, self._actor.id)

    @classmethod
    def _count_out(cls, actor_id: int | None) -> None:
        cls._open[actor_id] -= 1
        if not cls._open[actor_id]:
            del cls._open[actor_id]


class WorkflowConsumer(LiveConsumer):
    """`/ws/workflows/<id>/`."""

    def watched(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["workflow_id"])

    @staticmethod
    async def state(watched: str, detail: Detail) -> dict[str, Any]:
        return _told(await _read(live.workflow_state)(SYSTEM, watched), detail)


class DashboardConsumer(LiveConsumer):
    """`/ws/dashboard/`."""

    def watched(self) -> None:
        return None

    @staticmethod
    async def state(watched: str, detail: Detail) -> dict[str, Any]:
        state = await _read(live.dashboard_state)(SYSTEM)
        workflows = [_told(workflow, detail) for workflow in state["workflows"]]
        return {**state, "workflows": workflows, **await live.live().more()}


class RunConsumer(LiveConsumer):
    """`/ws/runs/<run_id>/`."""

    action = "run.read"

    def watched(self) -> str:
        return f"{PREFIX}{self.scope['url_route']['kwargs']['run_id']}"

    @staticmethod
    async def state(watched: str, detail: Detail) -> dict[str, Any]:
        return await _read(runs.live_state)(SYSTEM, watched.removeprefix(PREFIX))


def _read(read: Any) -> Any:
    return database_sync_to_async(read, thread_sensitive=False)


def _told(status: dict[str, Any], detail: Detail) -> dict[str, Any]:
    """Return a status with as much of its loops as is wanted."""
    if detail is not Detail.LOOPS:
        return status
    return {**status, "loops": [without_nodes(loop) for loop in status["loops"]]}


def _detail(scope: Any) -> Detail | None:
    """Return what the address asks for, or None when there is no such detail."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("detail", ["all"])
    try:
        return Detail(asked[-1])
    except ValueError:
        return None
