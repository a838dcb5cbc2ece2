"""R6, R7, R19: Redis loses its tail, or everything, and checkpoints are damaged."""

import signal
from collections import Counter

import pytest
import redis

from tests.deployment import send
from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PATIENCE,
    counter,
    delay,
    hand_over,
    linked,
    pipeline,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
PERIOD = 0.25
NODES = ("record-0", "record-1")


@pytest.fixture
def quick(deployment):
    """A deployment whose runners write a checkpoint four times a second."""
    deployment.environment["TEST_CHECKPOINT_PERIOD"] = str(PERIOD)
    return deployment


def slow_reader(name):
    """Return a source that has half its items in a queue for a while."""
    return linked(
        name,
        counter(ITEMS, interval=8 / ITEMS),
        recording("record-0"),
        *hand_over(),
        delay(12 / ITEMS),
        recording("record-1"),
        sink("out.jsonl"),
    )


def flush(deployment):
    with redis.Redis.from_url(deployment.redis.url) as client:
        client.flushall()


@pytest.mark.parametrize(
    "completed",
    [pytest.param(False, id="running", marks=pytest.mark.long), pytest.param(True, id="completed")],
)
def test_r7_redis_loses_everything(quick, nemesis, row, completed):
    quick.start_runner()
    workflow = quick.create(slow_reader("Emptied"))
    checker = Checker(quick, workflow, items=ITEMS, nodes=NODES)
    quick.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS * 0.6)
    if completed:
        eventually(lambda: quick.loop(workflow, "source")["state"] == "completed")
        assert checker.executed() < ITEMS
    flush(quick)
    nemesis.note()
    loss = "Redis had lost everything: resumed from the checkpoint of"
    for loop in ("source", "reader-1"):
        eventually(lambda loop=loop: loss in quick.loop(workflow, loop)["reason"])
    quick.wait_for(workflow, "completed", PATIENCE)
    fault = f"R7 Redis emptied, source {'completed' if completed else 'running'}"
    verdict = row.add(fault, checker.verdict(nemesis), duplicates=ITEMS // 2)
    assert verdict.repeated
    assert loss in quick.log()


class Batches(Checker):
    """The rows of the output are lists of items."""

    def written(self):
        rows = self._deployment.rows("out.jsonl")
        return Counter(item["value"] for row in rows for item in row["items"])


def test_r7_what_nodes_held_back_is_not_lost(quick, nemesis, row):
    """A batch that was emitted and lost has to be in the state that its loop goes back to."""
    size = 2 * ITEMS // 5
    batch = {"id": "batch", "type": "batch", "data": {"form": {"size": size}}}
    source = counter(ITEMS, interval=10 / ITEMS), recording("record-0")
    slow = delay(1.5), recording("record-1"), sink("out.jsonl")
    runner = quick.start_runner()
    workflow = quick.create(linked("Batches", *source, *hand_over(1), batch, *hand_over(2), *slow))
    checker = Batches(quick, workflow, items=ITEMS, nodes=NODES)
    quick.post("/prod/start", workflow)
    emitted = checker.key("queue_writer-2_reader-2")
    with redis.Redis.from_url(quick.redis.url) as client:
        eventually(lambda: quick.rows("out.jsonl") and client.xlen(emitted))
    before = checkpoints_of(quick, "reader-1")
    eventually(lambda: checkpoints_of(quick, "reader-1") > before)
    for pid in runner.hosts():  # or the list in hand would get into the file
        send(pid, signal.SIGKILL)
    flush(quick)
    nemesis.note()
    quick.wait_for(workflow, "completed", PATIENCE)
    row.add("R7 Redis emptied, batches", checker.verdict(nemesis), duplicates=2 * ITEMS)


def checkpoints_of(deployment, loop):
    [(newest,)] = sql(
        deployment, f"SELECT max(id) FROM orchestrator_checkpoint WHERE loop = '{loop}'"
    )
    return newest or 0


def test_r7_a_file_that_is_replaced_is_not_begun_again(quick, nemesis, row):
    quick.start_runner()
    target = {"form": {"path": "out.jsonl", "mode": "replace"}}
    nodes = counter(ITEMS, interval=8 / ITEMS), recording()
    workflow = quick.create(
        linked("Replaced", *nodes, {"id": "sink", "type": "file-writer", "data": target})
    )
    checker = Checker(quick, workflow, items=ITEMS)
    quick.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS * 0.6)
    flush(quick)
    nemesis.note()
    quick.wait_for(workflow, "completed", PATIENCE)
    row.add("R7 Redis emptied, one loop", checker.verdict(nemesis), duplicates=ITEMS // 2)


@pytest.mark.parametrize("readers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_r6_redis_loses_its_tail(deployment, nemesis, row, readers):
    deployment.start_runner()
    made = slow_reader("Truncated") if readers == 1 else pipeline(name="Truncated", readers=2)
    workflow = deployment.create(made)
    nodes = tuple(f"record-{n}" for n in range(readers + 1))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=nodes)
    deployment.post("/prod/start", workflow)
    for part in (0.2, 0.4, 0.6):
        eventually(lambda part=part: checker.executed() > ITEMS * part)
        with nemesis.redis_killed():
            cut_tail(deployment.redis)
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add(f"R6 tail of {readers + 1} loops lost 3 times", checker.verdict(nemesis))


def cut_tail(server, size=1024):
    """Let the last writes be lost, as a power failure does."""
    [tail] = (server.folder / "appendonlydir").glob("*.incr.aof")
    with tail.open("r+b") as log:
        log.truncate(max(0, tail.stat().st_size - size))


@pytest.fixture
def losing(quick, nemesis):
    """A workflow that Redis loses again and again: its checker, and a way to lose it."""
    workflow = quick.create(slow_reader("Lost often"))
    checker = Checker(quick, workflow, items=ITEMS, nodes=NODES)
    quick.start_runner()
    quick.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 10)

    def lose():
        flush(quick)
        nemesis.note()
        before = checker.executed()
        eventually(lambda: checker.executed() > before + ITEMS / 20)

    return workflow, checker, lose


