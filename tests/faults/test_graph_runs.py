"""Runs and tools over HTTP, with a web process and a worker, each a real process."""

import asyncio

import pytest
import websockets

from tests.deployment import Deployment
from tests.faults.graphs import (
    COUNT,
    created,
    details,
    ended,
    log_of,
    one,
    reached,
    run,
    start,
    state_of,
    watched,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server):
    deployed = Deployment(tmp_path_factory.mktemp("runs"))
    deployed.start_worker()
    call = {"arguments": {"left": 1}}
    eventually(lambda: deployed.client.post("/tools/test.add/call", json=call).status_code == 200)
    yield deployed
    deployed.close()


def after(deployment, run_id, action, **body):
    """Do something with a run, and return the run as it ends then."""
    answer = deployment.client.post(f"/graph/runs/{run_id}/{action}", json=body)
    assert answer.status_code == 202, answer.text
    return ended(deployment, answer.json()["run_id"])


def test_a_run_loops_and_branches_and_has_its_log(deployment):
    found = run(deployment, COUNT, {"add": 0, "goal": 3})
    assert (found["status"], found["state"]) == (
        "completed", {"add": 3, "goal": 3, "done": "yes"},
    )  # fmt: skip
    assert (found["visited"], found["steps"], found["error"]) == (["add", "done"], 4, None)
    log = found["log"]
    assert [step["node"] for step in log] == ["add", "add", "add", "done"]
    assert [step["number"] for step in log] == [1, 2, 3, 4]
    assert log[1]["changes"] == [{"path": "add", "op": "change", "before": 1, "after": 2}]
    assert log[3]["changes"] == [{"path": "done", "op": "add", "after": "yes"}]
    assert all(step["seconds"] >= 0 and step["started_at"] for step in log)
    assert log_of(deployment, found["run_id"]) == log


def test_a_cycle_whose_budget_is_used_up_goes_where_the_edge_says(deployment):
    found = run(deployment, COUNT, {"add": 0, "goal": 100})
    assert (found["status"], found["state"]["done"]) == ("completed", "no")
    assert found["visited"] == ["add", "much"]
    assert len(found["log"]) == 7


def test_an_infinite_loop_ends_with_its_path_and_its_state(deployment):
    nodes = [
        {"id": "a", "tool": "test.add", "arguments": {"left": "{{ data.a }}"}},
        {"id": "b", "type": "debug"},
    ]
    edges = [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]
    graph = {"entry_point": "a", "nodes": nodes, "edges": edges}
    found = run(deployment, graph, {"a": 0}, max_steps=10)
    assert (found["status"], found["error"]["code"]) == ("failed", "step_limit")
    assert "a -> b -> a" in found["error"]["message"]
    assert found["state"] == {"a": 5}


def test_a_run_that_takes_too_long_fails(deployment):
    found = run(deployment, one("test.wait", seconds=60), {"x": 1}, timeout=0.3)
    assert (found["status"], found["error"]["code"]) == ("failed", "run_timeout")
    assert found["state"] == {"x": 1}


@pytest.mark.parametrize(
    ("graph", "code", "told"),
    [
        (one("test.fail", message="out of tea"), "node_failed", "out of tea"),
        (one("test.add", left="{{ data.nothing }}"), "node_failed", "nothing"),
        (one("test.odd"), "node_failed", ""),
        (one("test.large", size=2_000_000), "", "allowed"),
        (
            {
                **one("test.add", left=1),
                "nodes": [
                    {"id": "it", "tool": "test.add", "arguments": {"left": 1}},
                    {"id": "then", "type": "debug"},
                ],
                "edges": [{"source": "it", "target": "then", "condition": "data.it / 0 > 1"}],
            },
            "node_failed",
            "",
        ),
    ],
    ids=["raises", "no such value", "no json", "too large", "condition"],
)
def test_a_run_that_fails_keeps_the_state_at_the_error(deployment, graph, code, told):
    found = run(deployment, graph, {"x": 1})
    assert found["status"] == "failed"
    assert code in found["error"]["code"] and told in found["error"]["message"]
    assert found["error"]["node"] == "it"
    assert found["state"]["x"] == 1
    assert found["ended_at"]
    [step] = log_of(deployment, found["run_id"])
    assert step["node"] == "it" and step["error"]


