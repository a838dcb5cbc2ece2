"""Runners that come, leave and are told to leave; labels; and the command that hosts them."""

import json
import signal
import subprocess
import sys
from itertools import groupby

import pytest

from orchestrator.runtime import healthy
from tests.deployment import ROOT, Deployment, children_of, descendants_of, lives, send
from tests.faults import graphs
from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PACE,
    PATIENCE,
    chain,
    counter,
    delay,
    hand_over,
    linked,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
LONG_LEASE = 30


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path, lease_ttl=LONG_LEASE)
    yield deployed
    deployed.close()


def runner_ids(deployment, workflow):
    return {each["id"]: each for each in deployment.status(workflow)["runners"]}


@pytest.mark.long
def test_every_runner_is_replaced_under_load(deployment, nemesis, row):
    """A pause would last a lease if a slot were not given back, and two owners would mix."""
    for _ in range(2):
        deployment.start_runner()
    nodes = counter(ITEMS), *hand_over(), delay(3 * PACE), recording(), sink("out.jsonl")
    workflow = deployment.create(linked("Rolled", *nodes))
    checker = Checker(deployment, workflow, items=ITEMS)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 20)
    olds = list(eventually(lambda: len(x := runner_ids(deployment, workflow)) == 2 and x))
    for old in olds:
        deployment.start_runner()
        eventually(lambda: len(runner_ids(deployment, workflow)) == 3)
        nemesis.note()
        told = deployment.manage("drain_runner", old)
        assert told == f"{old} has ended.\n"
        assert old not in runner_ids(deployment, workflow)
    gone = [runner for runner in deployment.runners if str(runner.pid) in " ".join(olds).split(":")]
    assert [runner.process.wait(10) for runner in gone] == [0, 0]
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add("R18 every runner replaced", checker.verdict(nemesis))
    assert verdict.repeated == 0
    assert verdict.recovery < LONG_LEASE / 3
    owners = [pid for pid, _ in groupby(x.pid for x in checker.recorder.executions("record"))]
    assert len(owners) == len(set(owners)), "one after the other, never side by side"


def test_a_runner_that_is_not_there_cannot_be_drained(deployment):
    command = [sys.executable, "manage.py", "drain_runner", "nobody"]
    ended = subprocess.run(
        command, cwd=ROOT, env=deployment.environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "no runner 'nobody' is alive; alive: none" in ended.stderr


def test_a_loop_waits_for_a_runner_with_its_labels(deployment):
    deployment.start_runner()
    workflow = chain(delay(0.01), name="Picky", stop=20)
    workflow["nodes"][1]["data"]["config"] = {"runs_on": ["gpu", "eu"]}
    workflow = deployment.create(workflow)
    deployment.post("/prod/start", workflow)
    eventually(lambda: runner_ids(deployment, workflow))
    status = deployment.wait_for(workflow, "starting")
    assert status["reason"] == "waiting_for_runner: eu, gpu"
    assert status["loops"][0]["state"] == "pending"
    able = deployment.start_runner("--label=gpu", RUNNER_LABELS="eu")
    deployment.wait_for(workflow, "completed")
    told = next(x for x in runner_ids(deployment, workflow).values() if f":{able.pid}:" in x["id"])
    assert told["labels"] == ["eu", "gpu"]
    assert f"loop {workflow}" not in deployment.log()


@pytest.mark.parametrize("command", ["runner", "worker"])
def test_what_is_no_label_is_refused(deployment, command):
    process = [sys.executable, "manage.py", command, "--label=a b"]
    ended = subprocess.run(
        process, cwd=ROOT, env=deployment.environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "'a b' is no label" in ended.stderr


def test_a_run_and_its_group_wait_for_a_worker_with_their_labels(deployment):
    deployment.start_worker("--import=tests.worker_tasks")
    eventually(deployment.workers)
    members = [
        {"name": name, "tool": "test.add", "arguments": {"left": 1}} for name in ("one", "two")
    ]
    form = {"members": members, "executor": "distributed"}
    node = {"id": "both", "type": "group", "data": {"form": form, "config": {"runs_on": "gpu"}}}
    graph = {"name": "Picky", "entry_point": "both", "nodes": [node], "edges": []}
    run = graphs.start(deployment, graph, {}, wait=False).json()
    assert run["status"] == "pending", json.dumps(run)
    able = deployment.start_worker("--import=tests.worker_tasks", "--label=gpu")
    ended = graphs.ended(deployment, run["run_id"])
    assert ended["status"] == "completed", json.dumps(ended)
    able.process.send_signal(signal.SIGTERM)
    able.process.wait(40)
    owners = {"gpu" in row["labels"]: row["processed"] for row in deployment.workers()}
    assert owners == {False: 0, True: 2}  # the run, and the one batch of its members


def test_a_cluster_command_hosts_and_drains(deployment):
    workflow = deployment.create(chain(delay(0.01), name="Hosted", stop=None))
    deployment.post("/prod/start", workflow)
    command = ("manage.py", "cluster", "--runners=2", "--workers=1")
    driver = deployment._spawn("cluster", *command)
    eventually(lambda: len(runner_ids(deployment, workflow)) == 2, 60)
    eventually(lambda: len([w for w in deployment.workers() if w["worker"]]) == 1, 60)
    children = descendants_of(driver.pid)
    driver.terminate()
    assert driver.wait(60) == 0
    assert not runner_ids(deployment, workflow)
    assert children
    eventually(lambda: not [pid for pid in children if lives(pid)])


def test_a_cluster_command_gives_the_signs_of_life_for_all_that_it_hosts(deployment, tmp_path):
    signs = {healthy.VARIABLE: str(tmp_path / "alive")}
    command = ("manage.py", "cluster", "--workers=1")
    driver = deployment._spawn("cluster", *command, environment=signs)
    workers = lambda: [row["worker"] for row in deployment.workers() if row["worker"]]  # noqa: E731
    eventually(workers, 60)
    first, file = workers(), (tmp_path / "alive").stat().st_ino
    (child,) = children_of(driver.pid)
    send(child, signal.SIGTERM)
    eventually(lambda: workers() not in ([], first), 60)
    healthy.check_signs(signs)
    assert (tmp_path / "alive").stat().st_ino == file  # who ends takes its own away


def test_what_a_cluster_command_hosts_drains_when_it_is_killed(deployment):
    workflow = deployment.create(chain(delay(0.01), name="Hosted", stop=None))
    driver = deployment._spawn("cluster", "manage.py", "cluster", "--runners=1")
    eventually(lambda: len(runner_ids(deployment, workflow)) == 1, 60)
    driver.kill()
    # A runner that left has no row; one that was killed has, when its lease has ended as well.
    eventually(lambda: not deployment.database.rows("SELECT id FROM orchestrator_runner"), 60)


def test_a_cluster_command_is_told_how_many(deployment):
    for arguments, told in (([], "Say how many"), (["--runners=-1", "--workers=1"], "Say how")):
        command = [sys.executable, "manage.py", "cluster", *arguments]
        ended = subprocess.run(
            command, cwd=ROOT, env=deployment.environment, capture_output=True, text=True
        )
        assert (ended.returncode, told in ended.stderr) == (1, True)
    moon = {**deployment.environment, "CLUSTER": "moon"}
    command = [sys.executable, "manage.py", "cluster", "--runners=1"]
    ended = subprocess.run(command, cwd=ROOT, env=moon, capture_output=True, text=True)
    assert "CLUSTER must be one of local" in ended.stderr
