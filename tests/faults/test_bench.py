"""Nodes on the bench that turn on their machine: nothing of them stays, and the web process serves.

What they start ends by itself after a while; what is looked for here is that it ended before.
"""

import contextlib
import http.client
import json
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.deployment import PROC, descendants_of
from tests.nodes.misbehaving import BOMB, LIFE
from tests.waiting import eventually

pytestmark = pytest.mark.fault
SLOWEST = 2.0
"""Seconds that an answer of the web process may take meanwhile, on a machine that is busy."""


def workflow(kind):
    return {
        "name": "Misbehaving",
        "nodes": [
            {"id": "1", "type": "counter", "data": {"form": {"stop": 1}}},
            {"id": "2", "type": kind, "data": {}},
        ],
        "edges": [{"id": "e", "source": "1", "target": "2"}],
    }


def request_for(action, kind, timeout):
    return {
        "workflow": workflow(kind),
        "node_id": "2",
        "input": {"action": action},
        "timeout": timeout,
    }


def execute(deployment, action, kind="misbehaving", timeout=5.0):
    body = request_for(action, kind, timeout)
    return deployment.client.post("/dev/execute", json=body, timeout=60)


def strays(deployment):
    """The pids of what nodes have started."""
    file = deployment.folder / "strays"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def living(pids):
    return [pid for pid in pids if _state(PROC / str(pid)) not in ("", "Z")]


def zombies(pids):
    return [pid for pid in pids if _state(PROC / str(pid)) == "Z"]


def _state(entry: Path) -> str:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@contextlib.contextmanager
def answering(deployment):
    """Ask the web process how it is all the time, and check that it always said so in time."""
    done, slow = threading.Event(), [0.0]

    def ask():
        with httpx.Client(base_url=deployment.url) as client:
            while not done.wait(0.02):
                began = time.monotonic()
                assert client.get("/healthz").status_code == 200
                slow.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert len(slow) > 1 and max(slow) < SLOWEST


@pytest.mark.parametrize("kind", ["misbehaving", "misbehaving-in-thread"])
def test_whatever_a_node_does_the_web_process_serves(deployment, kind):
    late = "took longer than 3 s and was ended"
    expected = {
        "bomb": (10, 422, "the node started more than 64 processes"),
        "flood_for_ever": (3, 504, late),
        "daemon_and_hang": (3, 504, late),
        "daemon_and_exit": (10, 422, "the node ended its process (exit code 3)"),
        "kill_parent": (10, 422, "the node closed its connection"),
        "write_into_sockets": (10, 422, "the node wrote into the answer"),
        "allocate": (30, 422, "MemoryError"),
    }
    assert execute(deployment, "nothing", kind).status_code == 200
    with answering(deployment):
        for action, (timeout, status, message) in expected.items():
            answer = execute(deployment, action, kind, timeout)
            assert (action, answer.status_code) == (action, status), answer.text
            assert message in answer.json()["error"]["message"]
            assert living(strays(deployment)) == []
    assert len(strays(deployment)) < BOMB
    assert deployment.web.poll() is None
    assert execute(deployment, "nothing", kind).status_code == 200
    assert zombies(descendants_of(deployment.web.pid)) == []


def test_what_a_node_started_ends_with_the_web_process(deployment):
    work = threading.Thread(target=_until_it_breaks, args=(deployment, "daemon_and_wait"))
    work.start()
    pids = eventually(lambda: strays(deployment))
    below = descendants_of(deployment.web.pid)
    assert set(pids) < set(below)
    deployment.web.kill()
    deployment.web.wait()
    work.join()
    eventually(lambda: not living([*pids, *below]), LIFE / 2)


def test_a_client_that_leaves_ends_what_it_has_started(deployment):
    address = deployment.url.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(address)) as connection:
        headers = {"Authorization": f"Bearer {deployment.token}"}
        body = json.dumps(request_for("daemon_and_wait", "misbehaving", LIFE))
        headers["Content-Type"] = "application/json"
        connection.request("POST", "/dev/execute", body, headers)
        pids = eventually(lambda: strays(deployment))
    eventually(lambda: not living(pids), LIFE / 2)
    assert execute(deployment, "nothing").status_code == 200


def _until_it_breaks(deployment, action):
    with contextlib.suppress(httpx.HTTPError):
        execute(deployment, action, timeout=LIFE)
