"""The database of a deployment: a SQLite file in its folder, or, where DATABASE_URL names a
PostgreSQL server, a database of its own on it."""

import contextlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import dict_row


class Database(Protocol):
    """What tests do to a database that no request can."""

    url: str

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Run one statement with `?` for values; keep what it changes, and return its rows."""

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Let nobody else write."""

    def refusing(self, table: str) -> contextlib.AbstractContextManager[None]:
        """Let nobody insert into a table."""

    def copy(self, folder: Path) -> "Database":
        """Return a copy, for a deployment in a folder. Nobody may be connected."""

    def content(self) -> bytes:
        """Return all that is stored, for a search."""

    def drop(self) -> None:
        """Remove it, whoever is connected."""


class SqliteDatabase:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "db.sqlite3"
        self.url = f"sqlite:///{self._path}"

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._open() as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, values)]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with self._open() as database:
            database.execute("BEGIN EXCLUSIVE")
            yield
            database.execute("ROLLBACK")

    @contextlib.contextmanager
    def refusing(self, table: str) -> Iterator[None]:
        what = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        self.rows(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} {what}")
        yield
        self.rows("DROP TRIGGER refuse")

    def copy(self, folder: Path) -> "SqliteDatabase":
        made = SqliteDatabase(folder)
        shutil.copyfile(self._path, made._path)
        return made

    def content(self) -> bytes:
        return b"".join(file.read_bytes() for file in self._path.parent.glob("db.sqlite3*"))

    def drop(self) -> None:
        """Leave it to whoever removes the folder."""

    def _open(self) -> contextlib.closing[sqlite3.Connection]:
        return contextlib.closing(sqlite3.connect(self._path, timeout=30, isolation_level=None))


class PostgresDatabase:
    def __init__(self, server_url: str, template: str = "template1") -> None:
        self._server_url = server_url
        self._name = f"deployment_{uuid.uuid4().hex}"
        self.url = urlunsplit(urlsplit(server_url)._replace(path=f"/{self._name}"))
        self._tell_server(f"CREATE DATABASE {self._name} TEMPLATE {template}")

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as database:
            cursor = database.execute(sql.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with psycopg.connect(self.url) as database:
            database.execute(f"LOCK TABLE {', '.join(self._tables())} IN EXCLUSIVE MODE")
            yield
            database.rollback()

    @contextlib.contextmanager
    def refusing(self, table: str) -> Iterator[None]:
        what = "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        self.rows(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS {what}")
        self.rows(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")
        yield
        self.rows("DROP FUNCTION refuse CASCADE")

    def copy(self, folder: Path) -> "PostgresDatabase":
        return PostgresDatabase(self._server_url, self._name)

    def content(self) -> bytes:
        found = (self.rows(f"SELECT t::text AS line FROM {name} t") for name in self._tables())
        return "\n".join(row["line"] for rows in found for row in rows).encode()

    def drop(self) -> None:
        self._tell_server(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _tables(self) -> list[str]:
        found = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [row["tablename"] for row in found]

    def _tell_server(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as server:
            server.execute(statement)


def empty(folder: Path) -> Database:
    """Make the database of a deployment in a folder, without any table."""
    url = os.environ.get("DATABASE_URL", "")
    return PostgresDatabase(url) if url.startswith("postgres") else SqliteDatabase(folder)
