"""R24: clients of the status feed that do not read, beside one that does."""

import contextlib
import json
import os
import select
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.workflows import linked
from tests.waiting import eventually

pytestmark = pytest.mark.fault
NODES = 120
"""So many nodes tell of themselves that buffers are full in seconds."""
CUT_OFF_WITHIN = 25
"""Seconds: eleven as it is set up, and what a busy machine takes."""
MAX_GROWTH = 30 * 1024 * 1024
SMALL = 4096
PAUSED_FOR = 700 * 1024
"""Bytes of events that a pausing client leaves where they are: more than all buffers hold."""


class Reader:
    """A client that takes all that comes, in a thread of its own, and checks the numbers."""

    def __init__(self, deployment, path):
        self.messages = self.size = self.iterations = self.dropped = 0
        self.kinds = set()
        self.problem = None
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(opened(deployment, path))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self):
        self._stack.close()
        self._thread.join(10)

    def _read(self):
        with contextlib.suppress(ConnectionClosed):
            for text in self._socket:
                message = json.loads(text)
                if message["seq"] != self.messages:
                    self.problem = f"{message['seq']} came instead of {self.messages}"
                self.messages += 1
                self.size += len(text)
                self.kinds.add(message["type"])
                self.iterations = message.get("iterations", self.iterations)
                self.dropped += message.get("dropped", 0)


def opened(deployment, path, **options):
    address = deployment.url.replace("http", "ws") + path
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return connect(address, additional_headers=headers, max_size=None, **options)


def small_socket(deployment):
    """Return a connection in which little fits on this side."""
    address = urlsplit(deployment.url)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    small.connect((address.hostname, address.port))
    return small


def shaken(deployment, path):
    """Return a socket after the handshake, read to the end of the answer's head."""
    plain = small_socket(deployment)
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {urlsplit(deployment.url).netloc}\r\n"
        f"Authorization: Bearer {deployment.token}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    plain.sendall(head.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += plain.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return plain


class Trickle:
    """A client that reads 1 KB a second, until it is cut off."""

    def __init__(self, plain):
        self.ended = threading.Event()
        self._plain = plain
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError):
            while not self.ended.wait(0.25) and self._plain.recv(256):
                pass
        self.ended.set()


def is_cut_off(plain):
    """Tell whether the other end is gone, without reading anything."""
    poll = select.poll()
    poll.register(plain, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def resident(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def wide(deployment):
    """Start a workflow of many nodes at full speed, and return its id."""
    formula = {"form": {"fields": {"value": "{{ data.value }}"}}}
    middle = [{"id": f"n{i}", "type": "data-transformer", "data": formula} for i in range(NODES)]
    workflow = deployment.create(
        linked("Wide", {"id": "source", "type": "counter", "data": {"form": {}}}, *middle)
    )
    assert deployment.post("/prod/start", workflow).status_code == 202
    deployment.wait_for(workflow, "running")
    return workflow


def iterations(deployment, workflow):
    return sum(loop["iterations"] for loop in deployment.status(workflow)["loops"])


def test_who_does_not_read_is_cut_off_and_disturbs_nobody(deployment):
    deployment.start_runner()
    workflow = wide(deployment)
    path = f"/ws/workflows/{workflow}/"
    with contextlib.closing(Reader(deployment, path)) as healthy:
        eventually(lambda: healthy.iterations)
        before, memory = healthy.iterations, resident(deployment.web.pid)
        silent = shaken(deployment, path)
        trickle = Trickle(shaken(deployment, path))
        eventually(lambda: is_cut_off(silent) and trickle.ended.is_set(), CUT_OFF_WITHIN)
        known = iterations(deployment, workflow)
        eventually(lambda: healthy.iterations >= known)
        assert resident(deployment.web.pid) - memory < MAX_GROWTH
        assert known > before
        assert healthy.problem is None
        assert {"state_sync", "node_stats"} <= healthy.kinds
        assert healthy.dropped < healthy.messages  # those beside it do not starve it
        silent.close()


def test_who_does_not_read_a_quiet_feed_is_cut_off_as_well(deployment):
    silent = shaken(deployment, "/ws/dashboard/")
    eventually(lambda: is_cut_off(silent), CUT_OFF_WITHIN)
    silent.close()


def test_who_pauses_is_told_of_the_gap_and_gets_the_latest(deployment):
    deployment.start_runner()
    workflow = wide(deployment)
    path = f"/ws/workflows/{workflow}/"
    with (
        contextlib.closing(Reader(deployment, path)) as healthy,
        opened(deployment, path, sock=small_socket(deployment)) as pausing,
    ):
        assert json.loads(pausing.recv())["seq"] == 0
        begun = healthy.size
        eventually(lambda: healthy.size - begun > PAUSED_FOR)
        known = iterations(deployment, workflow)
        messages = iter(map(json.loads, pausing))
        numbers = []
        for message in messages:
            numbers.append(message["seq"])
            if message["type"] == "gap":
                break
        assert message["dropped"] > 0
        pausing.send('{"type": "request_state"}')
        state = next(m for m in messages if numbers.append(m["seq"]) or m["type"] == "state_sync")
        assert sum(loop["iterations"] for loop in state["loops"]) >= known
        assert numbers == list(range(1, 1 + len(numbers)))
        assert healthy.problem is None
        assert healthy.dropped < message["dropped"]
