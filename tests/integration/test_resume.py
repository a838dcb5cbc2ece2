"""A run goes on where its newest whole checkpoint is, whatever became of the process it was in."""

import json
import os
import signal
import time

import pytest

from storage.datastore import open_store
from tests.run_server import RunServer
from tests.waiting import eventually

pytestmark = pytest.mark.fault

LAST = 4
"""The round after which the run ends: a -> b -> a -> b, then the end `c`."""
TRAIL = ["a:0", "b:1", "a:2", "b:3", "c:4"]
GRAPH = {
    "name": "rounds",
    "nodes": [
        {"id": "a", "type": "effect"},
        {"id": "b", "type": "effect"},
        {"id": "c", "type": "effect"},
    ],
    "edges": [
        {"source": "a", "target": "b"},
        {"source": "b", "target": "a", "condition": f"data.n < {LAST}"},
        {"source": "b", "target": "c", "condition": f"data.n >= {LAST}"},
    ],
    "entry_point": "a",
}
DIAMOND = {
    "name": "diamond",
    "nodes": [{"id": node, "type": "effect"} for node in "abcd"],
    "edges": [
        {"source": "a", "target": "b"},
        {"source": "a", "target": "c"},
        {"source": "b", "target": "d"},
        {"source": "c", "target": "d"},
    ],
    "entry_point": "a",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    server = RunServer(tmp_path_factory.mktemp("runs"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def other(template):
    """Another server with the same database and files."""
    server = RunServer(template.folder, template.database)
    yield server
    server.close()


@pytest.fixture
def server(template):
    """A server without effects, failpoints or runs of an earlier test."""
    template.end_fork()
    for name in ("effects.jsonl", "failpoint", "hold", "mended"):
        (template.folder / name).unlink(missing_ok=True)
    template.ask("clear")
    return template


def make(server, graph=GRAPH, state=None, **options):
    state = {"n": 0, "trail": [], **(state or {})}
    answer = server.ask("make", graph=graph, run={"id": "r", "initial_state": state, **options})
    assert answer == {"exit": 0}


def show(server, run_id="r"):
    return server.ask("show", id=run_id)


def bodies(shown):
    return [json.loads(body)["snapshot"] for body in shown["checkpoints"]]


def repeated(server):
    effects = server.effects()
    return len(effects) - len(set(effects))


def test_a_run_is_recorded_step_by_step(server):
    make(server)
    assert server.ask("execute", id="r") == {"ended": "completed", "exit": 0}
    shown = show(server)
    assert shown["run"]["state"] == {"n": 5, "trail": TRAIL}
    assert shown["log"] == [[key[0], n, None] for n, key in enumerate(TRAIL, 1)]
    assert [found["steps"] for found in bodies(shown)] == [1, 2, 3, 4, 5]
    assert server.effects() == TRAIL


PLACES = [
    *(f"{key.replace(':', ' ')} {when}_execute" for key in TRAIL for when in ("before", "after")),
    "before_claim 1",
    "after_claim 1",
    "before_newest 1",
    "after_newest 1",
    *(f"{when}_record {n}" for n in (1, 3, 5) for when in ("before", "after")),
    "before_update 1",
    "after_update 1",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_at_any_boundary_costs_at_most_the_step_in_hand(server, place):
    make(server)
    server.arm(place)
    assert server.ask("execute", id="r")["exit"] == 9
    assert not server.armed
    server.ask("execute", id="r")
    shown = show(server)
    assert shown["run"]["status"] == "completed", shown["run"]
    assert shown["run"]["state"] == {"n": 5, "trail": TRAIL}
    assert [*dict.fromkeys(server.effects())] == TRAIL
    assert repeated(server) <= 1
    assert bodies(shown)[-1]["pending"] == []
    assert [step[1] for step in shown["log"]] == [1, 2, 3, 4, 5]


def test_a_run_whose_workers_die_at_every_step_ends_complete(server):
    make(server)
    for key in TRAIL:
        server.arm(f"{key.replace(':', ' ')} after_execute")
        assert server.ask("execute", id="r")["exit"] == 9
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert show(server)["run"]["state"] == {"n": 5, "trail": TRAIL}
    assert repeated(server) == len(TRAIL)


def test_kill_nine_in_the_middle_of_a_step(server):
    make(server)
    (server.folder / "hold").write_text("a:2")
    pid = server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    os.kill(pid, signal.SIGKILL)
    assert server.answer() == {"exit": -9}
    (server.folder / "hold").unlink()
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_checkpoint_every_other_step_costs_at_most_that_many(server):
    make(server, checkpoint_every=2)
    server.arm("b 3 before_execute")
    server.ask("execute", id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    shown = show(server)
    assert [found["steps"] for found in bodies(shown)] == [2, 4]
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_node_may_ask_for_the_checkpoint(server):
    make(server, checkpoint_every=None, state={"ask": "b:1"})
    server.arm("b 3 before_execute")
    server.ask("execute", id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert [found["steps"] for found in bodies(show(server))] == [2]
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_run_without_checkpoints_begins_again(server):
    make(server, checkpoint_every=None)
    server.arm("c 4 before_execute")
    server.ask("execute", id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == [*TRAIL[:4], *TRAIL]
    assert show(server)["run"]["state"] == {"n": 5, "trail": TRAIL}


@pytest.mark.parametrize("key", ["a:0", "b:1", "c:1", "d:2"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_join_waits_on_for_the_branch_that_was_cut_off(server, key, when):
    make(server, DIAMOND)
    server.arm(f"{key.replace(':', ' ')} {when}_execute")
    assert server.ask("execute", id="r")["exit"] == 9
    assert server.ask("execute", id="r")["ended"] == "completed"
    state = show(server)["run"]["state"]
    assert sorted(state["trail"][:2] + state["trail_2"][:2]) == ["a:0", "a:0", "b:1", "c:1"]
    assert {*server.effects()} == {"a:0", "b:1", "c:1", "d:2"}
    assert repeated(server) <= 2  # both branches are in hand


@pytest.mark.parametrize("damage", ["torn", "foreign", "empty"])
def test_a_checkpoint_that_is_not_whole_or_not_ours_is_passed_over(server, damage):
    make(server)
    server.arm("a 2 after_execute")
    server.ask("execute", id="r")
    server.ask("damage", id="r", number=2, damage=damage)
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == ["a:0", "b:1", "a:2", "b:1", "a:2", "b:3", "c:4"]
    assert show(server)["run"]["state"] == {"n": 5, "trail": TRAIL}


def test_a_run_that_kills_every_worker_is_given_up(server):
    make(server)
    for _ in range(4):
        server.arm("a 0 before_execute")
        server.ask("execute", id="r")
    (server.folder / "failpoint").unlink(missing_ok=True)
    shown = show(server)
    assert shown["run"]["status"] == "failed"
    assert shown["run"]["error"]["error_type"] == "WorkerLost"


def test_a_failed_run_goes_on_at_the_error(server):
    make(server, state={"fail": "a:2"})
    assert server.ask("execute", id="r")["ended"] == "failed"
    shown = show(server)
    assert shown["run"]["error"]["node"] == "a"
    assert "a:2 is broken" in shown["run"]["error"]["message"]
    assert shown["run"]["state"]["trail"] == ["a:0", "b:1"]
    assert shown["log"][-1][0] == "a" and "a:2 is broken" in shown["log"][-1][2]
    assert server.ask("execute", id="r")["ended"] == "failed"  # a late delivery changes nothing
    (server.folder / "mended").touch()
    assert server.ask("resume", run_id="r")["id"] == "r"
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert show(server)["run"]["state"]["trail"] == TRAIL
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_failed_run_begins_again(server):
    make(server, state={"fail": "a:2"})
    server.ask("execute", id="r")
    (server.folder / "mended").touch()
    server.ask("restart", run_id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert show(server)["run"]["state"]["trail"] == TRAIL
    assert server.effects() == ["a:0", "b:1", "a:2", *TRAIL]


def test_a_failed_run_goes_on_at_an_older_checkpoint_also_after_a_kill(server):
    make(server, state={"fail": "b:3"})
    server.ask("execute", id="r")
    (server.folder / "mended").touch()
    server.ask("resume", run_id="r", checkpoint=1)
    server.arm("a 2 before_execute")
    server.ask("execute", id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert show(server)["run"]["state"]["trail"] == TRAIL
    assert server.effects() == ["a:0", "b:1", "a:2", "b:3", "b:1", "a:2", "b:3", "c:4"]


def test_a_finished_run_is_not_resumed(server):
    make(server)
    server.ask("execute", id="r")
    for how in ("resume", "restart"):
        answer = server.ask(how, run_id="r")
        assert (answer["error"], "is finished" in answer["message"]) == ("conflict", True)
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == TRAIL


def test_a_run_that_has_not_ended_is_not_resumed(server):
    make(server)
    assert "has not ended" in server.ask("resume", run_id="r")["message"]


def test_on_another_version_of_the_graph_nothing_goes_on(server):
    make(server, state={"fail": "a:2"})
    server.ask("execute", id="r")
    server.ask("change_graph")
    for how in ("resume", "restart", "fork"):
        answer = server.ask(how, run_id="r")
        assert (answer["error"], "another version" in answer["message"]) == ("conflict", True)


def test_a_waiting_run_fails_on_another_version_of_the_graph(server):
    make(server)
    server.ask("change_graph")
    assert server.ask("execute", id="r")["ended"] == "failed"
    assert show(server)["run"]["error"]["code"] == "conflict"
    assert not (server.folder / "effects.jsonl").exists()


def test_a_fork_goes_its_own_way_from_an_old_checkpoint(server):
    make(server, runs_on=["gpu"])
    server.ask("execute", id="r")
    before = show(server)
    made = server.ask("fork", run_id="r", checkpoint=2)["id"]
    assert server.ask("execute", id=made)["ended"] == "completed"
    forked = show(server, made)
    assert forked["run"]["state"] == before["run"]["state"]
    assert forked["parent"] == {"run": "r", "checkpoint": 2}
    assert forked["runs_on"] == ["gpu"]
    assert [step[0] for step in forked["log"]] == ["a", "b", "c"]
    assert show(server) == before
    assert server.effects() == [*TRAIL, *TRAIL[2:]]


def test_a_torn_or_missing_checkpoint_cannot_be_chosen(server):
    make(server, state={"fail": "a:2"})
    server.ask("execute", id="r")
    server.ask("damage", id="r", number=2, damage="torn")
    for how in ("resume", "fork"):
        assert server.ask(how, run_id="r", checkpoint=2)["error"] == "conflict"
        assert server.ask(how, run_id="r", checkpoint=9)["error"] == "not_found"


def test_a_zombie_changes_nothing(server, other):
    make(server)
    (server.folder / "hold").write_text("a:2")
    zombie = server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    os.kill(zombie, signal.SIGSTOP)
    (server.folder / "hold").unlink()
    assert other.ask("execute", id="r")["ended"] == "completed"
    before = show(other)
    os.kill(zombie, signal.SIGCONT)
    assert server.answer() == {"ended": None, "exit": 0}
    assert show(other) == before
    assert before["run"]["state"] == {"n": 5, "trail": TRAIL}


def test_two_workers_with_one_run_do_not_both_execute_it(server, other):
    make(server)
    (server.folder / "hold").write_text("a:2")
    server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    assert other.ask("execute", id="r", stale_after=3)["ended"] is None
    (server.folder / "hold").unlink()
    assert server.answer()["ended"] == "completed"
    assert server.effects() == TRAIL


def test_a_run_is_cancelled_while_a_node_works(server, other):
    make(server)
    (server.folder / "hold").write_text("a:2")
    server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    live = show(other)
    assert live["run"]["status"] == "running"
    assert live["run"]["state"] == {"n": 2, "trail": ["a:0", "b:1"]}
    assert other.ask("cancel", id="r")["exit"] == 0
    assert server.answer()["ended"] == "cancelled"
    (server.folder / "hold").unlink()
    assert show(server)["run"]["state"]["trail"] == ["a:0", "b:1"]
    server.ask("resume", run_id="r")
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_cancelled_run_whose_worker_died_does_not_go_on(server):
    make(server)
    server.arm("a 2 before_execute")
    server.ask("execute", id="r")
    server.ask("cancel", id="r")
    assert server.ask("execute", id="r")["ended"] == "cancelled"
    assert server.effects() == ["a:0", "b:1"]


def test_a_worker_that_has_to_end_lets_its_run_go(server):
    make(server)
    (server.folder / "hold").write_text("a:2")
    pid = server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    os.kill(pid, signal.SIGTERM)
    assert server.answer() == {"ended": "let go", "exit": 0}
    (server.folder / "hold").unlink()
    assert server.ask("execute", id="r", stale_after=600)["ended"] == "completed"
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_the_time_of_a_run_goes_on_in_the_next_worker(server):
    make(server, timeout=2.0)
    (server.folder / "hold").write_text("a:2")
    pid = server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    os.kill(pid, signal.SIGKILL)
    server.answer()
    (server.folder / "hold").unlink()
    time.sleep(2)
    assert server.ask("execute", id="r")["ended"] == "failed"
    error = show(server)["run"]["error"]
    assert error["code"] == "run_timeout" and "longer than 2 s" in error["message"]
    assert server.effects() == TRAIL[:3]


def test_a_run_takes_no_longer_than_it_may(server):
    make(server, timeout=0.5)
    (server.folder / "hold").write_text("a:2")
    assert server.ask("execute", id="r")["ended"] == "failed"
    assert show(server)["run"]["error"]["code"] == "run_timeout"


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_the_channel_is_as_it_was_at_the_checkpoint(server, redis_url, where):
    make(server, state={"total": 0})
    options = {"redis_url": redis_url} if where == "redis" else {}
    for place in ("a 0 after_execute", "a 2 after_execute"):
        server.arm(place)
        assert server.ask("execute", id="r", **options)["exit"] == 9
    assert server.ask("execute", id="r", **options)["ended"] == "completed"
    state = show(server)["run"]["state"]
    assert (state["total"], state["keys"]) == (5, TRAIL)
    store = open_store(redis_url)
    assert await store.channel("r").keys() == []
    await store.close()


def test_a_run_waits_for_a_database_that_is_away(server):
    make(server)
    (server.folder / "hold").write_text("a:2")
    server.send("execute", id="r")
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    with server.database.held():  # for longer than a write waits
        (server.folder / "hold").unlink()
        time.sleep(6)
        assert server.effects() == TRAIL[:3]
    assert server.answer()["ended"] == "completed"
    assert server.effects() == TRAIL


def test_a_run_is_given_back_when_the_database_stays_away(server):
    make(server)
    (server.folder / "hold").write_text("a:2")
    server.send("execute", id="r", patience=0)
    eventually(lambda: (server.folder / "effects.jsonl").exists() and "a:2" in server.effects())
    with server.database.held():
        assert server.answer()["error"] == "store_unavailable"
    (server.folder / "hold").unlink()
    assert server.ask("execute", id="r")["ended"] == "completed"
    assert server.effects() == ["a:0", "b:1", "a:2", "a:2", "b:3", "c:4"]


def test_a_state_that_grows_too_large_ends_the_run_with_a_clear_error(server):
    make(server, state={"padding": "x" * 1_048_600})
    assert server.ask("execute", id="r")["ended"] == "failed"
    assert "bytes" in show(server)["run"]["error"]["message"]


def test_what_fails_outside_of_the_nodes_fails_the_run(server):
    nodes = [{"id": "a", "type": "untidy"}]
    make(server, {"name": "untidy", "nodes": nodes, "edges": [], "entry_point": "a"})
    assert server.ask("execute", id="r")["ended"] == "failed"
    assert show(server)["run"]["error"]["message"] == "it is stuck"


def test_abandoned_runs_are_put_again_once_for_each_owner_that_was_lost(server):
    make(server)
    assert server.ask("put_abandoned", stale_after=60)["put"] == []
    server.arm("a 2 before_execute")
    server.ask("execute", id="r")
    found = server.ask("put_abandoned", stale_after=0)["put"]
    assert found == server.ask("put_abandoned", stale_after=0)["put"] == ["run:r:1:1"]
    server.ask("execute", id="r")
    assert server.ask("put_abandoned", stale_after=0)["put"] == []
