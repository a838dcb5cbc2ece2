"""The bench's children: real processes, and nodes that do what they must not do."""

import asyncio
import gc
import os
import signal
import threading
from pathlib import Path

import pytest

from nodes.contract import NodeConfig, NodeOptions, PoolType, RetryPolicy
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import Busy, Conflict, NodeFailed, NodeTimeout, PayloadTooLarge
from orchestrator.runtime.bench.node import node_config, node_json
from orchestrator.runtime.bench.pool import BenchPool
from tests.nodes.misbehaving import BOMB, STRAYS
from tests.waiting import until

OWNER = "1:user-1"


class Bench:
    """A pool, and the short way to ask it for a node."""

    def __init__(self):
        self.pool = BenchPool(orchestrator_settings())

    async def run(self, kind="misbehaving", /, owner=OWNER, timeout=20, write=False, **data):
        return await self.ask(NodeConfig(id="n", type=kind), data, owner, timeout, write)

    async def ask(self, config, data, owner=OWNER, timeout=20, write=False):
        inputs = [{"source": "s", "condition": None, "data": data}]
        request = {
            "op": "execute",
            "workflow_id": "w",
            "node": node_json(config),
            "inputs": inputs,
            "state": None,
            "write": write,
            "timeout": timeout,
        }
        return await self.pool.run(request, owner)

    async def where(self, owner=OWNER):
        return (await self.run(action="where", owner=owner))["output"]["done"]


@pytest.fixture
async def bench():
    STRAYS.unlink(missing_ok=True)
    bench = Bench()
    yield bench
    await bench.pool.close()


def strays():
    """The pids of what nodes have started."""
    return [int(pid) for pid in STRAYS.read_text().split()] if STRAYS.exists() else []


def living(pids):
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_node_travels_as_json_and_back():
    options = NodeOptions(
        timeout=1.5,
        pool=PoolType.THREAD,
        retry=RetryPolicy(max_attempts=3, retry_on=("ValueError",)),
        queue_name="queue_a b_c",
        max_length=7,
    )
    for config in (
        NodeConfig(id="n", type="debug", form={"level": "info"}, options=options),
        NodeConfig(id="n", type="debug"),
    ):
        assert node_config(node_json(config)) == config


async def test_a_node_runs_and_its_log_comes_with_the_answer(bench):
    answer = await bench.run("debug", value=5)
    assert (answer["output"], answer["port"], answer["wrote"]) == ({"value": 5}, "default", [])
    assert "{'value': 5}" in answer["log"]


async def test_a_warm_child_serves_its_owner_again_and_nobody_else(bench):
    first, second = [(await bench.run(action="count"))["output"]["done"] for _ in range(2)]
    assert (first, second) == (1, 2)
    other = await bench.run(action="count", owner="2:user-2")
    assert other["output"]["done"] == 1


@pytest.mark.parametrize(
    "action",
    ["chdir", "environ", "path", "handler", "umask", "stdout", "open_file", "endless_thread",
     "open_task", "child", "daemon", "program"],
)  # fmt: skip
async def test_what_a_node_leaves_behind_ends_its_child(bench, action):
    before = await bench.where()
    assert (await bench.run(action=action))["output"] == {"action": action}
    assert (action in ("child", "daemon", "program")) is bool(strays())
    assert living(strays()) == []
    after = await bench.where()
    assert after["pid"] != before["pid"]
    assert after["environ"] is None


@pytest.mark.parametrize("kind", ["misbehaving", "misbehaving-in-thread", "misbehaving-process"])
async def test_a_node_runs_in_its_own_pool(bench, kind):
    where = (await bench.run(kind, action="where"))["output"]["done"]
    assert where["main"] is (kind != "misbehaving-in-thread")
    assert where["pid"] not in (os.getpid(), os.getppid())


async def test_the_options_may_choose_another_pool(bench):
    config = NodeConfig(id="n", type="misbehaving", options=NodeOptions(pool=PoolType.THREAD))
    answer = await bench.ask(config, {"action": "where"})
    assert answer["output"]["done"]["main"] is False


