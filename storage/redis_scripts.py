"""Scripts on a Redis-protocol server, called with next to nothing around each call.

redis-py's client takes a connection from its pool for every command, looks at it, counts, and gives
it back: that costs more than a script. Here a connection is kept for the next call, with redis-py's
own connecting, packing, parsing and timeouts. Nothing is ever repeated, but for a script that the
server has been told to forget.
"""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from storage.redis_client import Client

_LUA = Path(__file__).with_name("lua")


@functools.cache
def script_text(flags: str, *names: str) -> str:
    """Return the text of a script that is made of these files: one, for all loops of a process."""
    return f"#!lua{flags}\n" + "\n".join((_LUA / f"{name}.lua").read_text() for name in names)


class Connections:
    """Connections of one client that are kept between calls; it closes them with its own."""

    def __init__(self, client: Client) -> None:
        self._pool = client.connection_pool
        self._idle: list[Any] = []

    async def send(self, *commands: Sequence[Any]) -> Any:
        """Send commands in one go and return the reply to the last one.

        Raises:
            RedisError: what the server, or the connection to it, answered.
        """
        connection = await self._take()
        try:
            packed = b"".join(hiredis.pack_command(tuple(command)) for command in commands)
            await connection.send_packed_command([packed])
            for _ in commands:
                reply = await connection.read_response()
        except ResponseError:
            if len(commands) == 1:
                self._idle.append(connection)
            else:
                await self._drop(connection)
            raise
        except (RedisError, OSError):
            # Whatever has ended this one may have ended those that wait to be used again.
            idle, self._idle = self._idle, []
            for each in (connection, *idle):
                await self._drop(each)
            raise
        except BaseException:
            await self._drop(connection)
            raise
        self._idle.append(connection)
        return reply

    async def _take(self) -> Any:
        """Return a connection that the server has not ended while nobody used it."""
        while self._idle:
            connection = self._idle.pop()
            reader = connection._reader
            if reader is not None and not reader.at_eof() and reader.exception() is None:
                return connection
            await self._drop(connection)
        return await self._pool.get_connection()

    async def _drop(self, connection: Any) -> None:
        """Close a connection on which a reply may still be on its way."""
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)


class Script:
    """A script and its hash."""

    def __init__(self, connections: Connections, text: str) -> None:
        self._connections = connections
        self._text = text
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, keys: Sequence[Any], args: Sequence[Any], *, after: Sequence[Any] = ()
    ) -> Any:
        """Run the script and return its reply.

        Args:
            after: a command that the server works off before, on the same way to it.
        """
        call = (len(keys), *keys, *args)
        before = (after,) if after else ()
        try:
            return await self._connections.send(*before, ("EVALSHA", self._hash, *call))
        except NoScriptError:
            return await self._connections.send(("EVAL", self._text, *call))