def test_arguments_that_turn_out_not_to_fit_fail_the_node(deployment):
    found = run(deployment, one("test.add", left="{{ data.left }}"), {"left": "text"})
    assert found["status"] == "failed" and found["error"]["node"] == "it"


def test_a_run_is_watched_while_it_goes_on(deployment):
    nodes = [
        {"id": "first", "tool": "test.add", "arguments": {"left": 1}},
        {"id": "wait", "tool": "test.wait", "arguments": {"seconds": 1.0}},
        {"id": "last", "tool": "test.add", "arguments": {"left": 2}},
    ]
    edges = [{"source": "first", "target": "wait"}, {"source": "wait", "target": "last"}]
    graph = {"entry_point": "first", "nodes": nodes, "edges": edges}
    answer = start(deployment, graph, wait=False)
    assert answer.status_code == 202
    run_id = answer.json()["run_id"]
    now = reached(deployment, run_id, "first")
    assert now
    seen = state_of(deployment, run_id)
    assert (seen["status"], seen["state"], seen["visited"]) == ("running", {"first": 2}, ["first"])
    assert ended(deployment, run_id)["state"] == {"first": 2, "wait": 1.0, "last": 3}


def test_the_log_comes_in_pages(deployment):
    run_id = run(deployment, COUNT, {"add": 0, "goal": 3})["run_id"]
    where = f"/graph/runs/{run_id}/log"
    page = deployment.client.get(f"{where}?limit=3").json()
    assert ([s["node"] for s in page["results"]], page["next"]) == (["add"] * 3, 3)
    rest = deployment.client.get(f"{where}?limit=3&after={page['next']}").json()
    assert ([s["node"] for s in rest["results"]], rest["next"]) == (["done"], None)
    assert deployment.client.get(f"{where}?after=-1").status_code == 400


def test_a_run_is_cancelled_while_a_node_executes(deployment):
    run_id = start(deployment, one("test.wait", seconds=60), {"x": 1}, wait=False).json()["run_id"]
    eventually(lambda: state_of(deployment, run_id)["status"] == "running")
    answer = deployment.client.post(f"/graph/runs/{run_id}/cancel")
    assert answer.status_code == 202
    found = ended(deployment, run_id, 10)
    assert (found["status"], found["state"]) == ("cancelled", {"x": 1})


def test_a_run_that_failed_goes_on_from_the_error(deployment, tmp_path):
    gate, counted = tmp_path / "gate", tmp_path / "counted"
    nodes = [
        {"id": "count", "tool": "test.count", "arguments": {"path": str(counted)}},
        {"id": "gate", "tool": "test.fail_unless", "arguments": {"path": str(gate)}},
    ]
    graph = {
        "entry_point": "count",
        "nodes": nodes,
        "edges": [{"source": "count", "target": "gate"}],
    }
    failed = run(deployment, graph)
    assert (failed["status"], failed["state"]) == ("failed", {"count": 1})
    again = after(deployment, failed["run_id"], "retry")
    assert (again["status"], again["attempt"]) == ("failed", 2)
    gate.touch()
    done = after(deployment, failed["run_id"], "retry", **{"from": "error"})
    assert (done["status"], done["state"]) == ("completed", {"count": 1, "gate": "found"})
    assert done["error"] is None
    anew = run(deployment, graph)
    assert anew["state"]["count"] == 2


