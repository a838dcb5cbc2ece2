"""A web server of a test's own, in a thread: it counts connections and keeps requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.thread_server import ThreadServer


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer; `data` is sent as JSON in the place of a body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    data: Any = None

    def encoded(self) -> bytes:
        body, headers = self.body, dict(self.headers)
        if self.data is not None:
            body = json.dumps(self.data).encode()
            headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Content-Length", str(len(body)))
        lines = [f"HTTP/1.1 {self.status} Told", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Raw = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer of its own; the connection is closed behind it."""


class WebServer(ThreadServer):
    """Answers with `answer(request)`, which gives a Reply, or a Raw for what is no proper one.

    hangs_up: it takes a connection and ends it, whatever protocol it is for.
    """

    def __init__(
        self,
        answer: Callable[[Received], "Reply | Raw"] = lambda request: Reply(),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Any = None,
        hangs_up: bool = False,
    ) -> None:
        super().__init__(host, port, tls)
        self.answer = answer
        self.connections = 0
        self.requests: list[Received] = []
        self._hangs_up = hangs_up

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._hangs_up:
            writer.close()
            return
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                reply = self.answer(request)
                if not isinstance(reply, Reply):
                    await reply(writer)
                    break
                writer.write(reply.encoded())
                await writer.drain()
        except OSError:
            pass  # the client has gone, as most of these tests want it to
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, target, _ = head[0].split(" ", 2)
    pairs = (line.split(":", 1) for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Received(method, url.path, parse_qs(url.query, True), headers, body)
