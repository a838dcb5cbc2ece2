"""Stops, drains and new versions of what runs: each at a boundary, and nothing is lost."""

import json
import signal

import pytest

from tests.deployment import lives
from tests.faults.workflows import chain, counter, delay, faulty, hand_over, linked, recording, sink
from tests.nodes.recording import DOOR, LOG
from tests.waiting import eventually

pytestmark = pytest.mark.fault


def endless(name, seconds=0.005, **reader):
    """counter -> queue -> delay -> file-writer, until somebody ends it."""
    workflow = linked(
        name, counter(None), *hand_over(1, {"max_length": 300}), delay(seconds), sink("rows.jsonl")
    )
    workflow["nodes"][2]["data"]["config"] = reader
    return workflow


def door(name, stop=5, pool="async"):
    held_back = {"id": "door", "type": "door", "data": {}}
    return chain(held_back, name=name, stop=stop, pool=pool)


def values(deployment, *paths):
    rows = [row for path in paths or ("rows.jsonl",) for row in deployment.rows(path)]
    return [row["value"] for row in rows]


def states(deployment, workflow):
    return {loop["loop"]: loop["state"] for loop in deployment.status(workflow)["loops"]}


def executed(deployment):
    """Return the ids of the items that a recording node has seen."""
    log = deployment.folder / LOG.name
    lines = log.read_text().splitlines() if log.exists() else []
    events = [json.loads(line) for line in lines]
    return [item for _, node, item, *_ in events if node == "record"]


def run(deployment, definition, **body):
    workflow = deployment.create(definition)
    assert deployment.post("/prod/start", workflow, **body).status_code == 202
    return workflow


def save(deployment, workflow, definition):
    answer = deployment.client.put(f"/workflows/{workflow}/", json=definition)
    assert answer.status_code == 200, answer.text


def test_a_drain_loses_nothing_and_leaves_nothing(deployment):
    deployment.start_runner()
    workflow = run(deployment, endless("Drained"))
    eventually(lambda: len(values(deployment)) > 100)
    assert deployment.post("/prod/drain", workflow).status_code == 202
    assert deployment.wait_for(workflow, "stopped")["desired"] in ("draining", "stopped")
    eventually(lambda: deployment.status(workflow)["desired"] == "stopped")
    found = values(deployment)
    assert found == list(range(len(found)))
    length = deployment.redis.ask("XLEN", "wo:{wf:drained}:q:queue_writer-1_reader-1")
    assert b":0" in length
    assert deployment.post("/prod/start", workflow).status_code == 202
    eventually(lambda: len(values(deployment)) > len(found) + 100)
    deployment.post("/prod/drain", workflow)
    deployment.wait_for(workflow, "stopped")
    found = values(deployment)
    assert found == list(range(len(found)))


def test_a_drain_goes_on_when_its_runner_dies(deployment):
    first = deployment.start_runner()
    workflow = run(deployment, endless("Orphaned", seconds=0.01))
    eventually(lambda: len(values(deployment)) > 50)
    deployment.post("/prod/drain", workflow)
    eventually(lambda: states(deployment, workflow)["source"] == "stopped")
    first.kill_all()
    deployment.start_runner()
    eventually(lambda: deployment.status(workflow)["desired"] == "stopped", 120)
    found = values(deployment)
    assert found == list(range(len(found)))


def test_one_loop_is_stopped_and_started_while_the_other_goes_on(deployment):
    deployment.start_runner()
    workflow = run(deployment, endless("Halved"))
    eventually(lambda: len(values(deployment)) > 50)
    deployment.post("/prod/stop", workflow, loop="reader-1")
    eventually(lambda: states(deployment, workflow)["reader-1"] == "stopped")
    assert states(deployment, workflow)["source"] in ("running", "blocked")
    before = len(values(deployment))
    deployment.post("/prod/start", workflow, loop="reader-1")
    eventually(lambda: len(values(deployment)) > before + 50)
    assert deployment.tokens(workflow) == {"source/0": 1, "reader-1/0": 2}
    found = values(deployment)
    assert found == list(range(len(found)))


@pytest.mark.parametrize("pool", ["async", "thread"])
def test_a_forced_stop_gives_up_the_item_in_hand_which_runs_again(deployment, pool):
    runner = deployment.start_runner()
    other = run(deployment, endless("Neighbour"))
    workflow = run(deployment, door("Shut", pool=pool))
    eventually(lambda: states(deployment, workflow)["source"] == "running")
    eventually(lambda: len(values(deployment)) > 20)
    hosts = runner.hosts()
    deployment.post("/prod/stop", workflow)
    assert deployment.status(workflow)["status"] == "stopping"  # it would wait for the door
    assert deployment.post("/prod/stop", workflow, force=True).status_code == 202
    eventually(lambda: deployment.status(workflow)["desired"] == "stopped", 10)
    assert runner.hosts() == hosts  # nothing had to be ended for it
    assert deployment.tokens(other) == {"source/0": 1, "reader-1/0": 1}
    (deployment.folder / DOOR.name).touch()
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed")
    assert values(deployment, "out.jsonl") == list(range(5))
    assert deployment.dead_letters(workflow) == []


