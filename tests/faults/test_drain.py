"""R18: what is told to end gives back what it has; a second signal ends it at once."""

import signal
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PATIENCE,
    chain,
    counter,
    delay,
    faulty,
    hand_over,
    linked,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
LONG_LEASE = 30
SOCKETS = 10


@pytest.mark.parametrize("deployment", [{"lease_ttl": LONG_LEASE}], indirect=True)
def test_r18_a_runner_drains(deployment, nemesis, row):
    """A loop that goes on long before the lease has run out was given back."""
    for _ in range(2):
        deployment.start_runner()
    background = {"id": "background", "type": "background", "data": {}}
    nodes = counter(ITEMS), *hand_over(), background, delay(0.3), recording(), sink("out.jsonl")
    workflow = deployment.create(linked("Drained", *nodes))
    checker = Checker(deployment, workflow, items=ITEMS)
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 2)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > 200)
    eventually(lambda: deployment.loop(workflow, "reader-1")["in_flight"] > 50)
    runner = deployment.holder(workflow, "reader-1")
    nemesis.note()
    assert runner.drain() == 0
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add("R18 runner drained", checker.verdict(nemesis))
    assert verdict.repeated == 0
    assert verdict.recovery < LONG_LEASE / 3


def test_r18_a_second_signal_ends_a_runner_at_once(deployment, nemesis, row):
    runner = deployment.start_runner()
    hung = faulty("wait", 50, seconds=15)
    workflow = deployment.create(chain(recording(), hung, name="Hung", stop=100))
    checker = Checker(deployment, workflow, items=100)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > 50)
    runner.process.terminate()
    eventually(lambda: deployment.loop(workflow, "source")["state"] == "draining")
    runner.process.send_signal(signal.SIGTERM)
    assert runner.process.wait(5) == 130
    nemesis.note()
    deployment.start_runner()
    (deployment.folder / "mended").touch()
    deployment.wait_for(workflow, "completed")
    row.add("R18 signalled twice", checker.verdict(nemesis))


def test_r18_the_web_process_tells_its_sockets(deployment):
    url = deployment.url.replace("http", "ws") + "/ws/dashboard/"
    headers = {"Authorization": f"Bearer {deployment.token}"}
    with ExitStack() as stack:
        opened = [connect(url, additional_headers=headers) for _ in range(SOCKETS)]
        for socket in opened:
            stack.enter_context(socket)
            socket.recv(timeout=10)
        deployment.web.terminate()
        assert [close_code(socket) for socket in opened] == [1012] * SOCKETS
    assert deployment.web.wait(30) == 0


def close_code(socket):
    try:
        while True:
            socket.recv(timeout=30)
    except ConnectionClosed as closed:
        return closed.rcvd.code
