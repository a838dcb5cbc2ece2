"""R11, R12: an item that cannot be worked on costs itself, and nobody else much."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PACE,
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
POISON = ITEMS // 2
MAX_DELIVERIES = 3
DELAY = 0.5


def test_r11_an_item_always_raises(deployment, nemesis, row):
    """It is tried as often as it may be, while others pass; its replay gives one output."""
    deployment.start_runner()
    poison = faulty("raise", POISON)
    retry = {"max_attempts": 4, "delay": DELAY, "backoff": 2, "jitter": 0}
    poison["data"]["config"] = {"retry": retry}
    nodes = counter(ITEMS), *hand_over(), delay(PACE), poison, sink("out.jsonl")
    workflow = deployment.create(linked("Raises", *nodes))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=())
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R11 an item raises 4 times", checker.verdict(nemesis))
    [letter] = deployment.dead_letters(workflow)
    assert (letter["item"], letter["reason"]) == ({"value": POISON}, "max_attempts")
    assert checker.recorder.count("fault") == 4
    assert [attempt["n"] for attempt in letter["attempts"]] == [1, 2, 3, 4]
    pauses = [b["at"] - a["at"] for a, b in pairwise(letter["attempts"])]
    assert all(pause >= DELAY * 2**n for n, pause in enumerate(pauses)), pauses

    (deployment.folder / "mended").touch()
    path = f"/dead-letters/{letter['id']}/replay"
    answers = [deployment.client.post(path, json={}).status_code for _ in range(2)]
    assert answers == [202, 409]
    eventually(lambda: checker.written()[POISON] == 1)
    row.add("R11 its replay, asked for twice", checker.verdict(nemesis))


@pytest.mark.parametrize("deployment", [{"block_limit": 5}], indirect=True)
@pytest.mark.parametrize(
    "action, pool",
    [
        ("kill", "async"),
        ("spin", "async"),
        pytest.param("spin", "process", marks=pytest.mark.long),
    ],
)
def test_r12_an_item_kills_its_process(deployment, nemesis, row, action, pool):
    """It is handed out as often as it may be; a loop of another workflow goes on."""
    deployment.start_runner()
    middle = recording("other"), delay(0.005)
    other = deployment.create(chain(*middle, name="Other", stop=None, path="other.jsonl"))
    poison = faulty(action, POISON)
    poison["data"]["config"] = {"pool": pool}
    nodes = counter(ITEMS), *hand_over(), delay(PACE), recording(), poison, sink("out.jsonl")
    culprit = deployment.create(linked("Culprit", *nodes))
    checker = Checker(deployment, culprit, items=ITEMS)
    recorder = checker.recorder
    deployment.post("/prod/start", other)
    eventually(lambda: recorder.count("other") > 300)
    deployment.post("/prod/start", culprit)
    deployment.wait_for(culprit, "completed", PATIENCE)
    verdict = checker.verdict(nemesis)
    deliveries = recorder.executions("fault")
    kept = speed(recorder, "other", deliveries[0].at, recorder.executions("record")[-1].at)
    remark = f"the other loop kept {kept:.0%} of its speed"
    row.add(f"R12 an item ends its process: {action}, pool {pool}", verdict, remark)
    assert (len(deliveries), checker.dead()) == (MAX_DELIVERIES, Counter([POISON]))
    assert deployment.dead_letters(culprit)[0]["reason"] == "worker_lost"
    deployment.post("/prod/stop", other)
    deployment.wait_for(other, "stopped")
    values = [line["value"] for line in deployment.rows("other.jsonl")]
    assert values == list(range(len(values)))


def speed(recorder, node, begun, ended):
    """Return the executions in a second of a span, as a share of those in the two before it."""
    times = [x.at for x in recorder.executions(node)]
    before = sum(begun - 2 < at <= begun for at in times) / 2
    return sum(begun < at <= ended for at in times) / (ended - begun) / before
