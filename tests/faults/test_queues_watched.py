"""What `/queues/` says of workflows that real runners run."""

import pytest

from tests.faults.workflows import pipeline
from tests.waiting import eventually

pytestmark = pytest.mark.fault
Q = "queue_writer-1_reader-1"


def queue(deployment, workflow):
    answer = deployment.client.get(f"/queues/{workflow}/{Q}/")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_runner_samples_what_it_runs(deployment):
    deployment.start_runner()
    workflow = deployment.create(
        pipeline(name="Watched", items=None, pace=0.01, options={"max_length": 200})
    )
    assert queue(deployment, workflow)["in_per_second"] is None
    assert deployment.post("/prod/start", workflow).status_code == 202

    def sampled():
        row = queue(deployment, workflow)
        return row if row["in_per_second"] and row["out_per_second"] else None

    row = eventually(sampled, 60)
    assert 0 < row["fill"] <= 1 and row["dropped"] == 0
    assert 0 < row["in_hand"]["0"] <= 200
    assert deployment.post("/prod/stop", workflow).status_code == 202
    deployment.wait_for(workflow, "stopped")
    left = queue(deployment, workflow)
    purged = deployment.client.post(f"/queues/{workflow}/{Q}/purge", json={"confirm": Q})
    assert purged.status_code == 200, purged.text
    assert queue(deployment, workflow)["depth"] == left["depth"] - purged.json()["removed"]


def test_what_a_full_queue_drops_is_counted(deployment):
    deployment.start_runner()
    options = {"max_length": 300, "overflow": "drop_oldest"}
    workflow = deployment.create(pipeline(name="Dropping", items=None, pace=0.01, options=options))
    assert deployment.post("/prod/start", workflow).status_code == 202
    eventually(lambda: queue(deployment, workflow)["dropped"], 60)
    row = queue(deployment, workflow)
    assert row["depth"] <= 300 + sum(row["in_hand"].values())
