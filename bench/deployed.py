"""A web process and runners of a benchmark's own, and what its processes take."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from dev_execute import Server, manage, wait_for
from sides import HERE

from orchestrator.runtime import lifeline
from orchestrator.security.keyring import new_key

_TICKS = os.sysconf("SC_CLK_TCK")


def python(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *arguments], text=True, **options)


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    return {**os.environ, "PYTHONPATH": paths, **more}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What runs. `options` are those of its processes, so that more can be started."""

    server: Server
    web: int
    tokens: list[str]
    folder: Path
    runners: list["subprocess.Popen[str]"] = field(default_factory=list)
    options: dict[str, Any]

    def start_runner(self) -> None:
        runner = python(str(HERE.parent / "manage.py"), "runner", cwd=self.folder, **self.options)
        self.runners.append(runner)

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.server.send("GET", f"/prod/status/{name}", None))

    def start(self, workflow: dict[str, Any]) -> None:
        """Create a workflow and start it."""
        self.server.send("POST", "/workflows/", workflow)
        self.server.send("POST", "/prod/start", {"workflow_id": workflow["name"]})


@contextlib.contextmanager
def deployed(
    redis_url: str, *, runners: int = 1, users: int = 1, **settings: str
) -> Iterator[Deployed]:
    """Run a web process and runners until the block ends, on SQLite unless settings say otherwise.

    Args:
        users: accounts, each with a token.
        settings: of every process, beside those that a benchmark needs.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as started:
        port = free_port()
        given = environment(
            DJANGO_SETTINGS_MODULE="contenders.our_settings", DATA_DIR=folder,
            REDIS_URL=redis_url, SECRET_KEY=secrets.token_urlsafe(32), PORT=str(port),
            ORCHESTRATOR_CREDENTIAL_KEYS=new_key(), LOG_LEVEL="WARNING",
            DJANGO_SUPERUSER_PASSWORD=secrets.token_urlsafe(16),
            **{"DATABASE_URL": "", **settings},
        )  # fmt: skip
        manage(given, "migrate", "-v0")
        tokens = []
        for name in range(users):
            manage(given, "createsuperuser", "--noinput", f"--username=u{name}", "--email=")
            tokens.append(manage(given, "create_token", f"u{name}").split()[-1])
        held, lost = os.pipe()
        started.callback(os.close, held)
        options = {"env": {**given, lifeline.VARIABLE: str(held)}, "pass_fds": [held]}
        web = python("-m", "orchestrator.runtime.web", cwd=folder, **options)
        system = Deployed(
            server=Server(port=port, token=tokens[0]), web=web.pid, tokens=tokens,
            folder=Path(folder), options=options,
        )  # fmt: skip
        started.callback(lambda: [each.wait() for each in (web, *system.runners)])
        started.callback(os.close, lost)  # first: what hears of it ends
        for _ in range(runners):
            system.start_runner()
        wait_for(port)
        yield system


def chain(name: str, *nodes: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """Return a workflow whose nodes, each an id, a type and its data, follow one another."""
    return {
        "name": name,
        "nodes": [{"id": i, "type": kind, "data": data} for i, kind, data in nodes],
        "edges": [
            {"id": f"{a}-{b}", "source": a, "target": b}
            for (a, *_), (b, *_) in pairwise(nodes)
        ],
    }  # fmt: skip


# What processes take, as Linux tells it


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    of_threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for file in of_threads for child in file.read_text().split()]
    return [pid, *(below for child in children for below in tree(int(child)))]


def cpu(*pids: int) -> float:
    """Return the seconds of processor time that processes have taken."""
    return sum(_ticks(pid, 11, 13) for pid in pids) / _TICKS


def cpu_of_ended(pid: int) -> float:
    """Return the seconds that children of a process had taken when they ended."""
    return _ticks(pid, 13, 15) / _TICKS


def _ticks(pid: int, first: int, end: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[first:end]))


def memory(pids: Iterable[int]) -> float:
    """Return the MB of processes; what they share is counted once."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("Pss:")]
    return sum(int(line.split()[1]) for line in lines) / 1024
