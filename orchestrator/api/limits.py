"""A limit on bodies before anything of them is kept.

Django's ASGI handler reads a body to its end, onto the disk if need be, before a view is asked.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from orchestrator.api.errors import plain
from orchestrator.api.parsers import MAX_BODY

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _TooLarge(Exception):
    """More came than is allowed."""


class BodyLimit:
    """Answers 413 when a body has more than MAX_BODY bytes, declared or sent."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if _declared(scope) > MAX_BODY:
            await _refuse(send)
            return
        try:
            await self._application(scope, _counted(receive), send)
        except _TooLarge:
            await _refuse(send)


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise _TooLarge
        return message

    return counted


def _declared(scope: Message) -> int:
    value = dict(scope.get("headers", ())).get(b"content-length", b"0")
    return int(value) if value.isdigit() and len(value) < 20 else 0


async def _refuse(send: Send) -> None:
    answer = plain(413, f"the body has more than {MAX_BODY} bytes")
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(answer.body)})
