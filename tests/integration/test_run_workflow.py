"""`manage.py run_workflow`: how it ends, and what it takes for that."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.local_runs import ROOT, LocalRuns
from tests.waiting import eventually

LEAVES_AT_TWO = """
import os
from nodes.base import BlockingNode

class LeaveAtTwo(BlockingNode):
    identifier = "leave-at-two"

    async def execute(self, item):
        if item.data["value"] == 2:
            os._exit(7)
        return item
"""


@pytest.fixture
def runs(tmp_path, redis_url):
    return LocalRuns(tmp_path, redis_url)


def node(number, kind, **form):
    return {"id": number, "type": kind, "data": {"form": form}}


def test_what_is_wrong_with_a_file_is_told(runs):
    file = runs.workflow("wrong", [node("1", "conter"), node("2", "counter", step=0)], [])
    assert runs.run("run_workflow", file) == 1
    assert "nodes[0].type: " in runs.told and "nodes[1].data.form.step: " in runs.told
    assert runs.run("run_workflow", runs.data_dir / "absent.json") == 1
    assert "absent.json: No such file or directory" in runs.told


def test_a_loop_that_fails_ends_the_run(runs):
    nodes = [node("1", "file-reader", path="absent"), node("2", "counter", interval=1)]
    assert runs.run("run_workflow", runs.workflow("broken", nodes, [])) == 1
    assert "loop 1/0: absent cannot be read" in runs.told


def test_memory_is_refused(runs):
    runs.environment["REDIS_URL"] = "memory://"
    assert runs.run("run_workflow", runs.workflow("any", [node("1", "counter")], [])) == 1
    assert "memory://" in runs.told


def test_the_same_file_does_not_run_twice_at_once(runs):
    writer = node("2", "file-writer", path="numbers.jsonl")
    nodes = [node("1", "counter", interval=0.01), writer]
    file = runs.workflow("endless", nodes, [("1", "2")])
    first = runs.start("run_workflow", file)
    eventually(lambda: runs.lines("numbers.jsonl"))
    assert runs.run("run_workflow", file) == 1
    assert "runs already" in runs.told
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130


def test_a_process_loop_runs_and_completes(runs):
    counter = {"id": "1", "type": "counter", "data": {"form": {"stop": 3}}}
    counter["data"]["config"] = {"pool": "process"}
    nodes = [counter, node("2", "file-writer", path="numbers.jsonl")]
    assert runs.run("run_workflow", runs.workflow("alone", nodes, [("1", "2")])) == 0, runs.told
    assert runs.lines("numbers.jsonl") == [{"value": 0}, {"value": 1}, {"value": 2}]


def test_an_item_that_ends_its_process_becomes_a_dead_letter(runs):
    package = runs.install("poison", "1", {"poison": "poison"}) / "poison"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "leaving.py").write_text(LEAVES_AT_TWO)
    writer = node("3", "file-writer", path="numbers.jsonl")
    nodes = [node("1", "counter", stop=5), node("2", "leave-at-two"), writer]
    file = runs.workflow("poison", nodes, [("1", "2"), ("2", "3")])
    assert runs.run("run_workflow", file) == 0, runs.told
    assert [item["value"] for item in runs.lines("numbers.jsonl")] == [0, 1, 3, 4]
    (letter,) = runs.dead("run-poison")
    assert (letter["reason"], letter["item"]) == ("worker_lost", {"value": 2})


def test_a_terminal_shows_a_table(runs):
    file = runs.workflow("table", [node("1", "counter", stop=1234)], [])
    ours, theirs = pty.openpty()
    command = [sys.executable, "manage.py", "run_workflow", str(file)]
    running = subprocess.Popen(
        command, cwd=ROOT, env=runs.environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert running.wait(60) == 0, shown.decode()
    last = shown.decode().rpartition("\x1b[J")[0].rpartition("\x1b[J")[2]
    assert "completed, 0 dead letters" in last
    assert "1 counter" in last and "1,234" in last


def test_without_a_url_it_brings_a_server_and_takes_it_away(runs, tmp_path):
    del runs.environment["REDIS_URL"]
    file = runs.workflow("own", [node("1", "counter", stop=3)], [])
    assert runs.run("run_workflow", file) == 0, runs.told
    assert (tmp_path / "redis" / "written_by").exists()
    assert not (tmp_path / "redis.sock").exists()
