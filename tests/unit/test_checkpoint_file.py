"""Runs of a script that go on after a crash."""

import signal
import sqlite3
import subprocess
import sys

import pytest

from orchestrator.checkpoint_file import CheckpointFile
from orchestrator.exceptions import Conflict, NodeFailed, StoreUnavailable
from orchestrator.graphs import Graph
from tests.local_runs import ROOT


@pytest.fixture(params=[True, False], ids=["waits", "behind"])
def file(request, tmp_path):
    with CheckpointFile(tmp_path / "runs.db", wait=request.param) as opened:
        yield opened


def chain(ran, broken=()):
    made = Graph("chain")
    for name in ("a", "b", "c"):

        def node(state, name=name):
            if name in broken:
                raise ValueError("no luck")
            ran.append(name)
            return {name: True}

        made.add_node(name, node)
    return made.add_edge("a", "b").add_edge("b", "c").set_entry_point("a")


def test_a_run_goes_on_where_it_failed_and_is_not_run_again(file):
    ran, broken = [], ["c"]
    made = chain(ran, broken)
    with pytest.raises(NodeFailed):
        file.run(made, "one", {"x": 1})
    broken.clear()
    assert file.run(made, "one").state == {"x": 1, "a": True, "b": True, "c": True}
    assert file.run(made, "one").path == ["a", "b", "c"]
    assert ran == ["a", "b", "c"]
    file.run(made, "two")
    assert ran == ["a", "b", "c"] * 2


def test_the_idempotency_key_is_that_of_the_round_of_the_run(file):
    keys, broken = [], [True]

    def pays(state, context):
        keys.append(context.idempotency_key)
        if state.get("paid") == 1 and broken:
            raise ValueError("no luck")
        return {"paid": state.get("paid", 0) + 1}

    made = Graph("g").add_node("pays", pays).set_entry_point("pays")
    made.add_edge("pays", "pays", condition="data.paid < 2")
    with pytest.raises(NodeFailed):
        file.run(made, "one")
    broken.clear()
    file.run(made, "one")
    file.run(made, "two")
    first, second, again, *other = keys
    assert second == again
    assert len({first, second, *other}) == 4


def test_a_torn_checkpoint_is_passed_over(file, tmp_path):
    ran = []
    made = chain(ran)
    file.run(made, "one")
    with sqlite3.connect(tmp_path / "runs.db") as other:
        other.execute("UPDATE checkpoint SET body = substr(body, 1, 90) WHERE number = 3")
    file.run(made, "one")
    assert ran == ["a", "b", "c", "c"]


def test_another_version_of_the_graph_is_refused(file):
    file.run(chain([]), "one")
    with pytest.raises(Conflict, match="another version"):
        file.run(chain([]).add_edge("a", "c"), "one")


def test_a_file_that_is_none_is_said_so(tmp_path):
    (tmp_path / "text").write_text("no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="checkpoint file"):
        CheckpointFile(tmp_path / "text")


def test_a_killed_script_goes_on_with_no_part_twice_but_the_one_in_hand(tmp_path):
    command = [sys.executable, "-u", "-m", "examples.graphs.resume", str(tmp_path / "runs.db")]
    seen = []
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as script:
            for line in script.stdout:
                seen.append(line)
                if len(seen) in (4, 11):
                    script.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    seen += done.stdout.splitlines(keepends=True)
    assert sorted({int(line.split()[1]) for line in seen}) == list(range(1, 21))
    assert len(seen) <= 22
