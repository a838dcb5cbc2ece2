"""A reverse proxy in front of a site: HTTP and WebSockets, a prefix kept or taken away."""

import asyncio
import contextlib
import threading

HOP_BY_HOP = {b"host", b"connection"}


class Proxy:
    """Serves what is at a port below a prefix; `url` is where a browser goes.

    strip: whether the prefix is taken away, as `X-Forwarded-Prefix` then says.
    """

    def __init__(self, backend: int, prefix: str, *, strip: bool) -> None:
        self._backend, self._prefix, self._strip = backend, prefix, strip
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http://{self.host}{prefix}/"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def _end(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = self._changed(await reader.readuntil(b"\r\n\r\n"))
            if head is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
                return
            inner, outer = await asyncio.open_connection("127.0.0.1", self._backend)
            with contextlib.closing(outer):
                outer.write(head)
                sending = asyncio.create_task(_pass_on(reader, outer))
                await _pass_on(inner, writer)
                sending.cancel()

    def _changed(self, head: bytes) -> bytes | None:
        """Return the head for the backend; None for what is not below the prefix."""
        first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        method, path, version = first.split(b" ")
        prefix = self._prefix.encode()
        if not path.startswith(prefix + b"/"):
            return None
        path = path.removeprefix(prefix) if self._strip else path
        told = [b"X-Forwarded-Host: " + self.host.encode(), b"X-Forwarded-For: 203.0.113.9"]
        if self._strip:
            told.append(b"X-Forwarded-Prefix: " + prefix)
        upgrade = any(line.lower().startswith(b"upgrade:") for line in lines)
        told.append(b"Connection: " + (b"Upgrade" if upgrade else b"close"))
        kept = [line for line in lines if line.split(b":")[0].lower() not in HOP_BY_HOP]
        start = b" ".join((method, path, version))
        return b"\r\n".join((start, b"Host: backend.invalid", *kept, *told, b"", b""))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
