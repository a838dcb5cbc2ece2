"""A node that takes its process down, in every pool, takes nothing else down."""

from collections import Counter

import pytest

from tests.faults.workflows import chain, delay, faulty
from tests.waiting import eventually

pytestmark = pytest.mark.fault
CASES = [
    ("block", "async"),
    pytest.param("block", "thread", marks=pytest.mark.long),
    ("exit", "async"),
    pytest.param("exit", "thread", marks=pytest.mark.long),
    ("exit", "process"),
]


@pytest.mark.parametrize("action, pool", CASES)
def test_a_node_that_takes_its_process_down_takes_nothing_else_down(deployment, action, pool):
    deployment.start_runner()
    other = deployment.create(chain(delay(), name="Other", stop=None, path="other.jsonl"))
    culprit = deployment.create(
        chain(faulty(action, 50), name="Culprit", stop=100, path="culprit.jsonl", pool=pool)
    )
    deployment.post("/prod/start", other)
    eventually(lambda: len(deployment.rows("other.jsonl")) > 20)
    deployment.post("/prod/start", culprit)
    deployment.wait_for(culprit, "completed", 60)
    before = len(deployment.rows("other.jsonl"))
    eventually(lambda: len(deployment.rows("other.jsonl")) > before, 5)
    rows = Counter(row["value"] for row in deployment.rows("culprit.jsonl"))
    dead = eventually(lambda: deployment.dead_letters(culprit) or action == "block")
    lost = [] if dead is True else [x["item"]["value"] for x in dead]
    assert lost == ([] if action == "block" else [50])
    assert rows + Counter(lost) == Counter(range(100))
    if pool != "process":
        assert deployment.loop(culprit, "source")["isolated"]
    deployment.post("/prod/stop", other)
    deployment.wait_for(other, "stopped")
    values = [row["value"] for row in deployment.rows("other.jsonl")]
    assert values == list(range(len(values)))