@pytest.mark.parametrize("kind", ["misbehaving", "misbehaving-in-thread", "misbehaving-process"])
@pytest.mark.parametrize("action", ["hang", "wait", "hang_in_thread", "daemon_and_hang"])
async def test_a_node_that_hangs_is_ended_with_all_it_started(bench, kind, action):
    await bench.run(kind, action="nothing")
    with pytest.raises(NodeTimeout, match="longer than 1 s"):
        await bench.run(kind, action=action, timeout=1)
    assert (action == "daemon_and_hang") is bool(strays())
    assert living(strays()) == []
    assert (await bench.run(action="nothing"))["output"] == {"action": "nothing"}


async def test_a_node_that_holds_the_interpreter_is_ended(bench):
    form = {"value": 1, "action": "hold", "seconds": 30}
    with pytest.raises(NodeTimeout):
        await bench.ask(NodeConfig(id="n", type="faulty", form=form), {"value": 1}, timeout=0.5)


async def test_a_cancelled_request_ends_the_node_and_all_it_started(bench):
    work = asyncio.create_task(bench.run(action="daemon_and_wait"))
    await until(strays)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert living(strays()) == []


@pytest.mark.parametrize(
    ("action", "kind", "message"),
    [
        ("exit", "ProcessEnded", "exit code 7"),
        ("daemon_and_exit", "ProcessEnded", "exit code 3"),
        ("system_exit", "SystemExit", "raised SystemExit"),
        ("task_that_exits", "SystemExit", "raised SystemExit"),
        ("interrupt", "KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("base", "BaseException", "raised BaseException"),
        ("raise", "ValueError", "told to"),
        ("kill_parent", "ProcessEnded", "closed its connection"),
        ("close_everything", "ProcessEnded", "exit code"),
        ("write_into_sockets", "ProcessEnded", "wrote into the answer"),
        ("recurse", "RecursionError", "recursion"),
        ("object", "invalid_payload", "not JSON"),
        ("set", "invalid_payload", "not JSON"),
        ("nan", "invalid_payload", "not finite"),
        ("nul", "invalid_payload", "NUL"),
        ("surrogate", "invalid_payload", "not JSON"),
        ("huge_number", "invalid_payload", "not JSON"),
        ("deep", "invalid_payload", "64 levels"),
        ("cyclic", "invalid_payload", "not JSON"),
    ],
)
@pytest.mark.parametrize("node", ["misbehaving", "misbehaving-in-thread"])
async def test_whatever_a_node_does_is_an_error_of_its_own(bench, node, action, kind, message):
    with pytest.raises(NodeFailed, match=message) as failed:
        await bench.run(node, action=action, timeout=15)
    assert (failed.value.error_type, failed.value.node_id) == (kind, "n")
    assert living(strays()) == []
    assert (await bench.run(node, action="nothing"))["output"] == {"action": "nothing"}


async def test_the_end_of_a_long_error_is_kept(bench):
    with pytest.raises(NodeFailed, match=r"^x{8000}$"):
        await bench.run(action="raise_large")


async def test_a_node_that_takes_all_memory_gets_an_error(settings):
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "BENCH_MEMORY": 400 * 1024**2}
    bench = Bench()
    with pytest.raises(NodeFailed) as failed:
        await bench.run(action="allocate")
    assert failed.value.error_type == "MemoryError"
    await bench.pool.close()


async def test_a_bomb_is_ended(bench):
    with pytest.raises(NodeFailed, match="started more than 64 processes"):
        await bench.run(action="bomb")
    assert len(strays()) < BOMB
    assert living(strays()) == []


@pytest.mark.parametrize("action", ["emit_much", "large"])
async def test_an_answer_that_is_too_large_says_how_large(bench, action):
    with pytest.raises(PayloadTooLarge, match=r"the answer has \d{8} bytes, 8388608 are allowed"):
        await bench.run(action=action)
    assert (await bench.run(action="nothing"))["output"] == {"action": "nothing"}


async def test_the_end_of_a_flood_is_kept(bench):
    answer = await bench.run(action="flood")
    assert len(answer["log"]) == 64 * 1024
    assert answer["log"].endswith("x\n")
    assert (await bench.run(action="nothing"))["log"] == ""


