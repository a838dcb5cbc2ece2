"""R23: what has piled up while nobody read it is worked off, with memory that does not grow."""

import os
import statistics
import time

import pytest
import redis

from tests.faults.checker import Checker
from tests.faults.processes import MEGABYTE, resident
from tests.faults.workflows import ITEMS, counter, hand_over, linked, sink
from tests.waiting import eventually

pytestmark = pytest.mark.fault
BACKLOG = int(os.environ.get("BACKLOG_ITEMS") or 10 * ITEMS)
PATIENCE = 120 + BACKLOG / 500
"""Seconds to fill the queue, and to empty it."""
QUEUE = "queue_writer-1_reader-1"
BETWEEN = 0.05
"""Seconds between two requests."""


def test_r23_a_backlog_is_worked_off(deployment, nemesis, row, section):
    """The reader is killed with entries in hand before it begins: they come first."""
    first = deployment.start_runner()
    ends = hand_over(options={"max_length": BACKLOG, "max_bytes": 1024 * BACKLOG})
    door = {"id": "door", "type": "door", "data": {}}
    workflow = deployment.create(
        linked("Backlog", counter(BACKLOG), *ends, door, sink("out.jsonl"))
    )
    checker = Checker(deployment, workflow, items=BACKLOG, nodes=())
    deployment.post("/prod/start", workflow)
    with redis.Redis.from_url(deployment.redis.url) as client:
        key = checker.key(QUEUE)
        eventually(lambda: client.xlen(key) == BACKLOG, PATIENCE)
        in_hand = eventually(lambda: client.xpending(key, "loop")["pending"])
    first.kill_all()
    deployment.runners.remove(first)
    for _ in range(2):
        deployment.start_runner()
    (deployment.folder / "open").touch()
    eventually(lambda: deployment.rows("out.jsonl"), 60)
    begun = time.monotonic()
    asked, grown = watched(deployment, workflow, begun + PATIENCE)
    seconds = time.monotonic() - begun
    verdict = row.add("R23 backlog", checker.verdict(nemesis), f"runners grew by {grown:.1f} MB")
    p95 = statistics.quantiles(asked, n=20)[-1] * 1000
    section(
        "R23, an outage is caught up with",
        f"{BACKLOG} items queued, {in_hand} of them in hand of a runner that was killed; "
        f"worked off within {seconds:.1f} s; meanwhile {len(asked)} requests, "
        f"p50 {statistics.median(asked) * 1000:.0f} ms, p95 {p95:.0f} ms; "
        f"runners grew by {grown:.1f} MB",
    )
    assert verdict.dead == 0
    assert [line["value"] for line in deployment.rows("out.jsonl")] == list(range(BACKLOG))
    assert grown < 32


def watched(deployment, workflow, until):
    """Ask the API until the workflow has completed; return the seconds of each request, and the
    MB by which the runners grew at most."""
    paths = [
        f"/prod/status/{workflow}",
        f"/queues/?workflow_id={workflow}",
        "/workflows/",
        "/dead-letters/",
    ]
    pids = [pid for runner in deployment.runners for pid in runner.tree()]
    sizes, asked = [resident(pids)], []
    while True:
        for path in paths:
            begun = time.monotonic()
            assert begun < until, "the backlog is not worked off"
            answer = deployment.client.get(path)
            asked.append(time.monotonic() - begun)
            assert answer.status_code == 200, answer.text
            sizes.append(resident(pids))
            time.sleep(BETWEEN)
        if deployment.status(workflow)["status"] == "completed":
            return asked, (max(sizes) - sizes[0]) / MEGABYTE
