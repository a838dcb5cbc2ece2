"""Runs and tools over HTTP while there is no worker: kept, refused, never a hang."""

import asyncio

import pytest

from tests.deployment import Deployment
from tests.faults.graphs import COUNT, created, details, one, start, watched

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server):
    deployed = Deployment(tmp_path_factory.mktemp("waiting"))
    yield deployed
    deployed.close()


@pytest.fixture(scope="module")
def graph_id(deployment):
    return created(deployment, COUNT)


@pytest.fixture
def post(deployment, graph_id):
    def post(**body):
        return deployment.client.post("/graph/run", json={"graph_id": graph_id, **body})

    return post


@pytest.mark.parametrize("wait", [True, False])
def test_a_run_waits_for_a_worker_and_nobody_waits_for_it(deployment, post, wait):
    answer = post(initial_state={"add": 0, "goal": 2}, wait=wait)
    assert answer.status_code == 202
    run = answer.json()
    assert (run["status"], run["state"]) == ("pending", {"add": 0, "goal": 2})
    assert (run["log"], run["visited"]) == ([], [])
    listed = deployment.client.get("/graph/runs?status=pending").json()["results"]
    assert run["run_id"] in [row["run_id"] for row in listed]


def test_a_run_that_waits_is_cancelled_at_once_and_can_be_removed(deployment, post):
    run_id = post().json()["run_id"]
    where = f"/graph/runs/{run_id}"
    assert deployment.client.delete(where).status_code == 409
    cancelled = deployment.client.post(f"{where}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert deployment.client.post(f"{where}/cancel").status_code == 409
    assert deployment.client.delete(where).status_code == 204
    assert deployment.client.get(where).status_code == 404


def test_a_socket_hears_of_a_run_that_waits_and_is_cancelled(deployment, post):
    run_id = post().json()["run_id"]
    where = f"/graph/runs/{run_id}/cancel"
    messages = asyncio.run(
        watched(deployment, run_id, "cancelled", lambda: deployment.client.post(where))
    )
    assert messages[0]["status"] == "pending"
    assert messages[-1] == {
        "type": "run_status", "run_id": run_id, "status": "cancelled", "seq": len(messages) - 1,
    }  # fmt: skip


def test_an_idempotency_key_begins_one_run(post):
    body = {"initial_state": {"add": 1}, "idempotency_key": "k", "wait": False}
    first, again = post(**body), post(**body)
    assert first.json()["created"] and not again.json()["created"]
    assert again.json()["run_id"] == first.json()["run_id"]
    other = post(**{**body, "initial_state": {"add": 2}})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"graph_id": None}, "graph_id"),
        ({"graph_id": "../x"}, "graph_id"),
        ({"initial_state": [1]}, "initial_state"),
        ({"initial_state": "x"}, "initial_state"),
        ({"initial_state": None}, "initial_state"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 10**9}, "max_steps"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"wait": "maybe"}, "wait"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"stat": {}}, "stat"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(post, changes, path):
    answer = post(**changes)
    assert answer.status_code == 400, answer.text
    assert path in details(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"initial_state": {"a": NaN}, "graph_id": "x"}', 400),
        ('{"initial_state": {"a": 1, "a": 2}, "graph_id": "x"}', 400),
        ('{"initial_state": {"a": "\\ud800"}, "graph_id": "x"}', 400),
        ('{"initial_state": ' + '{"a":' * 80 + "1" + "}" * 80 + ', "graph_id": "x"}', 400),
        ("[", 400),
        ("5", 400),
        ('{"initial_state": {"a": "' + "x" * 3_000_000 + '"}}', 413),
    ],
    ids=["nan", "twice", "surrogate", "deep", "torn", "number", "large"],
)
def test_a_body_that_is_no_strict_json_is_refused(deployment, body, status):
    headers = {"Content-Type": "application/json"}
    answer = deployment.client.post("/graph/run", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_a_state_larger_than_a_run_may_hold_is_refused(post):
    answer = post(initial_state={"a": "x" * (1024 * 1024)})
    assert answer.status_code == 413
    assert "initial_state" in details(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/graph/no-such"),
        ("delete", "/graph/no-such"),
        ("get", "/graph/state/no-such"),
        ("get", "/graph/runs/no-such"),
        ("delete", "/graph/runs/no-such"),
        ("get", "/graph/runs/no-such/log"),
        ("get", "/graph/runs/no-such/checkpoints"),
        ("post", "/graph/runs/no-such/cancel"),
        ("post", "/graph/runs/no-such/resume"),
        ("post", "/graph/runs/no-such/retry"),
        ("post", "/graph/runs/no-such/fork"),
        ("post", "/graph/run"),
        ("get", "/tools/no-such"),
        ("post", "/tools/no-such/call"),
    ],
)
def test_what_there_is_not_is_not_found(deployment, method, path):
    body = {"/graph/run": {"graph_id": "no-such"}, "/graph/runs/no-such/fork": {"checkpoint": 1}}
    options = {"json": body.get(path, {})} if method == "post" else {}
    answer = deployment.client.request(method, path, **options)
    assert answer.status_code == 404, answer.text


