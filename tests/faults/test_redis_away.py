"""Redis away: loops say so, wait and go on; nothing is lost and nothing is there twice."""

from collections import Counter

import pytest

from tests.faults.workflows import ITEMS, two_loops
from tests.waiting import eventually

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("fault", ["paused", "killed"])
def test_loops_wait_for_redis_and_go_on(deployment, fault):
    deployment.start_runner()
    workflow = deployment.create(two_loops())
    deployment.post("/prod/start", workflow)
    eventually(lambda: len(deployment.rows("rows.jsonl")) > 200)
    redis = deployment.redis
    redis.pause() if fault == "paused" else redis.kill()
    eventually(lambda: deployment.loop(workflow, "reader")["reason"] == "redis_down", 40)
    assert deployment.loop(workflow, "reader")["state"] == "degraded"
    assert deployment.client.get("/healthz").status_code == 200
    assert deployment.client.get("/readyz").status_code == 503
    request = {"workflow_id": workflow, "node_id": "source"}
    assert deployment.client.post("/dev/execute", json=request).status_code == 503
    redis.resume() if fault == "paused" else redis.start()
    deployment.wait_for(workflow, "completed", 60)
    rows = Counter(row["value"] for row in deployment.rows("rows.jsonl"))
    assert rows == Counter(range(ITEMS))
