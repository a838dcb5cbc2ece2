"""The services of the compose file as processes on loopback, as no container engine is at hand.

Each has the command, the environment and the health check that the file gives it, and nothing of
the environment of the tests. What differs is told by `_here`: names of hosts, ports, and paths.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.runtime.server_binary import find_server
from tests.deploy.described import EXAMPLE, Image, compose, env_file
from tests.deployment import descendants_of, send
from tests.postgres import Postgres, find_programs
from tests.waiting import eventually

HEALTHY = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Process:
    """One container of a service."""

    def __init__(self, topology: "Topology", service: str, number: int) -> None:
        self.topology, self.service = topology, service
        self.folder = topology.folder / f"{service}-{number}"
        (self.folder / "tmp").mkdir(parents=True)
        self.described = topology.services[service]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return self.topology.environment(self.service, self.folder)

    def launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.topology.here(self.described["command"], self.folder),
                cwd=self.topology.app, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until its health check says that it works."""
        eventually(self._healthy_or_gone, HEALTHY)

    def _healthy_or_gone(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        return self.check() == ""

    def check(self) -> str:
        """Run the health check; return what it complains of."""
        kind, *words = self.described["healthcheck"]["test"]
        command = words if kind == "CMD" else ["sh", "-c", *words]
        done = subprocess.run(
            self.topology.here(command, self.folder),
            cwd=self.topology.app, env=self.environment, capture_output=True, text=True,
            timeout=float(self.described["healthcheck"]["timeout"].removesuffix("s")), check=False,
        )  # fmt: skip
        return "" if done.returncode == 0 else done.stdout + done.stderr or "failed"

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Stop it as an engine does, and return its status; after the grace it would be killed."""
        if self._process is None:
            return 0
        grace = float(self.described.get("stop_grace_period", "10s").removesuffix("s"))
        tree = [self._process.pid, *descendants_of(self._process.pid)]
        self._process.terminate()
        try:
            return self._process.wait(grace)
        finally:
            for pid in tree:
                send(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        assert self.stop() == 0, self.log()
        self.launch()
        self.wait()


class Database:
    """The service postgres: a server with the account that its image makes."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs = programs
        self._described = described
        self.server = Postgres(programs)

    def start(self) -> None:
        given = self._described["environment"]
        self.server.start()
        self.server.run(
            f"create role {given['POSTGRES_USER']} login password '{given['POSTGRES_PASSWORD']}'"
        )
        self.server.run(f"create database {given['POSTGRES_DB']} owner {given['POSTGRES_USER']}")

    def run(self, command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command as `docker compose exec -T postgres` does."""
        environment = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "PGPASSWORD": self._described["environment"]["POSTGRES_PASSWORD"],
        }
        return subprocess.run(
            ["sh", "-c", command], env=environment, input=given, capture_output=True, check=False
        )

    def check(self) -> str:
        """Run the health check; return what it complains of."""
        kind, command = self._described["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        done = self.run(command)
        return "" if done.returncode == 0 else f"{done.stdout!r} {done.stderr!r}"

    def restart(self) -> None:
        self.server.restart()
        eventually(lambda: self.check() == "")

    def stop(self) -> None:
        self.server.stop()


class Topology:
    """All services, started in the order that `depends_on` asks for.

    Args:
        settings: what an operator writes into .env beside the example's text.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.app.mkdir()
        self.image = Image()
        self.image.unpack(self.app)
        self.env = {**env_file(EXAMPLE.read_text()), **settings}
        whole = compose(self.env)
        self.services = whole["services"]
        self.ports = {"redis": free_port(), "web": free_port()}
        for name, config in whole["configs"].items():
            (folder / name).write_text(config["content"])
        self.database = Database(self.services["postgres"])
        self.processes: dict[str, Process] = {}
        self.url = f"http://127.0.0.1:{self.ports['web']}"

    def environment(self, service: str, folder: Path) -> dict[str, str]:
        """Return what a container of a service finds in its environment."""
        described = self.services[service]
        ours = "build" in described
        found = {**self.image.environment, **self.env} if ours else {}
        found |= described.get("environment", {})
        found = {name: self._here(value, folder) for name, value in found.items()}
        found["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        if ours:
            found["PORT"] = str(self.ports["web"])
        return found

    def here(self, command: list[str], folder: Path) -> list[str]:
        words = [self._here(word, folder) for word in command]
        if words[0] == "redis-server":
            words[0] = str(find_server().path)
            words += ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
            words += ["--dir", str(folder)]
        return words

    def _here(self, text: str, folder: Path) -> str:
        changed = {
            "/tmp/": f"{folder}/tmp/",  # first, as the others put such a path in
            "@postgres:5432/": f"@127.0.0.1:{self.database.server.port}/",
            "@redis:6379/": f"@127.0.0.1:{self.ports['redis']}/",
            "redis-cli ": f"redis-cli -p {self.ports['redis']} ",
            "0.0.0.0": "127.0.0.1",
            "/etc/redis-users.acl": str(self.folder / "redis_users"),
        }
        if text == "/data":
            return str(self.folder / "data")
        for container, here in changed.items():
            text = text.replace(container, here)
        return text

    def run(self, *command: str, **environment: str) -> str:
        """Run a command as `docker compose run --rm migrate` does; return what it prints."""
        done = subprocess.run(
            self.here(list(command), self.folder), cwd=self.app, text=True, capture_output=True,
            env={**self.environment("migrate", self.folder), **environment}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, **scale: int) -> None:
        """Start everything; `scale` says how many containers a service gets."""
        waiting, ready = dict(self.services), set()
        while waiting:
            name = next(n for n in waiting if set(waiting[n].get("depends_on", ())) <= ready)
            described = waiting.pop(name)
            for process in self._of(described.get("depends_on", ())):
                process.wait()
            self._start(name, described, scale.get(name, 1))
            ready.add(name)
        for process in self.processes.values():
            process.wait()

    def _of(self, services: Iterable[str]) -> list[Process]:
        return [process for process in self.processes.values() if process.service in services]

    def _start(self, name: str, described: Mapping[str, Any], count: int) -> None:
        if name == "postgres":
            self.database.start()
            eventually(lambda: self.database.check() == "")
        elif "healthcheck" not in described:
            self.run(*described["command"])
        else:
            for number in range(1, count + 1):
                key = name if count == 1 else f"{name}-{number}"
                self.processes[key] = Process(self, name, number)
                self.processes[key].launch()

    def close(self) -> None:
        for process in reversed(self.processes.values()):
            process.stop()
        self.database.stop()


def secrets_for_tests() -> dict[str, str]:
    """Return what the example leaves to the operator, made as it says."""
    import base64

    return {
        "SECRET_KEY": base64.b64encode(os.urandom(48)).decode(),
        "ORCHESTRATOR_CREDENTIAL_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "REDIS_PASSWORD": secrets.token_hex(24),
    }


def missing_programs() -> list[str]:
    """Return what the health checks need and this machine has not."""
    return [
        *([] if shutil.which("redis-cli") else ["redis-cli"]),
        *([] if find_programs() else ["PostgreSQL"]),
    ]
