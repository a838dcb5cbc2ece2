"""R16: the clock of a runner's machine is wrong. Nothing that matters is told by it."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cluster.conftest import LEASE_TTL
from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PACE,
    PATIENCE,
    counter,
    delay,
    faulty,
    linked,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
POISON, DELAY, LATE = 7, 1.0, 5.0


@pytest.fixture(scope="module")
def library():
    """libfaketime, which gives a process another clock; the monotonic one stays."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if found:
        return str(found[0])
    if os.environ.get("REQUIRE_ALL"):
        pytest.fail("libfaketime is not installed")
    pytest.skip("libfaketime is not installed")


def tokens(deployment, postgres, workflow):
    """Return how often each slot was taken."""
    name = deployment.environment["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    query = f"select loop, slot, token from orchestrator_loopslot where workflow_id = '{workflow}'"
    return sorted(postgres.run(query, database=name))


def wrong(library, **fake):
    return {"LD_PRELOAD": library, "FAKETIME_DONT_FAKE_MONOTONIC": "1", **fake}


@pytest.mark.parametrize("clock", ["+1h", "-1h", "jumping"])
def test_r16_a_clock_is_wrong(
    deployment, make_island, postgres, library, nemesis, row, tmp_path, clock
):
    name = {"+1h": "fast", "-1h": "slow"}.get(clock, clock)
    hand = tmp_path / "clock"
    hand.write_text("+0\n")
    if clock == "jumping":
        fake = {"FAKETIME_TIMESTAMP_FILE": str(hand), "FAKETIME_CACHE_DURATION": "1"}
    else:
        fake = {"FAKETIME": clock}
    poison = faulty("raise", POISON)
    retry = {"max_attempts": 4, "delay": DELAY, "backoff": 2, "jitter": 0}
    poison["data"]["config"] = {"retry": retry}
    poison["id"] = f"fault-{name}"
    nodes = (
        counter(ITEMS),
        {"id": "writer", "type": "queue-writer", "data": {}},
        {"id": "reader", "type": "queue-reader", "data": {}},
        delay(2 * PACE),
        recording(name),
        poison,
        sink(f"{name}.jsonl"),
    )
    workflow = deployment.create(linked(name, *nodes))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=(name,), paths=(f"{name}.jsonl",))
    skewed = make_island().start_runner(**wrong(library, **fake))
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > POISON)
    assert deployment.holder(workflow, "reader") is skewed
    make_island().start_runner()
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 2)
    nemesis.wait(LEASE_TTL, LEASE_TTL)  # slots are shared out now
    before = tokens(deployment, postgres, workflow)
    if clock == "jumping":
        for offset in ("+1h", "-1h", "+30d", "-30d", "+0"):
            hand.write_text(f"{offset}\n")
            nemesis.wait(1.5, 1.5)
    deployment.wait_for(workflow, "completed", PATIENCE)
    assert tokens(deployment, postgres, workflow) == before, "a slot was taken from a living runner"
    verdict = row.add(f"R16 clock {clock}", checker.verdict(nemesis))
    assert verdict.dead == 1
    tried = [x.at for x in checker.recorder.executions(poison["id"])]
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert len(tried) == 4, "no attempt was lost, none came twice"
    for number, pause in enumerate(pauses):
        due = DELAY * 2**number
        assert due <= pause < due + LATE, pauses
    assert skewed.drain() == 0
