"""R4, R5, R8: Redis away or full. Loops say so, wait and go on."""

import pytest
import redis

from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PACE,
    PATIENCE,
    counter,
    delay,
    hand_over,
    linked,
    pipeline,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
MEGABYTE = 1024**2
NODES = ("record-0", "record-1")


@pytest.fixture
def loaded(deployment):
    """A pipeline in the midst of its items: its id and its checker."""
    deployment.start_runner()
    workflow = deployment.create(pipeline(name="Loaded"))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=NODES)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 10)
    return workflow, checker


def degraded(deployment, workflow, loop="reader-1"):
    now = deployment.loop(workflow, loop)
    return (now["state"], now["reason"]) == ("degraded", "redis_down")


def test_r4_redis_is_paused(deployment, loaded, nemesis, row):
    workflow, checker = loaded
    with nemesis.redis_paused():
        # No sooner: a client gives up after 5 s.
        eventually(lambda: degraded(deployment, workflow), 40)
        assert deployment.client.get("/healthz").status_code == 200
        assert deployment.client.get("/readyz").status_code == 503
        request = {"workflow_id": workflow, "node_id": "source"}
        assert deployment.client.post("/dev/execute", json=request).status_code == 503
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R4 Redis paused", checker.verdict(nemesis))
    with redis.Redis.from_url(deployment.redis.url) as client:
        added = [stream["entries-added"] for stream in checker.streams(client)]
    assert sum(added) == ITEMS


def test_r5_redis_is_killed_twice(deployment, loaded, nemesis, row):
    workflow, checker = loaded
    for _ in range(2):
        with nemesis.redis_killed():
            eventually(lambda: degraded(deployment, workflow), 40)
            nemesis.wait(2, 2)
        before = checker.executed()
        eventually(lambda seen=before: checker.executed() > seen)
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add("R5 Redis killed twice", checker.verdict(nemesis))
    assert verdict.recovery < 30


def test_r8_the_memory_of_redis_is_full(deployment, nemesis, row):
    deployment.start_runner()
    workflow = deployment.create(
        linked(
            "Full memory",
            counter(ITEMS),
            {"id": "pad", "type": "padding", "data": {}},
            *hand_over(),
            delay(PACE),
            recording(),
            sink("out.jsonl"),
        )
    )
    checker = Checker(deployment, workflow, items=ITEMS)
    with redis.Redis.from_url(deployment.redis.url) as client:
        limit_memory(client, 2 * MEGABYTE)
        deployment.post("/prod/start", workflow)
        eventually(lambda: deployment.loop(workflow, "source")["state"] == "blocked")
        tokens = deployment.tokens(workflow)
        limit_memory(client, -MEGABYTE)  # what drains now does so in spite of it
        before = checker.executed()
        eventually(lambda: checker.executed() > before + 150)
        assert deployment.loop(workflow, "source")["state"] == "blocked"
        client.config_set("maxmemory", 0)
        nemesis.note()
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R8 Redis out of memory", checker.verdict(nemesis))
    assert deployment.tokens(workflow) == tokens


def limit_memory(client, more):
    """Let the server have so many bytes more than it uses now."""
    client.config_set("maxmemory", client.info("memory")["used_memory"] + more)
