"""Line: a TCP proxy between a host and a server, which can be cut in several ways."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OPEN, RESET, STALL, HALF = "open", "reset", "stall", "half-close"


class _Link:
    """One connection: both its ends, and whether it is lost for good."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter | None) -> None:
        self.ends = [near] if far is None else [near, far]
        self.lost = False

    def reset(self) -> None:
        for end in self.ends:
            with contextlib.suppress(OSError):
                raw = end.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()

    def half_close(self) -> None:
        self.lost = True
        with contextlib.suppress(OSError, RuntimeError):
            self.ends[0].write_eof()


class Line:
    """Passes on to a port of this machine; `port` is where to connect.

    `reset` ends every connection with an error, and each new one. `stall` takes what is sent and
    says nothing, on new connections as well; those that there were stay so for good. `half-close`
    tells the client that the server is done, and goes on taking what is sent.

    Args:
        host: the address to listen on.
    """

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self._target = target
        self._mode = OPEN
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._serve, host, 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.host = host
        self.port: int = self._server.sockets[0].getsockname()[1]

    def url(self, url: str) -> str:
        """Return the URL of the server, by way of this line."""
        return url.replace(f"127.0.0.1:{self._target}", f"{self.host}:{self.port}")

    @property
    def links(self) -> int:
        """How many connections are in use: not lost."""
        return sum(not link.lost for link in list(self._links))

    def switch(self, mode: str) -> None:
        """Cut it, or open it again."""

        async def switch() -> None:
            self._mode = mode
            for link in list(self._links):
                if mode == RESET:
                    link.reset()
                elif mode == STALL:
                    link.lost = True
                elif mode == HALF:
                    link.half_close()

        asyncio.run_coroutine_threadsafe(switch(), self._loop).result(10)

    @contextmanager
    def cut(self, how: str) -> Iterator[None]:
        self.switch(how)
        yield
        self.switch(OPEN)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _end(self) -> None:
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == OPEN:
            try:
                inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
            except OSError:
                _Link(writer, None).reset()
                return
            link = _Link(writer, outer)
        else:
            inner, link = None, _Link(writer, None)
            link.lost = True
        self._links.add(link)
        try:
            if self._mode == RESET:
                link.reset()
            elif self._mode == HALF:
                link.half_close()
            back = None if inner is None else asyncio.create_task(_pass(link, inner, writer))
            await _pass(link, reader, None if inner is None else link.ends[1])
            if back is not None:
                await back
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.close()


async def _pass(
    link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None
) -> None:
    """Pass on what comes; once the link is lost it is taken, and goes nowhere."""
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            if writer is not None and not link.lost:
                writer.write(part)
                await writer.drain()
    if writer is not None and not link.lost:
        writer.close()
