"""What dies on a Ray cluster, and what the guarantees promise then: fencing is ours."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from orchestrator.exceptions import NodeFailed
from orchestrator.runtime.cluster import Process, Role
from tests import worker_tasks
from tests.contracts.test_cluster import RUNNER, WAIT, completed, living, members, values
from tests.deployment import PROC, _parent, send
from tests.faults import graphs
from tests.faults.workflows import pipeline
from tests.waiting import eventually, until

pytestmark = pytest.mark.fault
ITEMS = 300
PLACED = 120.0
"""Seconds; Ray took 15 to notice that a node was gone."""


def begun(deployment, name, pace=0.01):
    workflow = deployment.create(pipeline(name=name, items=ITEMS, pace=pace))
    deployment.post("/prod/start", workflow)
    return workflow


def all_of_them(deployment):
    assert values(deployment) == list(range(ITEMS))


async def test_the_process_of_an_actor(cluster, deployment):
    workflow = begun(deployment, "Actor")
    await cluster.host(RUNNER)
    await until(lambda: len(values(deployment)) > 20, WAIT)
    first = (await living(cluster))["r1"]
    send(_parent(PROC / str(first.pid)), signal.SIGKILL)

    async def again():
        now = (await living(cluster)).get("r1")
        return now is not None and now.pid != first.pid and now.starts == 2

    await until(again, WAIT)
    await completed(deployment, workflow)
    all_of_them(deployment)


async def test_a_whole_node(cluster, deployment, nodes, runners):
    workflow = begun(deployment, "Node")
    there = Process(name="r1", role=Role.RUNNER, resources={"second": 1})
    await cluster.host(there)
    await until(lambda: len(values(deployment)) > 20, WAIT)
    await cluster.host(Process(name="r2", role=Role.RUNNER, resources={"first": 1}))
    await until(lambda: runners() == 2, WAIT)
    nodes.kill_second()
    try:
        await completed(deployment, workflow)
        all_of_them(deployment)
        # Nowhere else is there a place for r1.
        assert [each.pid > 0 for each in await cluster.hosted()] == [False, True]
    finally:
        nodes.add_second()
    await until(lambda: runners() == 2, PLACED)


async def test_the_driver(deployment):
    workflow = begun(deployment, "Driver", pace=0.05)
    command = ("manage.py", "cluster", "--runners=1")
    driver = deployment._spawn("cluster", *command, environment={"CLUSTER": "ray"})
    alive = lambda: deployment.status(workflow)["runners_alive"]  # noqa: E731
    await until(lambda: len(values(deployment)) > 20, WAIT)
    driver.kill()
    driver.wait()
    await until(lambda: alive() == 0, WAIT)
    assert len(values(deployment)) < ITEMS
    again = deployment._spawn("cluster", *command, environment={"CLUSTER": "ray"})
    await completed(deployment, workflow)
    all_of_them(deployment)
    again.terminate()
    assert again.wait(60) == 0
    assert alive() == 0


async def test_the_process_of_a_task(alone, tmp_path):
    file, until_there = str(tmp_path / "held"), tmp_path / "go"
    held = ("hold_in_thread", {"file": file, "key": "a", "until": str(until_there)})
    executing = asyncio.create_task(alone.execute(members(a=held)))
    (line,) = await until(lambda: worker_tasks.lines(file), WAIT)
    os.kill(int(line.split()[-1]), signal.SIGKILL)
    first, second = await until(lambda: len(x := worker_tasks.lines(file)) == 2 and x, WAIT)
    assert first != second
    until_there.touch()
    assert (await executing)["values"] == ["a"]


async def test_a_task_waits_for_what_its_labels_stand_for(alone, nodes, settings):
    stands_for = {"rare": {"ore": 1}}
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "LABEL_RESOURCES": stands_for}
    task = replace(members(a=("double", {"n": 2})), runs_on=("rare",))
    executing = asyncio.create_task(alone.execute(task))
    assert (await alone.execute(members(a=("double", {"n": 3}))))["values"] == [6]
    assert not executing.done()
    node = nodes.add(ore=1)
    assert (await executing)["values"] == [4]
    nodes.remove(node)


async def test_a_task_that_ends_every_process(alone, tmp_path):
    file = str(tmp_path / "died")
    with pytest.raises(NodeFailed, match="3 processes") as caught:
        await alone.execute(members(a=("die", {"file": file})))
    assert caught.value.error_type == "ProcessEnded"
    assert len(set(worker_tasks.lines(file))) == 3


async def test_a_run_whose_process_is_killed_goes_on(deployment):
    deployment.start_worker(CLUSTER="ray")
    eventually(deployment.workers)
    file = deployment.folder / "pids"
    graph = graphs.one("test.stay_once", path=str(file))
    answer = graphs.start(deployment, graph, wait=False).json()
    first = await until(lambda: file.exists() and file.read_text().split(), WAIT)
    send(int(first[0]), signal.SIGKILL)
    ended = graphs.ended(deployment, answer["run_id"], WAIT)
    assert (ended["status"], ended["state"]["it"]) == ("completed", "gone on")
    assert len(set(file.read_text().split())) == 2


async def test_a_run_leaves_its_worker_room_for_its_members(deployment):
    """With one task in hand at once the members of its group could never come back."""
    deployment.start_worker(CLUSTER="ray", MAX_CONCURRENT_TASKS="1")
    eventually(deployment.workers)
    given = [{"name": name, "tool": "test.add", "arguments": {"left": 1}} for name in ("a", "b")]
    form = {"members": given, "executor": "distributed"}
    node = {"id": "both", "type": "group", "data": {"form": form}}
    graph = {"name": "Roomy", "entry_point": "both", "nodes": [node], "edges": []}
    answer = graphs.start(deployment, graph, {}, wait=False).json()
    assert graphs.ended(deployment, answer["run_id"])["status"] == "completed"