def test_r19_a_runner_dies_while_it_writes_checkpoints(quick, losing, nemesis, row):
    workflow, checker, lose = losing
    for place in ("before_checkpoint", "in_checkpoint", "after_checkpoint"):
        runner = quick.runners.pop()
        (quick.folder / "failpoint").write_text(place)
        assert runner.process.wait(20) == 9
        quick.start_runner()
        lose()
    quick.wait_for(workflow, "completed", PATIENCE)
    row.add("R19 death at checkpoints", checker.verdict(nemesis), duplicates=2 * ITEMS)
    assert "damaged" not in quick.log()


def test_r19_the_database_refuses_checkpoints(quick, losing, nemesis, row):
    workflow, checker, lose = losing
    with quick.database.refusing("orchestrator_checkpoint"):
        eventually(lambda: quick.log().count("refused") > 1)
        tokens = quick.tokens(workflow)
        before = checker.executed()
        eventually(lambda: checker.executed() > before + ITEMS / 20)
        assert quick.tokens(workflow) == tokens  # nothing was restarted for it
        lose()
    lose()
    quick.wait_for(workflow, "completed", PATIENCE)
    row.add("R19 database refuses", checker.verdict(nemesis), duplicates=2 * ITEMS)


def test_r19_checkpoints_are_damaged(quick, losing, nemesis, row):
    workflow, checker, lose = losing
    newest = "(SELECT max(id) FROM orchestrator_checkpoint GROUP BY loop)"
    sql(quick, f"UPDATE orchestrator_checkpoint SET sequence = sequence + 500 WHERE id IN {newest}")
    lose()
    sql(quick, "UPDATE orchestrator_checkpoint SET sequence = sequence + 500")
    lose()
    quick.wait_for(workflow, "completed", PATIENCE)
    row.add("R19 checkpoints damaged", checker.verdict(nemesis), duplicates=2 * ITEMS)
    assert "is damaged and not used" in quick.log()


def sql(deployment, statement):
    """Do to the database what no request can, and return the rows of the answer."""
    return [tuple(row.values()) for row in deployment.database.rows(statement)]
