"""The embedded Redis-protocol server: one per data folder, for whoever has no REDIS_URL.

It writes every change to an append-only file in `DATA_DIR/redis`, never evicts, and listens on a
unix socket in the data folder (or on loopback with a password, where the path is too long for a
socket). A server that already answers there is joined instead of started. It stops when the last
process that uses it has ended, see `lifeline`.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime import lifeline, private
from orchestrator.runtime.server_binary import find_server

LOCK = "lifeline.lock"
SOCKET_PATH_LIMIT = 108 if sys.platform == "linux" else 104
START_TIMEOUT = 120.0
_POLL = 0.01


@dataclass(slots=True, kw_only=True)
class EmbeddedServer:
    """A running server that this process uses. `hold` keeps it alive: children inherit it.

    `guard` is its parent, or None when another process has started it.
    """

    url: str
    folder: Path
    hold: int
    guard: "subprocess.Popen[bytes] | None"

    def alive(self) -> bool:
        """Tell whether it runs; one that was joined is asked."""
        if self.guard is not None:
            return self.guard.poll() is None
        return ping(self.url)

    def close(self, timeout: float = lifeline.GRACE) -> bool:
        """Let go of it, and tell whether it has ended: it goes on while others use it."""
        os.close(self.hold)
        deadline = time.monotonic() + timeout
        while self.alive():
            if lifeline.is_shared(self.folder / LOCK) or time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True


def open_server(data_dir: Path) -> EmbeddedServer:
    """Join the server of this data folder, or start it; return when it answers.

    Raises:
        StoreRefused: no usable server program was found.
        StoreUnavailable: it did not start.
    """
    folder = private.make_folder(private.make_folder(data_dir) / "redis")
    starting = _patiently(lambda: lifeline.claim(folder / "start.lock"))
    try:
        hold = _patiently(lambda: lifeline.hold(folder / LOCK))
        try:
            return _join(folder, hold) or _start(data_dir, folder, hold)
        except BaseException:
            os.close(hold)
            raise
    finally:
        os.close(starting)


@contextmanager
def redis_url(data_dir: Path, configured: str = "") -> Iterator[str]:
    """Give the configured URL, or that of the embedded server for as long as the block runs."""
    if configured:
        yield configured
        return
    server = open_server(data_dir)
    try:
        yield server.url
    finally:
        server.close()


def running(data_dir: Path) -> str:
    """Return the URL of the server of this data folder; empty when none answers there."""
    url = private.read(data_dir / "redis" / "url")
    return url if url and ping(url) else ""


def ping(url: str, timeout: float = 1.0) -> bool:
    """Tell whether the server at this URL answers, knows our password and has loaded its data."""
    parts = urlsplit(url)
    commands = [f"AUTH {parts.password}"] * bool(parts.password) + ["PING"]
    try:
        with _connect(parts, timeout) as connection:
            connection.sendall("".join(f"{line}\r\n" for line in commands).encode())
            with connection.makefile("rb") as answers:
                return all(answers.readline().startswith(b"+") for _ in commands)
    except OSError:
        return False


def _connect(parts: SplitResult, timeout: float) -> socket.socket:
    if parts.scheme != "unix":
        return socket.create_connection((parts.hostname, parts.port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(unquote(parts.path))
    except OSError:
        connection.close()
        raise
    return connection


def _join(folder: Path, hold: int) -> EmbeddedServer | None:
    url = private.read(folder / "url")
    if not url or not ping(url):
        return None
    return EmbeddedServer(url=url, folder=folder, hold=hold, guard=None)


def _start(data_dir: Path, folder: Path, hold: int) -> EmbeddedServer:
    binary = find_server(private.read(folder / "written_by"))
    url = _endpoint(data_dir, private.read(folder / "url"))
    private.write(folder / "url", url)
    private.write(folder / "server.conf", _configuration(folder, urlsplit(url)))
    private.write(folder / "written_by", str(binary))
    # Not our own output: who waits for its end would wait for that of the server.
    with (folder / "server.log").open("ab") as log:
        guard = subprocess.Popen(
            [
                *(sys.executable, "-m", lifeline.__name__, folder / LOCK, "--"),
                *(binary.path, folder / "server.conf"),
            ],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_until_it_answers(url, guard, folder / "server.log")
    return EmbeddedServer(url=url, folder=folder, hold=hold, guard=guard)


def _endpoint(data_dir: Path, last: str) -> str:
    """Return where to listen: on loopback the same as last time, for those who are still there."""
    path = data_dir / "redis.sock"
    if len(os.fsencode(path)) < SOCKET_PATH_LIMIT:
        return f"unix://{quote(str(path))}"
    parts = urlsplit(last)
    if parts.scheme == "redis" and _is_free(parts.port or 0):
        return last
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"redis://:{secrets.token_urlsafe(32)}@127.0.0.1:{free.getsockname()[1]}/0"


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _configuration(folder: Path, endpoint: SplitResult) -> str:
    lines = {
        "dir": _quoted(folder),
        "logfile": _quoted(folder / "server.log"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',  # the append-only file is all that is needed: no snapshots beside it
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    if endpoint.scheme == "unix":
        lines |= {"port": "0", "unixsocketperm": "600"}
        lines["unixsocket"] = _quoted(unquote(endpoint.path))
    else:
        lines |= {"bind": "127.0.0.1", "port": str(endpoint.port)}
        lines["requirepass"] = str(endpoint.password)
    return "\n".join(f"{name} {value}" for name, value in lines.items())


def _quoted(value: Path | str) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _wait_until_it_answers(url: str, guard: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not ping(url):
        if guard.poll() is not None:
            raise StoreUnavailable(f"The embedded server ended at its start; {log} says why.")
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"The embedded server does not answer; {log} may say why.")
        time.sleep(_POLL)


def _patiently(take: Callable[[], int | None]) -> int:
    """Wait for a lock that another process is about to release."""
    deadline = time.monotonic() + START_TIMEOUT
    while (fd := take()) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                "The embedded server of this data folder is neither up nor down."
            )
        time.sleep(_POLL)
    return fd
