"""What every cluster does: it keeps processes alive, drains them, and executes tasks.

`deployment` is the world outside: the server, the database, and a web process to ask. Here it is
the local cluster; `tests/ray` has the same tests for Ray, and what is about Ray alone.
"""

import asyncio
import os
import signal

import pytest

from orchestrator.exceptions import Conflict, InvalidRequest, NotFound
from orchestrator.runtime.cluster import Process, Role, make_cluster
from orchestrator.runtime.task_handlers import handlers
from storage.tasks import Task
from tests import worker_tasks
from tests.deployment import Deployment, lives, send
from tests.faults import graphs
from tests.faults.workflows import chain, delay, pipeline, recording
from tests.waiting import until

pytestmark = pytest.mark.fault
WAIT = 60.0
RUNNER = Process(name="r1", role=Role.RUNNER)
OTHER = Process(name="r2", role=Role.RUNNER)


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path)
    yield deployed
    deployed.close()


@pytest.fixture
def kind():
    return "local"


@pytest.fixture
async def cluster(kind, deployment):
    cluster = make_cluster(kind, handlers, deployment.environment)
    yield cluster
    await cluster.close()


@pytest.fixture
async def alone(kind):
    """A cluster that hosts nothing."""
    environment = {**os.environ, "TASK_MODULES": "tests.worker_tasks"}
    cluster = make_cluster(kind, handlers, environment)
    yield cluster
    await cluster.close()


@pytest.fixture
def runners(deployment):
    """Tell how many runners are alive."""
    workflow = deployment.create(chain(name="Asked about", stop=1))
    return lambda: deployment.status(workflow)["runners_alive"]


async def living(cluster):
    return {hosted.process.name: hosted for hosted in await cluster.hosted() if hosted.pid}


async def completed(deployment, workflow):
    await until(lambda: deployment.status(workflow)["status"] == "completed", WAIT)


def values(deployment):
    return sorted(row["value"] for row in deployment.rows("out.jsonl"))


async def test_what_is_hosted_is_told_in_its_order(cluster, runners):
    assert list(await cluster.hosted()) == []
    await cluster.host(RUNNER)
    await cluster.host(OTHER)
    await until(lambda: runners() == 2, WAIT)
    told = await cluster.hosted()
    assert [hosted.process for hosted in told] == [RUNNER, OTHER]
    assert all(hosted.pid and hosted.host and hosted.starts == 1 for hosted in told)


async def test_a_name_is_given_once(cluster):
    await cluster.host(RUNNER)
    with pytest.raises(Conflict, match="r1"):
        await cluster.host(RUNNER)
    assert len(await cluster.hosted()) == 1


async def test_what_was_killed_is_started_again_and_goes_on(cluster, deployment):
    workflow = deployment.create(pipeline(name="Goes on", items=200, pace=0.01))
    deployment.post("/prod/start", workflow)
    await cluster.host(RUNNER)
    await until(lambda: len(values(deployment)) > 20, WAIT)
    first = (await living(cluster))["r1"]
    send(first.pid, signal.SIGKILL)

    async def again():
        now = (await living(cluster)).get("r1")
        return now is not None and now.pid != first.pid

    await until(again, WAIT)
    await completed(deployment, workflow)
    assert values(deployment) == list(range(200))
    assert (await cluster.hosted())[0].starts == 2


async def test_what_is_drained_has_given_its_loops_to_the_others(cluster, deployment, runners):
    workflow = deployment.create(pipeline(name="Handed over", items=300, pace=0.01))
    deployment.post("/prod/start", workflow)
    await cluster.host(RUNNER)
    await until(lambda: values(deployment), WAIT)
    await cluster.host(OTHER)
    await until(lambda: runners() == 2, WAIT)
    await cluster.drain("r1")
    assert list(await living(cluster)) == ["r2"]
    assert runners() == 1  # it has given itself up
    await completed(deployment, workflow)
    assert values(deployment) == list(range(300))
    with pytest.raises(NotFound, match="r1"):
        await cluster.drain("r1")
    await cluster.host(RUNNER)  # the name is free


