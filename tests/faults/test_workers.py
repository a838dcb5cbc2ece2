"""Workers that die, stand still or lose their server: groups end complete, results count once."""

import asyncio
import signal
from collections import Counter

import pytest

from orchestrator.execution.members import task_call
from orchestrator.execution.tasks import TaskSpec
from orchestrator.runtime.task_groups import DistributedExecutor
from storage.datastore import open_store
from storage.tasks import Task, TaskQueue, put_and_wait
from tests.deployment import Deployment, send
from tests.waiting import until
from tests.worker_tasks import lines

pytestmark = pytest.mark.fault
TASKS = "--import=tests.worker_tasks"
MEMBERS, BATCH, CONCURRENCY = 200, 5, 4
IN_HAND = BATCH * CONCURRENCY
PATIENCE = 90.0


@pytest.fixture
def deployment(tmp_path, redis_server, request):
    deployed = Deployment(tmp_path, web=False, **getattr(request, "param", {}))
    yield deployed
    deployed.close()


@pytest.fixture
async def store(deployment):
    store = open_store(deployment.redis.url)
    yield store
    await store.close()


class RunningGroup:
    """200 members, each of which leaves one line with its idempotency key."""

    def __init__(self, deployment, store):
        self._deployment = deployment
        self.file = str(deployment.folder / "members")
        self.queue = TaskQueue(store.queue)
        self.executor = DistributedExecutor(self.queue, store.coordinator, batch_size=BATCH)
        self.workers = []

    def start_worker(self):
        number = str(CONCURRENCY)
        worker = self._deployment.start_worker(TASKS, MAX_CONCURRENT_TASKS=number)
        self.workers.append(worker)
        return worker

    def start(self):
        calls = [self._call(f"key-{n}") for n in range(MEMBERS)]
        self.running = asyncio.create_task(self.executor.run(calls, timeout=PATIENCE))

    def _call(self, key):
        arguments = {"file": self.file, "key": key, "seconds": 0.2}
        return task_call(key, TaskSpec(name="write_once", arguments=arguments))

    async def reach(self, count):
        await until(lambda: len(lines(self.file)) >= count, PATIENCE)

    async def both_work(self):
        await until(lambda: len({line.split()[1] for line in lines(self.file)}) == 2, PATIENCE)

    async def check(self, repeated):
        """Every result is there once, and at most so many members were executed once more."""
        outcomes = await self.running
        assert [(o.name, o.ok, o.value) for o in outcomes] == [
            (f"key-{n}", True, f"key-{n}") for n in range(MEMBERS)
        ]
        counts = Counter(line.split()[0] for line in lines(self.file))
        assert len(counts) == MEMBERS
        assert max(counts.values()) <= 2
        assert sum(counts.values()) - MEMBERS <= repeated
        await until(lambda: _is_empty(self.queue), PATIENCE)


async def _is_empty(queue):
    return await queue.waiting() == 0


@pytest.fixture
def group(deployment, store):
    return RunningGroup(deployment, store)


async def test_a_worker_is_killed_in_the_middle_of_a_group(group):
    victim = group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    await group.reach(MEMBERS // 3)
    victim.kill_all()
    await group.check(repeated=IN_HAND)


async def test_all_workers_are_killed_and_others_go_on(group):
    group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    await group.reach(MEMBERS // 3)
    for worker in group.workers:
        worker.kill_all()
    group.start_worker()
    await group.check(repeated=2 * IN_HAND)


async def test_redis_is_paused_and_nothing_is_executed_twice(group, deployment):
    group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    deployment.redis.pause()
    before = len(deployment.log("worker"))
    await until(lambda: "Redis is away" in deployment.log("worker")[before:], PATIENCE)
    deployment.redis.resume()
    await group.check(repeated=0)


async def test_redis_is_killed_and_comes_back(group, deployment):
    group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    await group.reach(MEMBERS // 3)
    deployment.redis.kill()
    deployment.redis.start()
    await group.check(repeated=0)


async def test_a_worker_that_stood_still_ends_nothing_that_is_not_its_own(group, deployment):
    victim = group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    await group.reach(MEMBERS // 3)
    victim.send(signal.SIGSTOP)
    await until(lambda: "is gone" in deployment.log("worker"), PATIENCE)
    await group.check(repeated=IN_HAND)
    victim.send(signal.SIGCONT)
    await until(lambda: "has lost the slot" in deployment.log("worker"), PATIENCE)
    await until(lambda: sum(bool(row["worker"]) for row in deployment.workers()) == 2, PATIENCE)


async def test_what_ends_its_workers_fails_and_its_neighbours_do_not(deployment, store):
    queue = TaskQueue(store.queue)
    file, beside = str(deployment.folder / "poison"), str(deployment.folder / "beside")

    def put(name, **arguments):
        task = Task(type="task", arguments={"name": name, "arguments": arguments})
        return asyncio.create_task(put_and_wait(queue, store.coordinator, task, PATIENCE))

    held = put("hold", file=beside, key="a", until=file)
    await until(lambda: queue.waiting(), PATIENCE)
    deployment.start_worker(TASKS)
    await until(lambda: lines(beside), PATIENCE)
    # It goes on when the poison has been taken, and so is in hand at the first death at least.
    poison = put("die", file=file)
    for _ in range(3):
        deployment.start_worker(TASKS)
    died = await poison
    assert (died.reason, died.error_type) == ("worker_lost", "WorkerLost")
    assert len(lines(file)) == 3
    assert (await held).value == "a"
    (failed,) = await until(queue.failed, PATIENCE)
    assert failed.result.reason == "worker_lost"
    assert (failed.task.arguments["name"], failed.task.lost) == ("die", 3)


@pytest.mark.parametrize("deployment", [{"lease_ttl": 300}], indirect=True)
async def test_a_drained_worker_hands_over_at_once(group):
    """Long before its lease would have ended."""
    first = group.start_worker()
    group.start_worker()
    group.start()
    await group.both_work()
    send(first.pid, signal.SIGTERM)
    assert await asyncio.to_thread(first.process.wait, PATIENCE) == 0
    await group.check(repeated=0)