def test_a_host_whose_loop_cannot_end_is_ended(deployment):
    deployment.start_runner()
    block = faulty("block", 3, seconds=50)
    blocked = chain(recording(), block, name="Blocked", stop=6, pool="process")
    workflow = run(deployment, blocked)
    for times in range(1, 5):  # as often as an item may be handed out, and once more
        eventually(lambda times=times: executed(deployment).count("source:1:4") == times)
        deployment.post("/prod/stop", workflow, force=True)
        eventually(lambda: deployment.status(workflow)["desired"] == "stopped", 15)
        deployment.post("/prod/start", workflow)
    blocked["nodes"][2]["data"]["form"]["value"] = -1
    save(deployment, workflow, blocked)
    deployment.post("/prod/stop", workflow, force=True)
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed", 90)
    assert values(deployment, "out.jsonl") == list(range(6))
    assert deployment.dead_letters(workflow) == []


def test_a_new_version_restarts_what_differs_and_keeps_the_items(deployment):
    deployment.start_runner()
    workflow = run(deployment, endless("Renewed"))
    eventually(lambda: len(values(deployment)) > 50)
    before = deployment.loop(workflow, "source")["iterations"]
    save(deployment, workflow, endless("Renewed", seconds=0.002))
    assert deployment.post("/prod/start", workflow).json()["version"] == 2
    eventually(lambda: deployment.tokens(workflow)["reader-1/0"] == 2)
    count = len(values(deployment))
    eventually(lambda: len(values(deployment)) > count + 100)
    assert deployment.tokens(workflow) == {"source/0": 1, "reader-1/0": 2}
    assert deployment.loop(workflow, "source")["iterations"] >= before
    moved = endless("Renewed", seconds=0.002)
    moved["nodes"][0]["position"] = {"x": 5, "y": 5}
    save(deployment, workflow, moved)
    assert deployment.post("/prod/start", workflow).status_code == 200
    deployment.post("/prod/drain", workflow)
    eventually(lambda: deployment.status(workflow)["desired"] == "stopped", 120)
    assert deployment.tokens(workflow) == {"source/0": 1, "reader-1/0": 2}
    found = values(deployment)
    assert found == list(range(len(found)))


def test_replicas_come_and_go_and_no_item_is_lost(deployment):
    deployment.start_runner()
    workflow = run(deployment, endless("Replicated"))
    paths = ("rows.jsonl", "rows-1.jsonl", "rows-2.jsonl")
    eventually(lambda: len(values(deployment)) > 50)
    save(deployment, workflow, endless("Replicated", replicas=3))
    deployment.post("/prod/start", workflow)
    eventually(lambda: all(len(values(deployment, path)) > 20 for path in paths[1:]))
    save(deployment, workflow, endless("Replicated", seconds=0.001))
    deployment.post("/prod/start", workflow)
    eventually(lambda: len(deployment.status(workflow)["loops"]) == 2)
    count = len(values(deployment))
    eventually(lambda: len(values(deployment)) > count + 50)
    deployment.post("/prod/drain", workflow)
    eventually(lambda: deployment.status(workflow)["desired"] == "stopped", 120)
    found = sorted(values(deployment, *paths))
    assert found == list(range(len(found)))


def test_a_runner_that_joins_later_gets_its_share(deployment):
    deployment.start_runner()
    chains = [chain(delay(), name=f"W{n}", stop=None, path=f"{n}.jsonl") for n in range(4)]
    ids = [run(deployment, each) for each in chains]
    eventually(lambda: all(deployment.rows(f"{n}.jsonl") for n in range(4)))
    deployment.start_runner()

    def holders():
        found = [deployment.loop(workflow, "source")["runner"] for workflow in ids]
        return sorted(found.count(one) for one in set(found) if one) if None not in found else []

    eventually(lambda: holders() == [2, 2])
    tokens = [deployment.tokens(workflow)["source/0"] for workflow in ids]
    assert sum(token > 1 for token in tokens) >= 2, "two loops have moved"
    for n, workflow in enumerate(ids):
        before = len(deployment.rows(f"{n}.jsonl"))
        eventually(lambda n=n, before=before: len(deployment.rows(f"{n}.jsonl")) > before + 20)
        deployment.post("/prod/stop", workflow)
        deployment.wait_for(workflow, "stopped")
        found = values(deployment, f"{n}.jsonl")
        assert found == list(range(len(found)))


def test_the_first_signal_drains_a_runner(deployment):
    runner = deployment.start_runner()
    workflow = run(deployment, endless("Terminated"))
    eventually(lambda: len(values(deployment)) > 50)
    runner.process.terminate()
    assert runner.process.wait(15) == 0  # it has 25 seconds, and nothing that would take them
    deployment.start_runner()
    before = len(values(deployment))
    eventually(lambda: len(values(deployment)) > before + 50, 15)
    assert deployment.tokens(workflow) == {"source/0": 2, "reader-1/0": 2}
    found = values(deployment)
    assert found == list(range(len(found)))


def test_the_second_signal_ends_a_runner_at_once(deployment):
    runner = deployment.start_runner()
    workflow = run(deployment, door("Impatient"))
    eventually(lambda: states(deployment, workflow)["source"] == "running")
    tree = runner.tree()
    runner.process.send_signal(signal.SIGTERM)
    eventually(lambda: states(deployment, workflow)["source"] == "draining")
    runner.process.send_signal(signal.SIGTERM)
    assert runner.process.wait(5) == 130
    eventually(lambda: not any(lives(pid) for pid in tree), 10)
    (deployment.folder / DOOR.name).touch()
    deployment.start_runner()
    deployment.wait_for(workflow, "completed")
    assert values(deployment, "out.jsonl") == list(range(5))
