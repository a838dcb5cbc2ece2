"""One bench child as the web process sees it: its socket, the end of its log, its end."""

import asyncio
import contextlib
import functools
import os
import socket
from typing import Any

import orjson

from orchestrator.exceptions import NodeFailed, NodeTimeout
from orchestrator.runtime.bench import keeper
from orchestrator.runtime.bench.child import ANSWER_LIMIT
from orchestrator.runtime.bench.errors import opened
from orchestrator.runtime.forked import ForkedChild, fork, line

LOG_LIMIT = 64 * 1024
END_WITHIN = 10.0
_AT_ONCE = 4
_LOG_PAUSE = 0.001
"""Seconds between two chunks of a log, so that a flood costs this process little."""


class BenchProcess:
    """A child with its keeper, in the event loop that started it.

    `uses` counts the requests; `clean` tells whether the last one has left nothing behind.
    """

    def __init__(self, child: ForkedChild, log: "Log", channel: "Channel") -> None:
        self._child = child
        self._log = log
        self._channel = channel
        self.uses = 0
        self.clean = True

    @classmethod
    async def start(cls, memory: int) -> "BenchProcess":
        """Fork a child that may take so many bytes of memory.

        Raises:
            OSError, EOFError: the fork server was lost.
        """
        ours, theirs = os.pipe()
        try:
            main = functools.partial(keeper.main, memory=memory)
            child = await asyncio.to_thread(fork, main, output=theirs, name="bench")
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        child.connection.setblocking(False)
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(Channel, sock=child.connection)
        return cls(child, Log(ours), channel)

    @property
    def alive(self) -> bool:
        return self._channel.open

    async def ask(self, request: dict[str, Any], node_id: str) -> dict[str, Any]:
        """Send a request and return the answer, with its `log`.

        Raises:
            NodeTimeout: it took too long; end the child.
            NodeFailed, and what else `errors.opened` raises.
        """
        self.uses += 1
        self.clean = False
        self._log.clear()
        seconds = request["timeout"]
        try:
            async with asyncio.timeout(seconds):
                raw = await self._channel.ask(line(request))
        except TimeoutError:
            message = f"took longer than {seconds:g} s and was ended"
            raise NodeTimeout(
                message, node_id=node_id, error_type="NodeTimeout", trace=self._log.read()
            ) from None
        log = self._log.read()
        try:
            return {**self._open(raw, node_id), "log": log}
        except NodeFailed as error:
            error.trace = "\n".join(filter(None, (error.trace, log)))
            raise

    def _open(self, raw: bytes, node_id: str) -> dict[str, Any]:
        lost = {"lost": "the node closed its connection"}
        try:
            reply = orjson.loads(raw) if raw else lost
            self.clean = bool(reply.get("clean"))
            return opened(reply, node_id)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.clean = False
            return opened({"lost": "the node wrote into the answer"}, node_id)

    def _hang_up(self) -> None:
        """Let the keeper know that everything has to end, whatever is still to be sent."""
        with contextlib.suppress(OSError):  # a transport's own socket has no `shutdown` in uvloop
            self._child.connection.shutdown(socket.SHUT_WR)

    async def end(self) -> None:
        """End the child with everything it started, and let go of its pipes."""
        self._hang_up()
        try:
            # When its keeper is gone, everything else is.
            await asyncio.wait_for(asyncio.shield(self._channel.gone), END_WITHIN)
        except TimeoutError:
            self._child.kill()
        finally:
            self._channel.close()
            self._log.close()
            await asyncio.to_thread(self._child.forget, END_WITHIN)


class Channel(asyncio.Protocol):
    """The socket: one question at a time, one line as its answer."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer: asyncio.Future[bytes] | None = None
        self._received = bytearray()
        self._transport: asyncio.Transport

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    async def ask(self, question: bytes) -> bytes:
        """Return the next line; nothing when the other side has left."""
        if not self.open:
            return b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(question)
        try:
            return await self._answer
        finally:
            self._answer = None

    def data_received(self, data: bytes) -> None:
        """Take a line that is not empty; one that is too long is cut, and so is no answer."""
        self._received += data
        if b"\n" in data or len(self._received) > ANSWER_LIMIT:
            text = self._received.lstrip(b"\n").partition(b"\n")[0]
            self._received.clear()
            if text:
                self._give(bytes(text))

    def connection_lost(self, error: Exception | None) -> None:
        self._give(b"")
        if not self.gone.done():
            self.gone.set_result(None)

    def close(self) -> None:
        self._transport.abort()

    def _give(self, text: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(text)


class Log:
    """The end of what a child prints, read as it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = b""
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(descriptor, False)
        self._listen()

    def clear(self) -> None:
        self._end = b""

    def read(self) -> str:
        """Take what there is by now, and return the end of it all."""
        for _ in range(_AT_ONCE):
            if not self._take():
                break
        return self._end.decode("utf-8", "replace")

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._descriptor, self._look)

    def _look(self) -> None:
        """Take a chunk, then look away for a moment; for ever at the end."""
        self._loop.remove_reader(self._descriptor)
        if self._take():
            self._pause = self._loop.call_later(_LOG_PAUSE, self._listen)

    def _take(self) -> bool:
        try:
            chunk = os.read(self._descriptor, LOG_LIMIT)
        except BlockingIOError:
            return False
        self._end = (self._end + chunk)[-LOG_LIMIT:]
        return bool(chunk)
