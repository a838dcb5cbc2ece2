"""R9, R10: a queue that nobody reads holds its writer up, and nothing grows."""

import time

import pytest
import redis

from tests.faults.checker import Checker
from tests.faults.processes import MEGABYTE, resident
from tests.faults.workflows import ITEMS, PATIENCE, counter, hand_over, linked, recording, sink
from tests.waiting import eventually

pytestmark = pytest.mark.fault
WATCHED = 4 + ITEMS / 2000
"""Seconds for which a full queue is looked at."""
LIMITS = {"max_length": 500, "max_bytes": 2 * MEGABYTE}
QUEUE = "queue_writer-1_reader-1"


@pytest.mark.parametrize("limit", LIMITS)
def test_r9_a_queue_is_full(deployment, nemesis, row, limit):
    runner = deployment.start_runner()
    size = LIMITS[limit]
    ends = hand_over(options={limit: size})
    padding, door = ({"id": kind, "type": kind, "data": {}} for kind in ("padding", "door"))
    nodes = counter(ITEMS), padding, *ends, door, recording(), sink("out.jsonl")
    workflow = deployment.create(linked("Full", *nodes))
    checker = Checker(deployment, workflow, items=ITEMS)
    deployment.post("/prod/start", workflow)
    eventually(lambda: is_blocked(deployment, workflow))
    with redis.Redis.from_url(deployment.redis.url) as client:
        memory, server = resident(runner.tree()), client.info("memory")["used_memory"]
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            assert held(client, checker, limit) <= size
            time.sleep(0.2)
        assert is_blocked(deployment, workflow)
        assert client.info("memory")["used_memory"] - server < MEGABYTE
        grown = (resident(runner.tree()) - memory) / MEGABYTE
    assert grown < 20
    (deployment.folder / "open").touch()
    nemesis.note()
    deployment.wait_for(workflow, "completed", PATIENCE)
    name = f"R9 queue full by {limit.removeprefix('max_')}"
    row.add(name, checker.verdict(nemesis), f"runner grew by {grown:.1f} MB")
    assert [line["value"] for line in deployment.rows("out.jsonl")] == list(range(ITEMS))


def test_r10_a_cycle_of_blocking_queues_is_refused(deployment):
    there, back = hand_over("there"), hand_over("back")
    workflow = linked("Cycle", *there, *back)
    workflow["edges"].append({"id": "round", "source": back[1]["id"], "target": there[0]["id"]})
    answer = deployment.client.post("/workflows/", json=workflow)
    assert answer.status_code == 400
    assert "queue_writer-there_reader-there -> " in answer.text


def is_blocked(deployment, workflow):
    loop = deployment.loop(workflow, "source")
    return (loop["state"], loop["reason"]) == ("blocked", "queue_full")


def held(client, checker, limit):
    """Return what the queue holds, as its limit counts it."""
    if limit == "max_length":
        return client.xlen(checker.key(QUEUE))
    return sum(len(fields[b"b"]) for _, fields in client.xrange(checker.key(QUEUE)))