def test_a_graph_with_a_run_that_has_not_ended_stays(deployment):
    run = start(deployment, COUNT, wait=False).json()
    assert deployment.client.delete(f"/graph/{run['graph_id']}").status_code == 409
    deployment.client.post(f"/graph/runs/{run['run_id']}/cancel")
    assert deployment.client.delete(f"/graph/{run['graph_id']}").status_code == 204
    assert deployment.client.get(f"/graph/runs/{run['run_id']}").status_code == 404


def test_runs_are_listed_by_graph_status_and_time_in_pages(deployment):
    graph_id = created(deployment, one("test.add", left=1))
    made = [
        deployment.client.post("/graph/run", json={"graph_id": graph_id, "wait": False}).json()
        for _ in range(3)
    ]
    deployment.client.post(f"/graph/runs/{made[1]['run_id']}/cancel")

    def found(query):
        answer = deployment.client.get(f"/graph/runs?graph_id={graph_id}&{query}")
        assert answer.status_code == 200, answer.text
        return [row["run_id"] for row in answer.json()["results"]]

    ids = [run["run_id"] for run in reversed(made)]
    assert found("") == ids
    assert found("status=cancelled") == [ids[1]]
    assert found("limit=1&offset=2") == [ids[2]]
    between = made[1]["created_at"].replace("+", "%2B")
    assert found(f"since={between}") == ids[:2]
    assert found(f"until={between}") == [ids[2]]
    for wrong in ("status=odd", "since=soon", "limit=0", "graph_id=a%2Fb"):
        assert deployment.client.get(f"/graph/runs?{wrong}").status_code == 400


def test_a_tool_is_not_called_without_a_worker_and_that_is_said_at_once(deployment):
    answer = deployment.client.post("/tools/test.add/call", json={"arguments": {"left": 1}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_worker")
    assert answer.headers["Retry-After"]


def test_tools_are_listed_with_what_they_take(deployment):
    rows = deployment.client.get("/tools").json()["results"]
    add = next(row for row in rows if row["name"] == "test.add")
    assert add["signature"] == "test.add(left: int, right: int = 1) -> int"
    assert add["description"] == "Add two numbers."
    detail = deployment.client.get("/tools/test.add").json()
    assert detail["arguments"]["required"] == ["left"]
    assert detail["arguments"]["properties"]["right"]["default"] == 1


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({}, {"arguments.left"}),
        ({"left": "1", "more": 2}, {"arguments.left", "arguments.more"}),
        ([], {"arguments"}),
    ],
)
def test_arguments_that_do_not_fit_a_tool_are_named(deployment, arguments, paths):
    answer = deployment.client.post("/tools/test.add/call", json={"arguments": arguments})
    assert answer.status_code == 400, answer.text
    assert set(details(answer)) == paths


def test_other_methods_are_refused(deployment):
    for path in ("/graph/run", "/tools/test.add/call", "/graph/create"):
        assert deployment.client.get(path).status_code in (404, 405)
        assert deployment.client.put(path, json={}).status_code == 405


def test_a_run_that_cannot_be_handed_over_is_not_kept(deployment, post):
    """The last one: the server does not come back."""
    before = deployment.client.get("/graph/runs").json()["count"]
    deployment.redis.stop()
    answer = post(wait=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert deployment.client.get("/graph/runs").json()["count"] == before
