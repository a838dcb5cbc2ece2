"""`manage.py worker` as real processes: what it executes, how it ends, and what it tells."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from orchestrator.exceptions import NodeFailed, NodeTimeout, NotPortable
from orchestrator.execution.members import task_call
from orchestrator.execution.pools import MemberCall
from orchestrator.execution.tasks import TaskSpec
from orchestrator.runtime.task_groups import DistributedExecutor
from storage.datastore import open_store
from storage.tasks import Task, TaskQueue, put_and_wait
from tests.deployment import Deployment, lives
from tests.waiting import until
from tests.worker_tasks import lines

pytestmark = pytest.mark.fault
TASKS = "--import=tests.worker_tasks"
WAIT = 40.0


@pytest.fixture
def deployment(tmp_path, redis_server, request):
    deployed = Deployment(tmp_path, **{"web": False, **getattr(request, "param", {})})
    yield deployed
    deployed.close()


@pytest.fixture
async def store(deployment):
    store = open_store(deployment.redis.url)
    yield store
    await store.close()


@pytest.fixture
def queue(store):
    return TaskQueue(store.queue)


@pytest.fixture
def call(store, queue):
    """Put a task, wait for its result."""

    async def called(name, arguments=None, *, type="task", **options):
        given = {"name": name, "arguments": arguments or {}}
        task = Task(type=type, arguments=given, **options)
        result = await put_and_wait(queue, store.coordinator, task, WAIT)
        assert result is not None
        return result

    return called


def touch(file):
    Path(file).touch()


def a_call(name, task, /, **arguments):
    return task_call(name, TaskSpec(name=task, arguments=arguments))


async def test_tasks_and_tools_give_their_values(deployment, call):
    deployment.start_worker(TASKS)
    for name in ("double", "double_later"):
        result = await call(name, {"n": 4})
        assert (result.ok, result.value) == (True, 8)
        assert 0 <= result.seconds < WAIT
    assert (await call("test-triple", {"n": 4}, type="tool")).value == 12


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "told"),
    [
        ("raise_key_error", {}, "KeyError", "gone"),
        ("nobody", {}, "UnknownTask", "no task has the name 'nobody'"),
        ("double", {"m": 1}, "TypeError", "m"),
        ("give_a_set", {}, "InvalidPayload", "not JSON"),
        ("cancel_itself", {}, "CancelledError", ""),
        ("leave", {}, "SystemExit", "3"),
    ],
)
async def test_what_goes_wrong_is_told_with_type_and_message(
    deployment, call, queue, name, arguments, kind, told
):
    deployment.start_worker(TASKS)
    result = await call(name, arguments)
    assert (result.ok, result.error_type) == (False, kind)
    assert told in result.message
    (failed,) = await until(queue.failed, WAIT)
    assert failed.result.error_type == kind
    assert (await call("double", {"n": 1})).value == 2  # the worker lives


async def test_other_bad_tasks_are_told_too(deployment, call):
    deployment.start_worker(TASKS)
    assert (await call("x", type="nothing")).error_type == "UnknownTask"
    assert (await call("nobody", type="tool")).error_type == "UnknownTool"
    assert (await call(7)).error_type == "InvalidRequest"
    assert (await call("x", type="group")).error_type == "InvalidRequest"
    assert (await call("x", type="run")).error_type == "InvalidRequest"
    policy = {"no_such_field": 1}
    assert (await call("raise_key_error", retry=policy)).error_type == "KeyError"


async def test_a_timeout_cancels_an_async_task(deployment, call, tmp_path):
    deployment.start_worker(TASKS)
    file = str(tmp_path / "held")
    result = await call("hold", {"file": file, "key": "a", "until": "/never"}, timeout=0.3)
    assert (result.ok, result.reason, result.error_type) == (False, "timeout", "NodeTimeout")
    assert lines(file) == ["begun a", "cancelled a"]


async def test_a_timeout_ends_the_process_of_a_task(deployment, call, tmp_path):
    deployment.start_worker(TASKS)
    file = str(tmp_path / "held")
    arguments = {"file": file, "key": "a", "until": "/never"}
    result = await call("hold_in_thread", arguments, type="apart", timeout=15)
    assert result.reason == "timeout"
    pid = int(lines(file)[0].split()[2])
    await until(lambda: not lives(pid), WAIT)


async def test_a_task_in_a_process_gives_its_value_its_error_and_its_death(
    deployment, call, tmp_path
):
    worker = deployment.start_worker(TASKS)
    assert (await call("double", {"n": 4}, type="apart")).value == 8
    assert (await call("raise_key_error", type="apart")).error_type == "KeyError"
    died = await call("die", {"file": str(tmp_path / "f")}, type="apart")
    assert died.error_type == "ProcessEnded"
    assert worker.process.poll() is None


async def test_a_process_of_a_task_ends_with_its_worker(deployment, queue, tmp_path):
    worker = deployment.start_worker(TASKS)
    file = str(tmp_path / "held")
    arguments = {"file": file, "key": "a", "until": "/never"}
    given = {"name": "hold_in_thread", "arguments": arguments}
    await queue.put(Task(type="apart", arguments=given))
    await until(lambda: lines(file), WAIT)
    worker.kill()
    await until(lambda: not lives(int(lines(file)[0].split()[2])), WAIT)


async def test_retries_come_with_growing_pauses_and_end(deployment, call, tmp_path):
    deployment.start_worker(TASKS)
    file = str(tmp_path / "attempts")
    policy = {"max_attempts": 3, "delay": 0.4, "backoff": 2.0, "jitter": 0.0}
    result = await call("fail_at_first", {"file": file, "times": 2}, retry=policy)
    assert result.value == "at last"
    first, second, third = map(float, lines(file))
    assert second - first >= 0.4
    assert third - second >= 0.8
    again = str(tmp_path / "again")
    result = await call("fail_at_first", {"file": again, "times": 9}, retry=policy)
    assert (result.ok, result.message) == (False, "attempt 3")
    assert len(lines(again)) == 3


async def test_only_what_the_policy_names_is_tried_again(deployment, call, tmp_path):
    deployment.start_worker(TASKS)
    for number, policy in enumerate(({"retry_on": ["OSError"]}, {"give_up_on": ["Exception"]})):
        file = str(tmp_path / str(number))
        policy = {"max_attempts": 3, "delay": 0.1, **policy}
        result = await call("fail_at_first", {"file": file, "times": 9}, retry=policy)
        assert not result.ok
        assert len(lines(file)) == 1


async def test_no_more_than_allowed_are_in_hand_and_the_row_tells(
    deployment, queue, store, tmp_path
):
    deployment.start_worker(TASKS, MAX_CONCURRENT_TASKS="2", WORKER_ID="ada")
    file, go = str(tmp_path / "held"), str(tmp_path / "go")
    for number in range(3):
        arguments = {"file": file, "key": str(number), "until": go}
        await queue.put(Task(type="task", arguments={"name": "hold", "arguments": arguments}))
    await until(lambda: deployment.workers() and deployment.workers()[0]["active"] == 2, WAIT)
    row = deployment.workers()[0]
    assert (row["worker"], row["concurrency"]) == ("ada", 2)
    assert lines(file) == ["begun 0", "begun 1"]
    touch(go)
    await until(lambda: deployment.workers()[0]["processed"] == 3, WAIT)
    assert deployment.workers()[0]["failed"] == 0


async def test_term_lets_what_is_in_hand_end_and_tells_the_metrics(
    deployment, queue, call, tmp_path
):
    worker = deployment.start_worker(TASKS)
    file, go = str(tmp_path / "held"), str(tmp_path / "go")
    arguments = {"file": file, "key": "a", "until": go}
    await queue.put(Task(type="task", arguments={"name": "hold", "arguments": arguments}))
    await until(lambda: lines(file), WAIT)
    worker.process.terminate()
    await queue.put(Task(type="task", arguments={"name": "double", "arguments": {"n": 1}}))
    await until(lambda: "finishes 1 tasks" in deployment.log("worker"), WAIT)
    touch(go)
    assert worker.process.wait(WAIT) == 0
    assert lines(file) == ["begun a", "ended a"]
    assert "processed 1, failed 0, retried 0, success rate 100.0 %" in deployment.log("worker")
    assert await queue.waiting() == 1  # what came after was left alone
    row = deployment.workers()[0]
    assert (row["worker"], row["processed"]) == ("", 1)


@pytest.mark.parametrize("deployment", [{"lease_ttl": 300}], indirect=True)
async def test_what_does_not_end_in_time_is_handed_back(deployment, queue, tmp_path):
    worker = deployment.start_worker(TASKS, TEST_GRACE="0.5")
    file, go = str(tmp_path / "held"), str(tmp_path / "go")
    for key in "ab":
        arguments = {"file": file, "key": key, "until": go}
        await queue.put(Task(type="task", arguments={"name": "hold", "arguments": arguments}))
    await until(lambda: len(lines(file)) == 2, WAIT)
    worker.process.terminate()
    assert worker.process.wait(WAIT) == 0
    assert sorted(lines(file)[2:]) == ["cancelled a", "cancelled b"]
    touch(go)
    deployment.start_worker(TASKS)
    await until(lambda: len(lines(file)) == 8, WAIT)
    assert sorted(lines(file)[4:]) == ["begun a", "begun b", "ended a", "ended b"]
    await until(lambda: _is_empty(queue), WAIT)


async def _is_empty(queue):
    return await queue.waiting() == 0


async def test_a_second_signal_ends_at_once(deployment, queue, tmp_path):
    worker = deployment.start_worker(TASKS)
    file = str(tmp_path / "held")
    arguments = {"file": file, "key": "a", "until": "/never"}
    await queue.put(Task(type="task", arguments={"name": "hold", "arguments": arguments}))
    await until(lambda: lines(file), WAIT)
    worker.process.terminate()
    await until(lambda: "finishes 1 tasks" in deployment.log("worker"), WAIT)
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait(5) == 130
    assert await queue.waiting() == 1


async def test_a_thread_that_never_ends_does_not_hold_the_end_up(deployment, queue, tmp_path):
    worker = deployment.start_worker(TASKS, TEST_GRACE="0.5")
    file = str(tmp_path / "held")
    arguments = {"file": file, "key": "a", "until": "/never"}
    given = {"name": "hold_in_thread", "arguments": arguments}
    await queue.put(Task(type="task", arguments=given))
    await until(lambda: lines(file), WAIT)
    worker.process.terminate()
    assert worker.process.wait(20) == 0
    assert await queue.waiting() == 1


async def test_one_living_worker_has_a_name(deployment, call):
    first = deployment.start_worker(TASKS, WORKER_ID="ada")
    assert (await call("double", {"n": 1})).ok
    deployment.start_worker(TASKS, WORKER_ID="ada")
    await until(lambda: "ada is still alive" in deployment.log("worker"), WAIT)
    assert [row["worker"] for row in deployment.workers()] == ["ada"]
    first.kill()
    assert (await call("double", {"n": 2})).value == 4  # when the lease has ended
    (row,) = deployment.workers()
    assert row["token"] > 1  # once more if the slot was given up before it was taken


async def test_a_worker_that_died_comes_back_under_its_name_with_other_labels(deployment, call):
    """Its slot is for workers of the old labels, and nobody else is there to give it up."""
    first = deployment.start_worker(TASKS, WORKER_ID="ada")
    assert (await call("double", {"n": 1})).ok
    first.kill()
    deployment.start_worker(TASKS, "--label=gpu", WORKER_ID="ada")
    assert (await call("double", {"n": 2}, runs_on=("gpu",))).value == 4
    assert [row["worker"] for row in deployment.workers()] == ["", "ada"]


async def test_who_loses_its_lease_drops_what_it_has_in_hand(deployment, queue, tmp_path):
    deployment.start_worker(TASKS, MAX_CONCURRENT_TASKS="1")
    file, go = str(tmp_path / "held"), str(tmp_path / "go")
    arguments = {"file": file, "key": "a", "until": go}
    await queue.put(Task(type="task", arguments={"name": "hold", "arguments": arguments}))
    await until(lambda: lines(file), WAIT)
    deployment.take_worker_slots()
    await until(lambda: "cancelled a" in lines(file), WAIT)
    touch(go)
    await until(lambda: "ended a" in lines(file), WAIT)
    await until(lambda: _is_empty(queue), WAIT)


async def test_host_and_port_are_as_good_as_a_url(deployment, call):
    port = str(deployment.redis.port)
    deployment.start_worker(TASKS, REDIS_URL="", REDIS_HOST="127.0.0.1", REDIS_PORT=port)
    assert (await call("double", {"n": 1})).value == 2


async def test_a_type_of_ones_own(deployment, store, queue):
    deployment.start_worker(TASKS)
    command = [sys.executable, "-c", "print('from elsewhere')"]
    task = Task(type="shell", arguments={"command": command})
    result = await put_and_wait(queue, store.coordinator, task, WAIT)
    assert result.value == "from elsewhere\n"


def test_what_cannot_be_imported_is_named(deployment):
    worker = deployment.start_worker("--import=no.such.module")
    assert worker.process.wait(WAIT) == 1
    assert "no.such.module cannot be imported" in deployment.log("worker")


def test_a_number_that_makes_no_sense_is_named(deployment):
    worker = deployment.start_worker(MAX_CONCURRENT_TASKS="0")
    assert worker.process.wait(WAIT) == 1
    assert "MAX_CONCURRENT_TASKS must be 1 or more" in deployment.log("worker")


@pytest.mark.parametrize("deployment", [{"lease_ttl": 3, "block_limit": 2}], indirect=True)
async def test_who_blocks_a_worker_for_too_long_ends_it_and_fails_in_the_end(
    deployment, call, tmp_path
):
    file = str(tmp_path / "blocked")
    for _ in range(4):
        deployment.start_worker(TASKS)
    result = await call("block_everything", {"file": file, "key": "a", "seconds": 600})
    assert (result.reason, result.error_type) == ("worker_lost", "WorkerLost")
    assert len({line.split()[2] for line in lines(file)}) == 3
    assert (await call("double", {"n": 1})).value == 2


async def test_a_group_goes_over_two_workers_and_comes_back_whole(deployment, store, queue):
    for _ in range(2):
        deployment.start_worker(TASKS)
    await until(lambda: sum(bool(row["worker"]) for row in deployment.workers()) == 2, WAIT)
    executor = DistributedExecutor(queue, store.coordinator, workers=2)
    calls = [a_call(f"m{n}", "double", n=n) for n in range(100)]
    outcomes = await executor.run(calls, timeout=WAIT)
    assert [(o.name, o.ok, o.value) for o in outcomes] == [
        (f"m{n}", True, 2 * n) for n in range(100)
    ]
    await until(lambda: _is_empty(queue), WAIT)


async def test_one_member_fails_for_itself(deployment, store, queue, tmp_path):
    deployment.start_worker(TASKS)
    executor = DistributedExecutor(queue, store.coordinator)
    file = str(tmp_path / "held")
    calls = [
        a_call("good", "double", n=1),
        a_call("a tool", "tool", name="test-triple", arguments={"n": 5}),
        a_call("raises", "raise_key_error"),
        a_call("unknown", "nobody"),
        a_call("late", "hold", file=file, key="a", until="/never"),
        a_call("odd", "give_a_set"),
    ]
    outcomes = {o.name: o for o in await executor.run(calls, timeout=WAIT, member_timeout=0.5)}
    assert (outcomes["good"].value, outcomes["a tool"].value) == (2, 15)
    kinds = {name: outcome.error_type for name, outcome in outcomes.items() if not outcome.ok}
    assert kinds == {
        "raises": "KeyError",
        "unknown": "UnknownTask",
        "late": "NodeTimeout",
        "odd": "InvalidPayload",
    }
    assert isinstance(outcomes["raises"].error, NodeFailed)
    assert "gone" in str(outcomes["raises"].error)


async def test_a_group_whose_time_is_up_says_who_is_missing(deployment, store, queue, tmp_path):
    deployment.start_worker(TASKS)
    executor = DistributedExecutor(queue, store.coordinator, batch_size=1)
    file = str(tmp_path / "held")
    calls = [
        a_call("good", "double", n=1),
        a_call("late", "hold", file=file, key="a", until="/never"),
    ]
    await executor.run([a_call("warm", "double", n=1)], timeout=WAIT)
    good, late = await executor.run(calls, timeout=1.5)
    assert (good.ok, late.ok) == (True, False)
    assert isinstance(late.error, NodeTimeout)
    await until(lambda: "cancelled a" in lines(file), WAIT)


async def test_what_nobody_waits_for_any_more_is_ended(deployment, store, queue, tmp_path):
    deployment.start_worker(TASKS)
    executor = DistributedExecutor(queue, store.coordinator)
    file = str(tmp_path / "held")
    call = a_call("late", "hold", file=file, key="a", until="/never")
    running = asyncio.create_task(executor.run([call]))
    await until(lambda: lines(file), WAIT)
    running.cancel()
    await asyncio.wait([running])
    await until(lambda: "cancelled a" in lines(file), WAIT)
    await until(lambda: _is_empty(queue), WAIT)


async def test_a_group_without_a_worker_ends_in_time(store, queue):
    executor = DistributedExecutor(queue, store.coordinator)
    (outcome,) = await executor.run([a_call("a", "double", n=1)], timeout=0.3)
    assert isinstance(outcome.error, NodeTimeout)


async def test_a_member_that_cannot_leave_the_process_is_refused(store, queue):
    closed = MemberCall(name="a", run=lambda here: here(lambda: 1), is_async=False)
    with pytest.raises(NotPortable):
        await DistributedExecutor(queue, store.coordinator).run([closed])
    assert await queue.waiting() == 0


async def test_a_task_may_wait_for_members_that_its_own_worker_executes(deployment, call):
    deployment.start_worker(TASKS, MAX_CONCURRENT_TASKS="1")
    assert (await call("fan_out", {"members": 5})).value == [0, 2, 4, 6, 8]