def test_a_run_that_failed_begins_again(deployment, tmp_path):
    gate, counted = tmp_path / "gate", tmp_path / "counted"
    nodes = [
        {"id": "count", "tool": "test.count", "arguments": {"path": str(counted)}},
        {"id": "gate", "tool": "test.fail_unless", "arguments": {"path": str(gate)}},
    ]
    edges = [{"source": "count", "target": "gate"}]
    failed = run(deployment, {"entry_point": "count", "nodes": nodes, "edges": edges})
    gate.touch()
    done = after(deployment, failed["run_id"], "retry", **{"from": "start"})
    assert (done["status"], done["state"]) == ("completed", {"count": 2, "gate": "found"})


def test_a_run_that_was_cancelled_is_resumed(deployment):
    nodes = [
        {"id": "first", "tool": "test.add", "arguments": {"left": 1}},
        {"id": "wait", "tool": "test.wait", "arguments": {"seconds": "{{ data.seconds }}"}},
    ]
    edges = [{"source": "first", "target": "wait"}]
    graph = {"entry_point": "first", "nodes": nodes, "edges": edges}
    run_id = start(deployment, graph, {"seconds": 2}, wait=False).json()["run_id"]
    reached(deployment, run_id, "first")
    assert after(deployment, run_id, "cancel")["status"] == "cancelled"
    done = after(deployment, run_id, "resume")
    assert (done["status"], done["state"]["wait"]) == ("completed", 2)
    assert [step["node"] for step in log_of(deployment, run_id)].count("first") == 1


