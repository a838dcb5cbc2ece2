"""Connections to databases, as sql-query and sql-poll use them.

PostgreSQL is reached by an address that the guard has checked; a SQLite database is a file of the
files folder, from which no statement reaches another file.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg.types.json import Jsonb

from nodes import files
from nodes.base import BaseNode
from nodes.builtin.rows import column_names
from nodes.builtin.sql_text import for_psycopg, for_sqlite
from nodes.builtin.sql_values import to_json
from nodes.contract import Json
from orchestrator.exceptions import InvalidRequest, NodeFailed
from orchestrator.security import egress
from storage.codec import encode

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_CONNECT_TIMEOUT = 10.0
_NO_FILE = f"{os.devnull}/none"
_BUSY = 5.0
_STEPS = 10_000
"""Steps of SQLite's machine between two looks at whether a statement was given up."""
_CLOSED_TO_FILES = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a statement gave. count: rows that it returned or changed. more: there were others."""

    rows: list[dict[str, Json]]
    count: int
    more: bool


class Database(Protocol):
    """One connection, opened when it is first needed and again when it was lost."""

    async def execute(
        self, sql: str, values: Mapping[str, Json], *, max_rows: int, timeout: float
    ) -> Result:
        """Run one statement in a transaction of its own.

        Raises:
            NodeFailed: the database refuses it, nobody answers, or not in time.
            EgressDenied: the host is closed to nodes.
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPlace:
    host: str
    port: int
    user: str
    password: str
    name: str
    ssl_mode: str


def parse_postgres(url: str) -> PostgresPlace:
    """Return what a URL says; nothing else, such as a file of keys, may be in it.

    Raises:
        InvalidRequest: it is none. Never with any part of it, as it holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or 5432
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise InvalidRequest("the address of the database cannot be read") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidRequest("the address must begin with postgresql://")
    if not parts.hostname or "," in parts.netloc.rpartition("@")[2]:
        raise InvalidRequest("the address must name one host")
    ssl_mode = options.pop("sslmode", "prefer")
    if options or ssl_mode not in SSL_MODES:
        raise InvalidRequest(f"the address may have one option: sslmode, {', '.join(SSL_MODES)}")
    return PostgresPlace(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        name=unquote(parts.path.removeprefix("/")) or "postgres",
        ssl_mode=ssl_mode,
    )


class Postgres:
    """See Database."""

    def __init__(self, place: PostgresPlace) -> None:
        self._place = place
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._limit = 0.0
        self._turn = asyncio.Lock()

    async def execute(
        self, sql: str, values: Mapping[str, Json], *, max_rows: int, timeout: float
    ) -> Result:
        async with self._turn:
            try:
                async with asyncio.timeout(timeout):
                    connection = await self._open(timeout)
                    return await _execute(connection, sql, values, max_rows)
            except TimeoutError:
                await self._drop()
                raise _too_slow(timeout) from None
            except (asyncio.CancelledError, OSError):
                await self._drop()
                raise
            except psycopg.Error as error:
                if self._connection is not None and self._connection.closed:
                    await self._drop()
                raise _refused(error) from None

    async def _open(self, timeout: float) -> "psycopg.AsyncConnection[Any]":
        """Return the connection, on which a statement ends after so many seconds."""
        if self._connection is None or self._connection.closed:
            self._connection, self._limit = await self._connect(), 0.0
        if timeout != self._limit:
            # The server does not notice a closed connection before its statement has ended.
            limit = f"{max(1, round(timeout * 1000))}ms"
            await self._connection.execute(
                "select set_config('statement_timeout', %s, false)", (limit,)
            )
            self._limit = timeout
        return self._connection

    async def _connect(self) -> "psycopg.AsyncConnection[Any]":
        place, failure = self._place, ""
        verified = place.ssl_mode.startswith("verify")
        for address in await egress.resolve(place.host, place.port):
            try:
                return await psycopg.AsyncConnection.connect(
                    host=address.host,
                    hostaddr=address.ip,
                    port=place.port,
                    user=place.user,
                    password=place.password,
                    dbname=place.name,
                    sslmode=place.ssl_mode,
                    connect_timeout=int(_CONNECT_TIMEOUT),
                    sslrootcert=egress.trusted_file() if verified else _NO_FILE,
                    # What the account that runs this has in its home is not the editor's.
                    passfile=os.devnull,
                    sslcertmode="disable",
                    gssencmode="disable",
                    application_name="workflow-orchestrator",
                    autocommit=True,
                )
            except psycopg.OperationalError as error:
                failure = str(error).strip()
        raise NodeFailed(f"cannot connect to {place.host}: {failure}", error_type="NotConnected")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        await self._drop()


async def _execute(
    connection: "psycopg.AsyncConnection[Any]", sql: str, values: Mapping[str, Json], max_rows: int
) -> Result:
    given = {k: Jsonb(v) if isinstance(v, dict | list) else v for k, v in values.items()}
    async with connection.cursor() as cursor:
        await cursor.execute(for_psycopg(sql), given, prepare=True)
        if cursor.description is None:
            return Result(rows=[], count=max(cursor.rowcount, 0), more=False)
        names = [column.name for column in cursor.description]
        found = await cursor.fetchmany(max_rows + 1)
    return _result(names, found, max_rows)


class Sqlite:
    """See Database. Every statement runs in one thread, which is this connection's own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None
        self._given_up = threading.Event()

    async def execute(
        self, sql: str, values: Mapping[str, Json], *, max_rows: int, timeout: float
    ) -> Result:
        self._given_up.clear()
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, self._execute, sql, values, max_rows
        )
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(work)
        except TimeoutError:
            await self._give_up(work)
            raise _too_slow(timeout) from None
        except asyncio.CancelledError:
            await self._give_up(work)
            raise
        except (sqlite3.Error, OverflowError) as error:
            raise _refused(error) from None

    async def _give_up(self, work: "asyncio.Future[Result]") -> None:
        self._given_up.set()
        await asyncio.gather(work, return_exceptions=True)

    def _execute(self, sql: str, values: Mapping[str, Json], max_rows: int) -> Result:
        if self._connection is None:
            self._connection = self._open()
        texts = {
            name: encode(value).decode() if isinstance(value, dict | list) else value
            for name, value in values.items()
        }
        with self._connection as connection:
            cursor = connection.execute(for_sqlite(sql), texts)
            if cursor.description is None:
                return Result(rows=[], count=max(cursor.rowcount, 0), more=False)
            names = [column[0] for column in cursor.description]
            return _result(names, cursor.fetchmany(max_rows + 1), max_rows)

    def _open(self) -> sqlite3.Connection:
        path = files.resolve(self._path)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(self._given_up.is_set, _STEPS)
        return connection

    async def close(self) -> None:
        self._given_up.set()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in _CLOSED_TO_FILES else sqlite3.SQLITE_OK


