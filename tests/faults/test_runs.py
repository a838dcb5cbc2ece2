"""Runs over HTTP whose workers are killed: they go on by themselves, and end complete."""

import json
import signal

import pytest

from tests.deployment import Deployment
from tests.waiting import eventually

pytestmark = pytest.mark.fault
LAST = 24
KILLED_AT = ("a:6", "b:13", "a:20")
GRAPH = {
    "name": "rounds",
    "nodes": [{"id": node, "type": "effect"} for node in "abc"],
    "edges": [
        {"source": "a", "target": "b"},
        {"source": "b", "target": "a", "condition": f"data.n < {LAST}"},
        {"source": "b", "target": "c", "condition": f"data.n >= {LAST}"},
    ],
    "entry_point": "a",
}
TRAIL = [*(f"{'ab'[n % 2]}:{n}" for n in range(LAST)), f"c:{LAST}"]


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path)
    yield deployed
    deployed.close()


def post(deployment, path, **body):
    answer = deployment.client.post(path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def effects(deployment):
    path = deployment.folder / "effects.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["key"] for line in lines]


def hold(deployment, key):
    """Let the next step with this key stand still when its effect is there."""
    (deployment.folder / "hold.new").write_text(key)
    (deployment.folder / "hold.new").rename(deployment.folder / "hold")


def begin(deployment, **options):
    graph_id = post(deployment, "/graph/create", **GRAPH)["graph_id"]
    state = {"n": 0, "trail": []}
    body = {"graph_id": graph_id, "initial_state": state, "wait": False, **options}
    return post(deployment, "/graph/run", **body)["run_id"]


def state_of(deployment, run_id):
    return deployment.client.get(f"/graph/state/{run_id}").json()


def ended(deployment, run_id):
    run = eventually(
        lambda: (
            (found := state_of(deployment, run_id))
            and found["status"] not in ("pending", "running")
            and found
        ),
        60,
    )
    assert isinstance(run, dict)
    return run


@pytest.mark.long
def test_a_run_outlives_its_workers(deployment):
    hold(deployment, KILLED_AT[0])
    workers = [deployment.start_worker() for _ in range(2)]
    run_id = begin(deployment)
    for key, following in zip(KILLED_AT, [*KILLED_AT[1:], "never"], strict=True):
        eventually(lambda key=key: key in effects(deployment), 60)
        assert state_of(deployment, run_id)["status"] == "running"
        owner = next(w for w in workers if w.pid == owner_of(deployment))
        owner.kill_all()
        workers.remove(owner)
        hold(deployment, following)
        workers.append(deployment.start_worker())
    run = ended(deployment, run_id)
    assert (run["status"], run["state"]) == ("completed", {"n": LAST + 1, "trail": TRAIL})
    done = effects(deployment)
    assert [*dict.fromkeys(done)] == TRAIL
    assert sorted({key for key in done if done.count(key) > 1}) == sorted(KILLED_AT)
    assert len(done) == len(TRAIL) + len(KILLED_AT)


def owner_of(deployment):
    """Return the pid of the process that made the last effect."""
    lines = (deployment.folder / "effects.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["pid"]


def test_a_run_that_stood_still_longer_than_its_lease_is_another_workers(deployment):
    hold(deployment, "a:6")
    zombie = deployment.start_worker()
    run_id = begin(deployment)
    eventually(lambda: "a:6" in effects(deployment), 60)
    zombie.send(signal.SIGSTOP)
    hold(deployment, "never")
    deployment.start_worker()
    run = ended(deployment, run_id)
    zombie.send(signal.SIGCONT)
    assert zombie.drain() is not None
    assert state_of(deployment, run_id) == run
    assert run["state"] == {"n": LAST + 1, "trail": TRAIL}
    assert effects(deployment).count("a:6") == 2 and len(effects(deployment)) == len(TRAIL) + 1
