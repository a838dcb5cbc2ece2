"""Reading an answer's body: never more than allowed, however well it was packed."""

import zlib

import httpx

from orchestrator.exceptions import EgressFailed

_PACKED = ("gzip", "x-gzip", "deflate")


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Return the unpacked body of a streamed response.

    Raises:
        EgressFailed: it is longer than `limit` bytes, packed in another way than was asked for, or
            cut short.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return await _read_plain(response, limit)
    if coding not in _PACKED:
        raise EgressFailed(f"the answer is packed as {coding[:100]!r}, which was not asked for")
    unpacker = _Unpacker(coding, limit)
    async for chunk in response.aiter_raw():
        unpacker.feed(chunk)
    return unpacker.finish()


async def _read_plain(response: httpx.Response, limit: int) -> bytes:
    said = response.headers.get("content-length", "")
    if response.request.method != "HEAD" and said.isdigit() and int(said[:20]) > limit:
        raise _too_long(limit)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise _too_long(limit)
    return bytes(body)


class _Unpacker:
    """Unpacks as much as there is room for, and not a chunk at once: one may hold 60 MB."""

    def __init__(self, coding: str, limit: int) -> None:
        self._gzip = coding != "deflate"
        self._limit = limit
        self._body = bytearray()
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> None:
        while chunk:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(chunk))
            try:
                room = self._limit - len(self._body) + 1
                self._body += self._stream.decompress(chunk, room)
            except zlib.error:
                raise EgressFailed("the answer cannot be unpacked") from None
            if len(self._body) > self._limit:
                raise _too_long(self._limit)
            chunk = self._stream.unused_data  # of gzip there may be several, one behind the other
            if self._stream.eof:
                self._stream = None if self._gzip else self._stream
                chunk = chunk if self._gzip else b""

    def finish(self) -> bytes:
        if self._stream is not None and not self._stream.eof:
            raise EgressFailed("the answer is cut short")
        return bytes(self._body)

    def _window(self, chunk: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # Some servers leave the header out; its low four bits are always 8.
        return zlib.MAX_WBITS if chunk[0] & 0x0F == 8 else -zlib.MAX_WBITS


def _too_long(limit: int) -> EgressFailed:
    return EgressFailed(f"the answer is longer than {limit} bytes")
