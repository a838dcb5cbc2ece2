"""The system as an operator runs it: a server, the web process and runners, each a real process.

A test talks to it over HTTP only, and does to its processes what faults do.
"""

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from orchestrator.runtime.server_binary import find_server
from tests import databases
from tests.databases import Database
from tests.redis_server import RedisServer
from tests.waiting import eventually

ROOT = Path(__file__).parents[1]
PROC = Path("/proc")
USER, PASSWORD = "ada", "a-long-password"


class RunnerProcess:
    """`manage.py runner` and the processes below it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid

    def hosts(self) -> list[int]:
        """Return the pids of the hosts: they hang below the fork server, which hangs below us."""
        servers = children_of(self.pid)
        return [pid for server in servers for pid in children_of(server)]

    def tree(self) -> list[int]:
        """Return the pid of the runner and of all below it."""
        return [self.pid, *descendants_of(self.pid)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the runner and to all below it, the runner first."""
        for pid in self.tree():
            send(pid, number)

    def kill(self) -> None:
        """End the supervisor alone."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """End the supervisor and all below it at once."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def drain(self) -> int:
        self.process.terminate()
        return self.process.wait(40)


class Deployment:
    def __init__(
        self,
        folder: Path,
        *,
        lease_ttl: float = 3,
        block_limit: float = 60,
        web: bool = True,
        environment: Mapping[str, str] | None = None,
        database: Database | None = None,
        code: Path = ROOT,
    ) -> None:
        """Args:
        database: an empty one, instead of one like those of all deployments.
        code: where the processes that are started come from; it may be changed.
        """
        self.folder = folder
        self.code = code
        self.redis = RedisServer(find_server().path, durable=True)
        self.redis.start()
        self.environment = {
            **environment_of(folder),
            "REDIS_URL": self.redis.url,
            "LEASE_TTL": str(lease_ttl),
            "TEST_BLOCK_LIMIT": str(block_limit),
            "TEST_FOLDER": str(folder),
            **(environment or {}),
        }
        port = self.environment["PORT"] = str(_free_port())
        self.url = f"http://127.0.0.1:{port}"
        self.runners: list[RunnerProcess] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.database, self.token = self._prepare(database)
        if web:
            self.start_web()
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )

    def _prepare(self, database: Database | None) -> tuple[Database, str]:
        """Make the database with its account, and return it with the token."""
        if database is not None:
            self.environment["DATABASE_URL"] = database.url
            return database, _set_up(self.environment, self.code)
        template, token = template_database()
        copied = template.copy(self.folder)
        self.environment["DATABASE_URL"] = copied.url
        return copied, token

    def manage(self, *arguments: str) -> str:
        return _manage(self.environment, self.code, *arguments)

    def start_web(self) -> None:
        self.web = self._spawn("web", "-m", "orchestrator.runtime.web")
        eventually(lambda: _answers(self.url), 30)

    def _spawn(
        self,
        name: str,
        *arguments: str,
        inside: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*inside, sys.executable, *arguments],
                cwd=self.code, env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def start_runner(
        self, *arguments: str, inside: Sequence[str] = (), **environment: str
    ) -> RunnerProcess:
        """Start `manage.py runner`.

        Args:
            inside: a command that runs it, and becomes it.
        """
        runner = RunnerProcess(
            self._spawn(
                "runner", "manage.py", "runner", *arguments, inside=inside, environment=environment
            )
        )
        self.runners.append(runner)
        return runner

    def start_worker(self, *arguments: str, **environment: str) -> RunnerProcess:
        """Start `manage.py worker` with what it is to import, or with other arguments."""
        return RunnerProcess(
            self._spawn("worker", "manage.py", "worker", *arguments, environment=environment)
        )

    def workers(self) -> list[dict]:
        """Return the rows of the slots of workers."""
        return self.database.rows("SELECT * FROM orchestrator_workerslot ORDER BY slot")

    def take_worker_slots(self) -> None:
        """Take every slot away from its worker, as one would whose lease has ended."""
        self.database.rows(
            "UPDATE orchestrator_workerslot SET token = token + 1, expires_at = '2000-01-01'"
        )

    def log(self, name: str = "runner") -> str:
        return (self.folder / f"{name}.log").read_text()

    def create(self, workflow: dict) -> str:
        answer = self.client.post("/workflows/", json=workflow)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def tokens(self, workflow_id: str) -> dict[str, int]:
        """Return the token of each slot, by `loop/slot`, from the database."""
        rows = self.database.rows(
            "SELECT loop, slot, token FROM orchestrator_loopslot WHERE workflow_id = ?", workflow_id
        )
        return {f"{row['loop']}/{row['slot']}": row["token"] for row in rows}

    def break_definition(self, workflow_id: str, before: str, after: str) -> None:
        """Change a text in what is stored of a workflow, as no request could."""
        for row in self.database.rows(
            "SELECT id, definition FROM orchestrator_workflowversion WHERE workflow_id = ?",
            workflow_id,
        ):
            stored = row["definition"]
            text = stored if isinstance(stored, str) else json.dumps(stored)
            self.database.rows(
                "UPDATE orchestrator_workflowversion SET definition = ? WHERE id = ?",
                text.replace(before, after),
                row["id"],
            )

    def post(self, path: str, workflow_id: str, **body) -> httpx.Response:
        return self.client.post(path, json={"workflow_id": workflow_id, **body})

    def status(self, workflow_id: str) -> dict:
        answer = self.client.get(f"/prod/status/{workflow_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, workflow_id: str, status: str, timeout: float = 60) -> dict:
        def reached():
            now = self.status(workflow_id)
            return now if now["status"] == status else None

        return eventually(reached, timeout)

    def loop(self, workflow_id: str, loop: str) -> dict:
        return next(x for x in self.status(workflow_id)["loops"] if x["loop"] == loop)

    def holder(self, workflow_id: str, loop: str) -> RunnerProcess:
        """Return the runner process that holds a loop."""
        pid = int(self.loop(workflow_id, loop)["runner"].split(":")[1])
        return next(runner for runner in self.runners if runner.pid == pid)

    def rows(self, path: str) -> list[dict]:
        """Return the lines of a JSON lines file that are whole."""
        file = self.folder / "files" / path
        if not file.exists():
            return []
        whole = file.read_text().rpartition("\n")[0]
        return [json.loads(text) for text in whole.splitlines()]

    def dead_letters(self, workflow_id: str) -> list[dict]:
        """Return the newest 200 dead letters, whole."""
        params = {"workflow_id": workflow_id, "limit": 200}
        answer = self.client.get("/dead-letters/", params=params)
        assert answer.status_code == 200, answer.text
        found = [row["id"] for row in answer.json()["results"]]
        return [self.client.get(f"/dead-letters/{number}/").json() for number in found]

    def close(self) -> None:
        self.client.close()
        for process in reversed(self._processes):
            tree = [process.pid, *descendants_of(process.pid)]
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            for pid in tree:
                send(pid, signal.SIGKILL)
            process.wait()
        self.redis.stop()
        self.database.drop()


@functools.cache
def template_database() -> tuple[Database, str]:
    """Make one database for every deployment of this test process; return it and its token."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = databases.empty(folder)
    atexit.register(made.drop)
    return made, _set_up({**environment_of(folder), "DATABASE_URL": made.url})


def environment_of(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATA_DIR": str(folder),
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }


def _set_up(environment: Mapping[str, str], code: Path = ROOT) -> str:
    _manage(environment, code, "migrate", "-v0")
    _manage(environment, code, "createsuperuser", "--noinput", f"--username={USER}", "--email=")
    return _manage(environment, code, "create_token", USER).split()[-1]


def _manage(environment: Mapping[str, str], code: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=code, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    return [int(e.name) for e in PROC.iterdir() if e.name.isdigit() and _parent(e) == pid]


def descendants_of(pid: int) -> list[int]:
    below = children_of(pid)
    return [*below, *(pid for child in below for pid in descendants_of(child))]


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def lives(pid: int) -> bool:
    """Tell whether a process has not ended; one that nobody has waited for has."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
