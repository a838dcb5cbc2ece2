"""A node on the bench is ended by whoever cancels it, and when its client is gone."""

import json
import os
import threading
from http.client import HTTPConnection

import httpx
import pytest

from tests.deployment import _answers, _free_port
from tests.waiting import eventually

pytestmark = pytest.mark.fault
WORKFLOW = {
    "name": "Cancel",
    "nodes": [{"id": "1", "type": "counter"}, {"id": "2", "type": "misbehaving"}],
    "edges": [{"id": "a", "source": "1", "target": "2"}],
}
BODY = {"workflow_id": "cancel", "node_id": "2", "input": {"action": "daemon_and_wait"}}


@pytest.fixture
def bench(deployment):
    deployment.create(WORKFLOW)
    return deployment


def begun(bench):
    """Return the pid of the process that the node has started."""
    file = bench.folder / "strays"
    pid = eventually(lambda: file.exists() and file.read_text().strip())
    file.unlink()
    return int(pid)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def in_background(bench, answers):
    def run():
        answers.append(bench.client.post("/dev/execute", json=BODY))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_it_is_cancelled_by_another_web_process(bench):
    first, bench.environment["PORT"] = bench.environment["PORT"], str(_free_port())
    other = f"http://127.0.0.1:{bench.environment['PORT']}"
    bench._spawn("web2", "-m", "orchestrator.runtime.web")
    eventually(lambda: _answers(other))
    assert first not in other
    answers = []
    thread = in_background(bench, answers)
    pid = begun(bench)
    body = {"workflow_id": "cancel", "node_id": "2"}
    cancelled = httpx.post(f"{other}/dev/cancel", json=body, headers=bench.client.headers)
    assert (cancelled.status_code, cancelled.json()) == (200, {"cancelled": True})
    thread.join(10)
    assert answers[0].status_code == 409
    assert answers[0].json()["error"]["code"] == "cancelled"
    eventually(lambda: is_gone(pid))
    again = bench.client.post("/dev/cancel", json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    ok = bench.client.post("/dev/execute", json={**BODY, "node_id": "1", "input": None})
    assert ok.status_code == 200, ok.text


def test_it_ends_with_the_connection_of_its_client(bench):
    connection = HTTPConnection(bench.url.removeprefix("http://"))
    headers = {**bench.client.headers, "Content-Type": "application/json"}
    connection.request("POST", "/dev/execute", json.dumps(BODY), headers)
    pid = begun(bench)
    assert not is_gone(pid)
    connection.close()
    eventually(lambda: is_gone(pid), 10)
