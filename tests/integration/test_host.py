"""A host by itself, at the other end of its supervisor's connection."""

import asyncio
import json
import socket
import threading
import time

import pytest

from orchestrator.runtime import clock, host
from orchestrator.runtime.forked import line
from tests.waiting import until

KEY = "turning/1/0"
COUNT = {
    "name": "Turning",
    "nodes": [
        {"id": "1", "type": "counter", "data": {"form": {"interval": 0.01}}},
        {"id": "2", "type": "debug", "data": {"form": {"message": "x"}}},
    ],
    "edges": [{"id": "a", "source": "1", "target": "2"}],
}


def start(token):
    place = {"workflow": "turning", "version": 1, "activation": 1, "loop": "1", "slot": 0}
    return {
        "op": "start", "key": KEY, "pool": "async", "definition": COUNT, "restore": None,
        "assignment": {**place, "token": token}, "credentials": {},
    }  # fmt: skip


class Supervisor:
    """Its end of the connection. `at_once` is sent and heard before the host, which has just said
    that a loop has ended, does anything else."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        self.host = host.Host(Eager(theirs, self))
        self.at_once = []
        self.said = []
        self._ours = ours
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, *orders):
        self._ours.sendall(b"".join(map(line, orders)))

    def answer(self):
        orders, self.at_once = self.at_once, []
        if orders:
            heard = clock.now() + 2000
            self.send(*orders, {"op": "renew", "until": heard})
            while self.host._deadline.at != heard:
                time.sleep(0.001)

    def _listen(self):
        with self._ours.makefile("rb") as reports:
            for report in reports:
                self.said.append(json.loads(report))

    def reports(self):
        return [said["loops"] for said in self.said if said.get("loops")]

    def ends(self):
        return sum(said["op"] == "ended" for said in self.said)


class Eager:
    def __init__(self, connection, supervisor):
        self._connection = connection
        self._supervisor = supervisor

    def sendall(self, data):
        self._connection.sendall(data)
        if b'"ended"' in data:
            self._supervisor.answer()

    def makefile(self, mode):
        return self._connection.makefile(mode)


@pytest.fixture
async def supervisor(live_redis, monkeypatch):
    # A host that was left ends its process some time later, which is that of the tests here.
    monkeypatch.setattr(host.threading, "Timer", lambda *_: threading.Thread())
    there = Supervisor()
    serving = asyncio.create_task(there.host.run())
    there.send({"op": "renew", "until": clock.now() + 1000})
    yield there
    there.send({"op": "exit"})
    await serving


async def test_a_loop_that_comes_back_at_once_is_heard(supervisor):
    supervisor.send(start(1))
    await until(supervisor.reports)
    supervisor.at_once = [start(2)]
    supervisor.send({"op": "stop", "key": KEY})
    await until(lambda: supervisor.ends() == 1)
    supervisor.said.clear()
    await until(supervisor.reports)
    supervisor.send({"op": "stop", "key": KEY})
    await until(lambda: supervisor.ends() == 1)
