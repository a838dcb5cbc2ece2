"""R17: a runner is cut off from Redis, from the database, or from both.

It stops acting on its slots before another may take them, comes back by itself, and nothing is
lost or written twice.
"""

import time
from contextlib import ExitStack

import pytest

from tests.cluster.conftest import LEASE_TTL
from tests.cluster.line import HALF, RESET, STALL
from tests.faults.checker import Checker
from tests.faults.workflows import ITEMS, PACE, PATIENCE, counter, delay, linked, recording, sink
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.long]
CUT = 3 * LEASE_TTL


def begin(deployment, name):
    """Start counter -> queue -> delay -> recording -> file; return its id and its checker.

    When the counter has completed one slot is left, which no runner gives to another.
    """
    nodes = (
        counter(ITEMS),
        {"id": "writer", "type": "queue-writer", "data": {}},
        {"id": "reader", "type": "queue-reader", "data": {}},
        delay(2 * PACE),
        recording(name),
        sink(f"{name}.jsonl"),
    )
    workflow = deployment.create(linked(name, *nodes))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=(name,), paths=(f"{name}.jsonl",))
    deployment.post("/prod/start", workflow)
    eventually(lambda: deployment.loop(workflow, "source")["state"] == "completed")
    eventually(lambda: checker.executed() > ITEMS / 20)
    return workflow, checker


def alive(deployment, workflow, count):
    return lambda: deployment.status(workflow)["runners_alive"] == count


def executed_by(checker, runner, name):
    """Return the moments at which hosts of a runner executed the node."""
    hosts = set(runner.hosts())
    return lambda: [x.at for x in checker.recorder.executions(name) if x.pid in hosts]


@pytest.mark.parametrize("how", [RESET, STALL, HALF])
@pytest.mark.parametrize("servers", ["redis", "database", "redis and database"])
def test_r17_a_runner_is_cut_off(deployment, make_island, nemesis, row, servers, how):
    name = f"{servers}-{how}".replace(" ", "-")
    island, other = make_island(), make_island()
    runner = island.start_runner()
    workflow, checker = begin(deployment, name)
    other.start_runner()
    eventually(alive(deployment, workflow, 2))
    acts = executed_by(checker, runner, name)
    tokens = deployment.tokens(workflow)
    cut_at = time.monotonic()
    with ExitStack() as stack:
        for server in servers.split(" and "):
            stack.enter_context(island.lines[server].cut(how))
        nemesis.wait(CUT, CUT)
    nemesis.note()
    if "database" in servers:
        assert max(acts()) < cut_at + LEASE_TTL, "it acted on a slot that it could not renew"
        assert deployment.holder(workflow, "reader") is other.runner
    else:
        assert deployment.tokens(workflow) == tokens, "it renews its leases, and keeps its slots"
    eventually(alive(deployment, workflow, 2), 40)
    eventually(lambda: all(line.links for line in island.lines.values()), 40)
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add(f"R17 cut off from {servers}: {how}", checker.verdict(nemesis))
    assert runner.process.poll() is None
    assert runner.drain() == 0  # nothing of it hangs on what is dead


def test_r17_the_wire_is_pulled(deployment, make_island, wire, nemesis, row):
    """No packet passes, and no end of a connection is told."""
    island, other = make_island(wire.host, wire.inside), make_island()
    runner = island.start_runner()
    workflow, checker = begin(deployment, "wire")
    acts = executed_by(checker, runner, "wire")
    cut_at = time.monotonic()
    with wire.pulled():
        other.start_runner()
        nemesis.wait(CUT, CUT)
        eventually(lambda: deployment.holder(workflow, "reader") is other.runner)
    nemesis.note()
    assert max(acts()) < cut_at + LEASE_TTL
    eventually(alive(deployment, workflow, 2), 60)
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R17 cut off from both: packets dropped", checker.verdict(nemesis))
    assert runner.drain() == 0
