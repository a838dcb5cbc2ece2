"""The protocol of Redis, as far as redis-publish needs it."""

import asyncio
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from orchestrator.exceptions import InvalidRequest, NodeFailed
from orchestrator.security import egress
from orchestrator.security.secret_values import scrub

_LONGEST = 4096
"""Bytes of an answer: a number, an id, an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    host: str
    port: int
    database: int
    user: str
    password: str
    tls: bool


def parse_redis(url: str) -> RedisPlace:
    """Return what an address such as `redis://user:password@host:6379/0` says.

    Raises:
        InvalidRequest: it is none. Never with any part of it, as it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or 6379
    except ValueError:
        raise InvalidRequest("the address cannot be read") from None
    database = parts.path.strip("/") or "0"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.query:
        raise InvalidRequest("the address must be like redis://host:6379/0, or rediss:// for TLS")
    if not (database.isascii() and database.isdigit() and len(database) < 6):
        raise InvalidRequest("the address must end with the number of a database")
    return RedisPlace(
        host=parts.hostname,
        port=port,
        database=int(database),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
    )


class RedisConnection:
    """One connection, for one command at a time."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, place: RedisPlace, timeout: float) -> "RedisConnection":
        """Connect and log in.

        Raises:
            NodeFailed: the server refuses it. EgressDenied: the host is closed to nodes.
            OSError, TimeoutError: nobody answers.
        """
        streams = await egress.connect(
            place.host, place.port, ssl=True if place.tls else None, timeout=timeout
        )
        connection = cls(*streams)
        try:
            if place.password:
                login = [place.user, place.password] if place.user else [place.password]
                await connection.call("AUTH", *login)
            if place.database:
                await connection.call("SELECT", str(place.database))
        except BaseException:
            connection.close()
            raise
        return connection

    async def call(self, *words: str | bytes) -> str | int:
        """Send a command and return its answer: a number or a short text.

        Raises:
            NodeFailed: the server answers with an error.
            OSError, EOFError: the connection is lost.
        """
        async with self._turn:
            encoded = [word.encode() if isinstance(word, str) else word for word in words]
            lines = [b"*%d\r\n" % len(encoded)]
            lines += [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
            self._writer.write(b"".join(lines))
            await self._writer.drain()
            return await self._answer()

    async def _answer(self) -> str | int:
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:].decode(errors="replace")
        if kind == b"-":
            # Half of a secret is not recognised any more: it is taken out before the cut.
            raise NodeFailed(f"Redis answers: {scrub(rest)[:500]}", error_type="RedisRefused")
        if kind == b"+":
            return rest
        if kind == b":" and rest.removeprefix("-").isdigit():
            return int(rest)
        if kind == b"$" and rest.isdigit() and int(rest) <= _LONGEST:
            return (await self._reader.readexactly(int(rest) + 2))[:-2].decode(errors="replace")
        raise OSError("the answer is not one of Redis")

    def close(self) -> None:
        self._writer.close()
