"""A PostgreSQL server of the tests' own, on loopback, with one account that has a password.

`python -m tests.postgres COMMAND ...` runs a command with DATABASE_URL at such a server.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.redis_server import die_with_parent
from tests.waiting import eventually

USER, PASSWORD = "shop", "correct-horse-battery"


def find_programs() -> Path | None:
    """Return the folder of the server's programs, or None where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return places[0] if places else None


class Postgres:
    """A server in a folder of its own. It does not run as root: it refuses to.

    It keeps its data over `kill` and `start`, and over `restart`.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._account = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self._folder / "data"
        if self._account:
            shutil.chown(self._folder, "nobody")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def start(self) -> None:
        if not self._data.exists():
            self._make()
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-F",
             "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400", "-k", self._folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=self._folder, preexec_fn=die_with_parent, **self._account,
        )  # fmt: skip
        eventually(self._answers, 30)

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256",
             f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=self._folder, **self._account,
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            self.run("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """Have it offer TLS from now on."""
        for source, name in ((certificate, "ssl_cert_file"), (key, "ssl_key_file")):
            copy = self._folder / name
            shutil.copyfile(source, copy)
            copy.chmod(0o600)
            if self._account:
                shutil.chown(copy, "nobody")
            self.run(f"alter system set {name} = '{copy}'")
        self.run("alter system set ssl = on")
        self.run("select pg_reload_conf()")
        eventually(lambda: self.run("show ssl") == [("on",)])

    def run(self, sql: str, database: str = "postgres") -> list[tuple]:
        """Run statements and return the rows of the last one."""
        with psycopg.connect(self.url, autocommit=True, dbname=database) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End the server and every connection at once; the next start recovers from its log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop it as an engine or `pg_ctl -m fast` does, and start it again."""
        self._end(signal.SIGINT)
        self.start()

    def stop(self) -> None:
        self._end(signal.SIGINT)  # without waiting for those that are connected
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)


@contextmanager
def running() -> Iterator[Postgres]:
    """Run a server for a test; skips without the programs, fails under REQUIRE_ALL."""
    programs = find_programs()
    if programs is None:
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)("there is no PostgreSQL")
    server = Postgres(programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def main(command: list[str]) -> int:
    """Run a command beside a server, and return how it ended."""
    programs = find_programs()
    if programs is None:
        sys.stderr.write("PostgreSQL was not found: install it, or set DATABASE_URL yourself.\n")
        return 1
    server = Postgres(programs)
    try:
        server.start()
        return subprocess.run(
            command, env={**os.environ, "DATABASE_URL": server.url}, check=False
        ).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