@pytest.mark.parametrize("action", ["resume", "retry", "cancel"])
def test_what_is_finished_stays_finished(deployment, action):
    run_id = run(deployment, COUNT, {"add": 0, "goal": 1})["run_id"]
    answer = deployment.client.post(f"/graph/runs/{run_id}/{action}", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert state_of(deployment, run_id)["attempt"] == 1


def test_what_goes_on_is_not_resumed(deployment):
    run_id = start(deployment, one("test.wait", seconds=60), wait=False).json()["run_id"]
    eventually(lambda: state_of(deployment, run_id)["status"] == "running")
    for action in ("resume", "retry"):
        answer = deployment.client.post(f"/graph/runs/{run_id}/{action}", json={})
        assert answer.status_code == 409, answer.text
    assert deployment.client.delete(f"/graph/runs/{run_id}").status_code == 409
    assert after(deployment, run_id, "cancel")["status"] == "cancelled"


def test_a_run_is_forked_from_a_checkpoint(deployment):
    origin = run(deployment, COUNT, {"add": 0, "goal": 4})
    where = f"/graph/runs/{origin['run_id']}"
    found = deployment.client.get(f"{where}/checkpoints").json()["results"]
    assert [each["number"] for each in found] == list(range(1, len(found) + 1))
    second = next(each["number"] for each in found if each["steps"] == 2)
    forked = after(deployment, origin["run_id"], "fork", checkpoint=second)
    assert forked["run_id"] != origin["run_id"]
    assert forked["parent"] == {"run": origin["run_id"], "checkpoint": second}
    assert (forked["status"], forked["state"]) == ("completed", origin["state"])
    assert [s["node"] for s in log_of(deployment, forked["run_id"])] == ["add", "add", "done"]
    assert deployment.client.post(f"{where}/fork", json={"checkpoint": 99}).status_code == 404
    for wrong in ({}, {"checkpoint": 0}, {"checkpoint": "x"}):
        assert deployment.client.post(f"{where}/fork", json=wrong).status_code == 400


def test_a_wrong_origin_of_a_retry_is_named(deployment):
    run_id = run(deployment, one("test.fail"))["run_id"]
    answer = deployment.client.post(f"/graph/runs/{run_id}/retry", json={"from": "there"})
    assert (answer.status_code, set(details(answer))) == (400, {"from"})


def test_a_run_that_has_ended_is_removed(deployment):
    run_id = run(deployment, one("test.add", left=1))["run_id"]
    assert deployment.client.delete(f"/graph/runs/{run_id}").status_code == 204
    assert deployment.client.get(f"/graph/runs/{run_id}/log").status_code == 404


def test_a_request_that_comes_again_gets_the_same_run_when_it_has_ended(deployment):
    graph_id = created(deployment, one("test.wait", seconds=1))
    body = {"graph_id": graph_id, "idempotency_key": "once"}
    first = deployment.client.post("/graph/run", json={**body, "wait": False})
    again = deployment.client.post("/graph/run", json=body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["run_id"] == first.json()["run_id"]
    assert again.json()["status"] == "completed"
    assert deployment.client.get(f"/graph/runs?graph_id={graph_id}").json()["count"] == 1


def test_members_of_a_group_are_called_side_by_side(deployment):
    members = [
        {"name": "a", "tool": "test.add", "arguments": {"left": "{{ data.x }}"}},
        {"name": "b", "tool": "test.fail"},
    ]
    form = {"members": members, "policy": "best_effort"}
    node = {"id": "g", "type": "group", "data": {"form": form}}
    found = run(deployment, {"entry_point": "g", "nodes": [node]}, {"x": 1})
    assert (found["status"], found["state"]["a"]) == ("completed", 2)
    assert found["state"]["g_errors"]["b"]["message"] == "no"
    form["policy"] = "strict"
    assert run(deployment, {"entry_point": "g", "nodes": [node]}, {"x": 1})["status"] == "failed"


def test_a_tool_is_called(deployment):
    answer = deployment.client.post("/tools/test.add/call", json={"arguments": {"left": 2}})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["result"]) == ("test.add", 3)


@pytest.mark.parametrize(
    ("tool", "arguments", "options", "status", "code"),
    [
        ("test.fail", {"message": "out of tea"}, {}, 422, "tool_failed"),
        ("test.odd", {}, {}, 422, "tool_failed"),
        ("test.wait", {"seconds": 60}, {"timeout": 0.3}, 504, "tool_timeout"),
        ("test.block", {"seconds": 2}, {"timeout": 0.3}, 504, "tool_timeout"),
    ],
)
def test_a_tool_that_does_not_succeed(deployment, tool, arguments, options, status, code):
    body = {"arguments": arguments, **options}
    answer = deployment.client.post(f"/tools/{tool}/call", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    if "message" in arguments:
        assert "out of tea" in answer.json()["error"]["message"]


def test_a_socket_shows_the_steps_of_a_run(deployment):
    nodes = [
        {"id": "first", "tool": "test.wait", "arguments": {"seconds": 0.7}},
        {"id": "last", "tool": "test.add", "arguments": {"left": 2}},
    ]
    edges = [{"source": "first", "target": "last"}]
    graph = {"entry_point": "first", "nodes": nodes, "edges": edges}
    asyncio.run(watched_once(deployment))  # so that the web process listens to the feed
    run_id = start(deployment, graph, wait=False).json()["run_id"]
    messages = asyncio.run(watched(deployment, run_id, "completed"))
    assert [message["seq"] for message in messages] == list(range(len(messages)))
    assert messages[0]["type"] == "state_sync" and messages[0]["run_id"] == run_id
    steps = [message["step"] for message in messages if message["type"] == "run_step"]
    assert [(step["node"], step["position"]) for step in steps] == [("first", 1), ("last", 2)]
    assert steps[1]["changes"] == [{"path": "last", "op": "add", "after": 3}]
    assert all(message.get("run_id") == run_id for message in messages)
    late = asyncio.run(watched(deployment, run_id, "completed"))
    assert [step["node"] for step in late[0]["log"]] == ["first", "last"]


async def watched_once(deployment):
    run_id = start(deployment, one("test.add", left=1), wait=False).json()["run_id"]
    ended(deployment, run_id)
    await watched(deployment, run_id, "completed")


def test_the_socket_of_no_run_is_closed(deployment):
    async def closed():
        url = f"{deployment.url.replace('http', 'ws')}/ws/runs/no-such/"
        headers = {"Authorization": f"Bearer {deployment.token}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.wait_closed()
            return socket.close_code

    assert asyncio.run(closed()) == 4404
