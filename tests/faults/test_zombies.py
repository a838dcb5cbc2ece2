"""What is only held up comes back when others have taken over, and changes nothing any more."""

import os
import signal
from collections import Counter

import pytest

from tests.deployment import descendants_of
from tests.faults.workflows import chain, delay, faulty, linked, sink
from tests.waiting import eventually

pytestmark = pytest.mark.fault


def test_what_ended_just_before_its_host_keeps_no_other_loop_down(deployment):
    runner = deployment.start_runner()
    short = deployment.create(chain(delay(0.05), name="Short", stop=40, path="short.jsonl"))
    long = deployment.create(chain(delay(0.05), name="Long", stop=80, path="long.jsonl"))
    deployment.post("/prod/start", short)
    deployment.post("/prod/start", long)
    eventually(lambda: len(deployment.rows("short.jsonl")) > 25)
    hosts = runner.hosts()
    os.kill(runner.pid, signal.SIGSTOP)
    eventually(lambda: len(deployment.rows("short.jsonl")) == 40)
    mark = b"completed"
    eventually(lambda: mark in deployment.redis.ask("KEYS", "*{wf:short}:completed"))
    for pid in hosts:
        os.kill(pid, signal.SIGKILL)
    os.kill(runner.pid, signal.SIGCONT)
    for workflow, count in ((short, 40), (long, 80)):
        deployment.wait_for(workflow, "completed", 20)
        rows = [row["value"] for row in deployment.rows(f"{workflow}.jsonl")]
        assert rows == list(range(count))


def test_a_blocked_host_is_ended_without_its_fork_server_too(deployment):
    runner = deployment.start_runner()
    workflow = deployment.create(chain(faulty("block", 20), delay(0.01), name="Blocks", stop=60))
    deployment.post("/prod/start", workflow)
    [host] = eventually(runner.hosts)
    for pid in [pid for pid in descendants_of(runner.pid) if pid != host]:
        if host in descendants_of(pid):
            os.kill(pid, signal.SIGKILL)
    deployment.wait_for(workflow, "completed", 30)
    rows = Counter(row["value"] for row in deployment.rows("out.jsonl"))
    assert rows == Counter(range(60))
    assert deployment.loop(workflow, "source")["isolated"]


def test_a_version_that_cannot_be_loaded_keeps_nothing_else_from_running(deployment):
    broken = deployment.create(chain(faulty("raise", -1), name="A broken one", stop=3))
    deployment.post("/prod/start", broken)
    deployment.break_definition(broken, "faulty", "gone")
    sound = deployment.create(chain(name="Sound", stop=3, path="sound.jsonl"))
    deployment.post("/prod/start", sound)
    deployment.start_runner()
    deployment.wait_for(sound, "completed")
    loop = eventually(lambda: (x := deployment.loop(broken, "source"))["state"] == "degraded" and x)
    assert "gone" in loop["reason"]


def test_loops_begin_anew_with_a_server_that_has_lost_everything(deployment):
    deployment.start_runner()
    workflow = deployment.create(
        linked(
            "Flushed",
            {"id": "source", "type": "counter", "data": {"form": {"stop": 100}}},
            {"id": "writer", "type": "queue-writer", "data": {}},
            {"id": "reader", "type": "queue-reader", "data": {}},
            delay(0.02),
            sink("rows.jsonl"),
        )
    )
    deployment.post("/prod/start", workflow)
    eventually(lambda: deployment.loop(workflow, "source")["state"] == "completed")
    deployment.redis.ask("FLUSHALL")
    deployment.wait_for(workflow, "completed", 30)
    rows = Counter(row["value"] for row in deployment.rows("rows.jsonl"))
    assert set(rows) == set(range(100))
    assert max(rows.values()) <= 2