async def test_a_conditional_edge_that_is_not_taken_is_a_conflict(bench):
    inputs = [{"source": "s", "condition": "data.value > 100", "data": {"value": 1}}]
    node = node_json(NodeConfig(id="n", type="debug"))
    request = {"op": "execute", "node": node, "inputs": inputs, "timeout": 5}
    with pytest.raises(Conflict, match="No condition"):
        await bench.pool.run(request, OWNER)


async def test_the_input_of_a_node_is_shown_with_its_paths(bench):
    inputs = [
        {"source": "a", "condition": None, "data": {"value": 1}},
        {"source": "b", "condition": "data.value > 1", "data": {"value": 1}},
        {"source": "c", "condition": "data.value > 1", "data": {"value": 2}},
    ]
    shown = await bench.pool.run({"op": "input", "inputs": inputs, "timeout": 5}, OWNER)
    assert shown["input"] == {"value": 1, "value_2": 2}
    assert [path["path"] for path in shown["paths"]] == ["data.value", "data.value_2"]


async def test_a_template_is_rendered_in_the_child(bench):
    inputs = [{"source": "a", "condition": None, "data": {"value": 2}}]
    request = {"op": "render", "inputs": inputs, "timeout": 5, "advanced": False}
    shown = await bench.pool.run({**request, "template": "{{ data.value * 2 }}"}, OWNER)
    assert (shown["ok"], shown["value"], shown["type"]) == (True, 4, "number")
    wrong = await bench.pool.run({**request, "template": "{{ data.valeu }}"}, OWNER)
    assert wrong["ok"] is False and wrong["paths"] == shown["paths"]


async def test_a_timeout_of_the_node_itself_is_one(bench):
    config = NodeConfig(id="n", type="misbehaving", options=NodeOptions(timeout=0.1))
    with pytest.raises(NodeTimeout, match=r"longer than 0\.1 s"):
        await bench.ask(config, {"action": "wait"})


async def test_as_many_as_allowed_run_at_a_time(bench):
    limit = orchestrator_settings().BENCH_CHILDREN
    running = [asyncio.create_task(bench.run(action="wait")) for _ in range(limit)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await bench.run(action="nothing")
    for work in running:
        work.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (await bench.run(action="nothing"))["output"] == {"action": "nothing"}


async def test_a_file_writer_writes_its_bench_segment_when_asked(bench):
    files = orchestrator_settings().files_dir
    config = NodeConfig(id="n", type="file-writer", form={"path": "sub/bench.jsonl"})
    segment = files / "sub" / "bench-bench.jsonl"
    segment.unlink(missing_ok=True)
    answer = await bench.ask(config, {"value": 1})
    assert (answer["effects"], answer["wrote"]) == (['{"value":1}\n'], [])
    assert not segment.exists()
    for _ in range(2):
        answer = await bench.ask(config, {"value": 1}, write=True)
        assert answer["wrote"] == ["sub/bench-bench.jsonl"]
    assert segment.read_text() == '{"value":1}\n' * 2
    assert not (files / "sub" / "bench.jsonl").exists()


async def test_nothing_is_leaked_by_two_hundred_requests(bench):
    async def all_kinds(number):
        actions = ["nothing", "raise", "exit", "open_file", "endless_thread"]
        for action in actions:
            try:
                await bench.run(action=action, owner=f"{number % 3}")
            except NodeFailed:
                assert action in ("raise", "exit")
        with pytest.raises(NodeTimeout):
            await bench.run(action="hang", timeout=0.02)

    async def settled():
        await bench.pool.close()
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count(), zombies()

    for number in range(6):  # every thread of the executor has been needed once
        await all_kinds(number)
    fds, threads, _ = await settled()
    for number in range(28):
        await all_kinds(number)
    after = await settled()
    assert after[0] <= fds
    assert after[1] <= threads
    assert after[2] == []


def zombies():
    """The ended processes below this one that nobody has waited for."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == os.getpid():
                found.append(int(entry.name))
    return found


async def test_a_child_that_ended_while_it_waited_is_not_used(bench):
    where = await bench.where()
    os.kill(where["pid"], signal.SIGKILL)
    await until(lambda: not is_alive(where["parent"]))
    for _ in range(3):  # the event loop hears of it
        await asyncio.sleep(0)
    assert (await bench.where())["pid"] != where["pid"]