def _result(names: Sequence[str], found: Sequence[Sequence[Any]], max_rows: int) -> Result:
    columns = column_names(names)
    rows = [
        {name: to_json(value) for name, value in zip(columns, row, strict=True)}
        for row in found[:max_rows]
    ]
    return Result(rows=rows, count=len(rows), more=len(found) > max_rows)


def _too_slow(timeout: float) -> NodeFailed:
    return NodeFailed(f"the database took longer than {timeout:g} s", error_type="TooSlow")


def _refused(error: Exception) -> NodeFailed:
    kinds = tuple(base.__name__ for base in type(error).__mro__)
    return NodeFailed(str(error).strip(), error_type=type(error).__name__, kinds=kinds)


async def open_database(node: BaseNode) -> Database:
    """Return the database that `file` or `credential` of a node's form names.

    Raises:
        NodeFailed: the credential cannot be opened, or is no address of one.
    """
    if node.values["file"]:
        return Sqlite(str(node.values["file"]))
    credential = await node.credential("credential")
    url = credential.values.get("url", "")
    try:
        if url.startswith("sqlite:"):
            return Sqlite(sqlite_path(url))
        return Postgres(parse_postgres(url))
    except InvalidRequest as error:
        raise NodeFailed(
            f"the credential {node.values['credential']!r}: {error.message}",
            node_id=node.id,
            error_type="CredentialRefused",
        ) from None


def sqlite_path(url: str) -> str:
    """Return the path in `sqlite:///shop.db`, which is one inside the files folder.

    Raises:
        InvalidRequest: it is none. Never with any part of it, as it may hold a password.
    """
    path = url.removeprefix("sqlite:").removeprefix("//").removeprefix("/")
    if any(sign in path for sign in "?#@"):
        raise InvalidRequest("the address of a SQLite file has no password and no options")
    try:
        return str(files.check_path(unquote(path)))
    except InvalidRequest:
        raise InvalidRequest("the address must name a file inside the files folder") from None
