"""`manage.py up` as real processes: it tells what works, restarts, drains, and leaves nothing."""

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import databases
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
PROC = Path("/proc")
OFTEN_KEPT = 6
"""Seconds: a little more than the five for which many clients keep an idle connection."""
pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not PROC.is_dir(), reason="looks for processes in /proc"),
]


class Up:
    """One `manage.py up` in a data folder, and the processes that work there."""

    def __init__(self, data_dir, port):
        self.data_dir = data_dir
        self.port = port
        self.log = data_dir.with_suffix(".log")
        self.process = None
        self.database = databases.empty(data_dir)

    def start(self):
        """Start it and wait until it has told what a person needs."""
        self.launch()
        eventually(lambda: "curl" in self.told() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.told()
        return self

    def launch(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, number):
        """Send a signal to the parent alone and wait for it."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def told(self):
        return self.log.read_text()

    def processes(self):
        """Return the command lines of what lives in the data folder, by process id."""
        return {pid: line for pid, line in _command_lines() if self._is_mine(pid)}

    def child(self, words):
        """Return the process id of the child with these words in its command line, or None."""
        return next((pid for pid, line in self.processes().items() if words in line), None)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            token = (self.data_dir / "token").read_text().strip()
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def status(self, workflow):
        return json.loads(self.get(f"/prod/status/{workflow}")[1])

    def _environment(self):
        """What a newcomer's shell has, without what the tests have set for themselves."""
        ours = ("DJANGO_", "PYTEST_", "TEST_DATA_OWNER", "REDIS_URL", "SECRET_KEY", "ORCHESTRATOR_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        kept["DATABASE_URL"] = self.database.url
        return {**kept, "DATA_DIR": str(self.data_dir), "PORT": str(self.port)}

    def _is_mine(self, pid):
        try:
            environment = (PROC / pid / "environ").read_bytes().split(b"\0")
            # The server overwrites its environment with its title; it works in the folder.
            cwd = os.readlink(PROC / pid / "cwd")
        except OSError:
            return False
        here = str(self.data_dir)
        return f"DATA_DIR={here}".encode() in environment or cwd.startswith(here)


def _command_lines():
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if line:  # a process that has ended has none
                yield entry.name, line.replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture
def make_up(tmp_path):
    made = []

    def make(name="data", port=None):
        made.append(Up(tmp_path / name, port or _free_port()))
        return made[-1]

    yield make
    for up in made:
        for pid in up.processes():
            os.kill(int(pid), signal.SIGKILL)
        up.database.drop()


@pytest.fixture
def up(make_up):
    return make_up().start()


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_what_it_tells_works_as_pasted(up):
    (line,) = re.findall(r"^ *(curl .*)$", up.told(), re.MULTILINE)
    pasted = subprocess.run(
        ["sh", "-c", f"{line} -w '\\n%{{http_code}}'"], capture_output=True, text=True, check=True
    )
    assert pasted.stdout.endswith("202"), pasted.stdout
    assert up.get("/healthz")[0] == 200
    eventually(lambda: up.status("hello-loops")["status"] == "completed", 60)
    for secret in ("token", "password", "secret_key"):
        assert (up.data_dir / secret).stat().st_mode & 0o777 == 0o600
    assert (up.data_dir / "password").read_text().strip() in up.told()
    assert '"GET /healthz HTTP/1.1" 200' in (up.data_dir / "files/logs/access.log").read_text()


def test_a_connection_is_kept_longer_than_clients_keep_it(up):
    """Who sends into a connection that closes right then can't know whether it was heard."""
    client = http.client.HTTPConnection("127.0.0.1", up.port, timeout=10)
    client.request("GET", "/healthz")
    assert client.getresponse().read()
    assert select.select([client.sock], [], [], OFTEN_KEPT)[0] == [], "closed, or talks by itself"
    client.request("GET", "/healthz")
    assert client.getresponse().status == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_nothing_is_left_and_the_next_start_goes_on(up, number):
    eventually(lambda: up.status("log-triage")["status"] == "running", 60)
    before = up.status("log-triage")
    password = (up.data_dir / "password").read_text()
    code = up.end(number)
    assert code == (-number if number == signal.SIGKILL else 0)
    eventually(lambda: not up.processes(), 60)
    assert "killed" not in up.told()
    up.start()
    assert up.status("log-triage")["activation"] == before["activation"]
    eventually(lambda: up.status("log-triage")["status"] == "running", 60)
    assert (up.data_dir / "password").read_text() == password
    assert up.end(signal.SIGTERM) == 0
    assert not up.processes()


def test_a_second_ctrl_c_ends_a_drain_that_hangs(up):
    runner = int(eventually(lambda: up.child("manage.py runner")))
    os.kill(runner, signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: "Draining" in up.told())
    assert up.end(signal.SIGINT) == 130
    eventually(lambda: not up.processes())


@pytest.mark.parametrize(
    "words", ["orchestrator.runtime.web", "manage.py runner", "manage.py worker", "-server unix"]
)
def test_a_child_that_dies_is_started_again(up, words):
    first = eventually(lambda: up.child(words))
    os.kill(int(first), signal.SIGKILL)
    eventually(lambda: up.child(words) not in (None, first))
    assert up.get("/healthz")[0] == 200
    assert up.end(signal.SIGTERM) == 0
    assert not up.processes()


def test_a_second_run_in_the_same_folder_is_refused(up, make_up):
    second = make_up(port=_free_port())
    second.log = up.data_dir.with_suffix(".second")
    second.launch()
    assert second.process.wait(30) == 1
    assert "runs already" in second.told()
    assert up.get("/healthz")[0] == 200


def test_a_port_in_use_is_named_before_anything_is_started(make_up):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = make_up(port=taken.getsockname()[1])
        up.launch()
        assert up.process.wait(30) == 1
    assert f"Port {up.port} cannot be used" in up.told()
    assert not up.processes()


def test_a_folder_that_cannot_be_used_is_named(make_up):
    up = make_up()
    up.data_dir.mkdir()
    (up.data_dir / "files").touch()  # nor could a folder be made on a disk that is full
    up.launch()
    assert up.process.wait(60) == 1
    assert f"{up.data_dir} cannot be used: " in up.told()
    assert "Traceback" not in up.told()
