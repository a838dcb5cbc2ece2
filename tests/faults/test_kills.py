"""Whatever is killed, every item ends up in exactly one place."""

import os
import signal
from collections import Counter
from contextlib import closing

import pytest

from tests.deployment import Deployment
from tests.faults import orders
from tests.faults.workflows import chain, delay, faulty
from tests.waiting import eventually

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("victim", ["host", "supervisor", "both"])
def test_another_runner_finishes_what_was_killed(deployment, victim):
    orders.ship_data(deployment)
    deployment.start_runner()
    deployment.start_runner()
    workflow = deployment.create(orders.slow_orders())
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 2)
    assert deployment.post("/prod/start", workflow).status_code == 202
    eventually(lambda: orders.written(deployment).total() > 500)
    holder = deployment.holder(workflow, orders.READER)
    hosts = holder.hosts()
    if victim != "supervisor":
        for pid in hosts:
            os.kill(pid, signal.SIGKILL)
    if victim != "host":
        holder.kill()
    deployment.wait_for(workflow, "completed", 90)
    missing = orders.asked() - orders.written(deployment)
    eventually(lambda: orders.dead(deployment, workflow) == missing)
    assert orders.written(deployment) + orders.dead(deployment, workflow) == orders.asked()


@pytest.mark.parametrize("pool", ["async", "thread", "process"])
@pytest.mark.parametrize("action", ["block", "exit"])
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


def test_a_node_that_never_gives_way_costs_one_item(tmp_path, redis_server):
    with closing(Deployment(tmp_path, block_limit=3)) as deployment:
        deployment.start_runner()
        workflow = deployment.create(chain(faulty("spin", 5), name="Spins", stop=20))
        deployment.post("/prod/start", workflow)
        deployment.wait_for(workflow, "completed", 60)
        [dead] = eventually(lambda: deployment.dead_letters(workflow))
        assert (dead["item"], dead["reason"]) == ({"value": 5}, "worker_lost")
        assert [row["value"] for row in deployment.rows("out.jsonl")] == [
            n for n in range(20) if n != 5
        ]


def test_a_node_that_raises_costs_one_item(deployment):
    deployment.start_runner()
    workflow = deployment.create(chain(faulty("raise", 7), name="Raises", stop=20))
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed")
    assert [row["value"] for row in deployment.rows("out.jsonl")] == [
        n for n in range(20) if n != 7
    ]
    [dead] = eventually(lambda: deployment.dead_letters(workflow))
    assert (dead["item"], dead["node_id"], dead["node_type"]) == ({"value": 7}, "fault", "faulty")


def test_a_drained_runner_gives_its_loops_back_at_once(deployment):
    runner = deployment.start_runner()
    workflow = deployment.create(chain(delay(), name="Drained", stop=400))
    deployment.post("/prod/start", workflow)
    eventually(lambda: len(deployment.rows("out.jsonl")) > 50)
    assert runner.drain() == 0
    assert deployment.loop(workflow, "source")["runner"] is None
    deployment.start_runner()
    deployment.wait_for(workflow, "completed")
    assert [row["value"] for row in deployment.rows("out.jsonl")] == list(range(400))