async def test_the_end_of_a_cluster_drains_what_it_hosts(kind, deployment, runners):
    workflow = deployment.create(chain(delay(0.01), recording(), name="Drained", stop=10_000))
    deployment.post("/prod/start", workflow)
    cluster = make_cluster(kind, handlers, deployment.environment)
    await cluster.host(RUNNER)
    await until(lambda: len(values(deployment)) > 20, WAIT)
    pid = (await living(cluster))["r1"].pid
    await cluster.close()
    assert runners() == 0
    await until(lambda: not lives(pid), WAIT)
    assert deployment.loop(workflow, "source")["state"] == "pending"  # for whoever comes next
    assert values(deployment) == list(range(len(values(deployment))))


async def test_all_that_is_hosted_can_be_ended_at_once(cluster, deployment, runners):
    await cluster.host(RUNNER)
    await until(lambda: runners() == 1, WAIT)
    pid = (await living(cluster))["r1"].pid
    cluster.kill()
    await until(lambda: not lives(pid), WAIT)


async def test_a_hosted_worker_executes_runs(cluster, deployment):
    await cluster.host(Process(name="w1", role=Role.WORKER))
    state = {"add": 0, "goal": 2}
    answer = graphs.start(deployment, graphs.COUNT, state, wait=False).json()
    run = answer["run_id"]
    await until(lambda: graphs.state_of(deployment, run)["status"] in graphs.ENDED, WAIT)
    assert graphs.state_of(deployment, run)["status"] == "completed"


async def test_resources_are_given_or_refused(kind, alone):
    wanted = Process(name="r1", role=Role.RUNNER, resources={"nobody-has-it": 1})
    if not alone.has_resources:
        with pytest.raises(InvalidRequest, match="resources"):
            await alone.host(wanted)
        assert list(await alone.hosted()) == []
        return
    await alone.host(wanted)
    (hosted,) = await alone.hosted()
    assert (hosted.pid, hosted.starts) == (0, 0)  # it waits for a place that has it


async def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidRequest, match="must be one of local"):
        make_cluster("moon", handlers, {})


def members(**tasks):
    return Task(
        type="group",
        arguments={
            "members": list(tasks),
            "tasks": [name for name, _ in tasks.values()],
            "arguments": [arguments for _, arguments in tasks.values()],
        },
    )


async def test_a_group_gives_the_values_of_its_members(alone):
    given = {"a": ("double", {"n": 1}), "b": ("double_later", {"n": 2})}
    value = await alone.execute(members(**given))
    assert value["values"] == [2, 4]
    assert not value["failed"]


async def test_what_a_member_raised_is_told_with_its_type(alone):
    value = await alone.execute(members(a=("raise_key_error", {}), b=("double", {"n": 2})))
    assert value["failed"]["0"]["error_type"] == "KeyError"
    assert value["values"] == [None, 4]


async def test_what_is_wrong_with_a_task_is_raised(alone):
    with pytest.raises(NotFound, match="nothing"):
        await alone.execute(Task(type="nothing", arguments={}))
    with pytest.raises(Exception, match="a group needs"):
        await alone.execute(Task(type="group", arguments={}))


async def test_a_task_that_is_cancelled_ends(alone, tmp_path):
    file = str(tmp_path / "held")
    task = members(a=("hold", {"file": file, "key": "a", "until": str(tmp_path / "never")}))
    executing = asyncio.create_task(alone.execute(task))
    await until(lambda: worker_tasks.lines(file), WAIT)
    executing.cancel()
    await asyncio.wait([executing], timeout=WAIT)
    assert executing.cancelled()
    await until(lambda: worker_tasks.lines(file) == ["begun a", "cancelled a"], WAIT)
