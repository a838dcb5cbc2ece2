"""R13, R14, R15: a loop's slot has one owner, however slow, late or contested."""

from concurrent.futures import ThreadPoolExecutor

import pytest

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
LEASE_TTL = 3


@pytest.mark.parametrize("action, pool", [("wait", "async"), ("hold", "process")])
def test_r13_a_slow_node_is_not_robbed(deployment, nemesis, row, action, pool):
    """Five leases long: in an event loop, and in native code that keeps the interpreter lock."""
    deployment.start_runner()
    deployment.start_runner()
    slow = faulty(action, 3, seconds=5 * LEASE_TTL)
    nodes = counter(10), recording(), slow, sink("out.jsonl")
    workflow = linked("Slow", *nodes)
    workflow["nodes"][0]["data"]["config"] = {"pool": pool}
    workflow = deployment.create(workflow)
    checker = Checker(deployment, workflow, items=10)
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed")
    verdict = row.add(f"R13 slow node: {action}", checker.verdict(nemesis))
    assert verdict.repeated == 0


def test_r14_a_runner_is_held_up(deployment, nemesis, row):
    """It wakes up when another has taken over, and writes nothing that the other has written."""
    deployment.start_runner()
    items = ITEMS // 5
    pace = 5 * LEASE_TTL / items
    nodes = counter(items), *hand_over(), recording(), delay(pace), sink("out.jsonl")
    workflow = deployment.create(linked("Held up", *nodes))
    checker = Checker(deployment, workflow, items=items)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > items / 20)
    zombie = deployment.holder(workflow, "reader-1")
    deployment.start_runner()
    with nemesis.frozen(zombie):
        before = checker.executed()
        eventually(lambda: checker.executed() > before + items / 10)
        nemesis.wait(LEASE_TTL, LEASE_TTL)
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R14 owner held up", checker.verdict(nemesis))


def test_r15_many_start_at_once(deployment, nemesis, row):
    for _ in range(3):
        deployment.start_runner()
    rounds = 5 + ITEMS // 1000
    items = 150 * rounds
    middle = recording(), delay(0.01)
    workflow = deployment.create(chain(*middle, name="Contested", stop=items))
    checker = Checker(deployment, workflow, items=items)
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 3)
    codes, tokens = [], [0]
    with ThreadPoolExecutor(10) as starters:
        for _ in range(rounds):
            starts = [starters.submit(deployment.post, "/prod/start", workflow) for _ in range(30)]
            codes += [start.result().status_code for start in starts]
            before = checker.executed()
            eventually(lambda seen=before: checker.executed() > seen)
            tokens.append(deployment.tokens(workflow)["source/0"])
            deployment.post("/prod/stop", workflow)
            deployment.wait_for(workflow, "stopped")
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add(f"R15 {len(codes)} starts in {rounds} rounds", checker.verdict(nemesis))
    assert set(codes) <= {200, 202, 409}
    assert codes.count(202) == rounds
    assert tokens == sorted(set(tokens))
    # Two owners would run everything twice; a heartbeat that starts have held up costs a few.
    assert verdict.repeated < items / 50
