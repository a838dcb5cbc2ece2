"""Runs as they are looked at: filtered, counted, drawn, and without what is large."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import Graph, Run, RunCheckpoint, RunStep
from orchestrator.services import runs

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def graph():
    return Graph.objects.create(pk="g", name="Quality of data", definition={}, digest="d")


@pytest.fixture
def make_run(graph):
    def make(run_id, **fields):
        fields = {"graph": graph, "digest": "d", "entry": "a", "max_steps": 9, **fields}
        return Run.objects.create(pk=run_id, initial_state={"x": 1}, **fields)

    return make


def add_steps(run, *steps):
    RunStep.objects.bulk_create(
        RunStep(run=run, position=n, number=n, started_at=NOW, **{"seconds": 0.25, **step})
        for n, step in enumerate(steps, 1)
    )


def found(api, **query):
    answer = api("viewer").get("/graph/runs", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_runs_are_searched_by_id_key_and_graph(api, make_run):
    other = Graph.objects.create(pk="h", name="Other", definition={}, digest="d")
    make_run("abc1", idempotency_key="order-5")
    make_run("abd2")
    make_run("xyz3", graph=other)
    for text, expected in [
        ("ab", {"abc1", "abd2"}),
        ("bc", set()),
        ("order-5", {"abc1"}),
        ("of data", {"abc1", "abd2"}),
        ("OTHER", {"xyz3"}),
        ("%", set()),
        ("", {"abc1", "abd2", "xyz3"}),
    ]:
        query = {"search": text} if text else {}
        assert {row["run_id"] for row in found(api, **query)["results"]} == expected, text


def test_a_list_names_the_graphs_in_few_queries(api, make_run, django_assert_max_num_queries):
    for n in range(20):
        make_run(f"r{n}")
    client = api("viewer")
    with django_assert_max_num_queries(8):
        rows = client.get("/graph/runs").json()["results"]
    assert {row["graph_name"] for row in rows} == {"Quality of data"}


def test_statuses_are_counted_whatever_status_is_wanted(api, make_run):
    for n, status in enumerate(["failed", "failed", "running", "completed"]):
        make_run(f"r{n}", status=status)
    Run.objects.filter(pk="r0").update(created_at=NOW - timedelta(days=3))
    answer = found(api, status="running", since=(NOW - timedelta(days=1)).isoformat())
    assert answer["count"] == 1
    assert answer["by_status"] == {
        "pending": 0, "running": 1, "completed": 1, "terminated": 0, "failed": 1, "cancelled": 0,
    }  # fmt: skip


def test_a_timeline_has_every_step_without_its_changes(api, make_run):
    large = [{"path": "x", "op": "add", "after": "y" * 10_000}]
    steps = [{"node": "a", "changes": large}, {"node": "b", "error": "no", "port": "left"}]
    add_steps(make_run("r"), *steps)
    body = api("viewer").get("/graph/runs/r/timeline").json()
    first, second = (dict(zip(body["columns"], row, strict=True)) for row in body["results"])
    assert body["next"] is None
    assert abs(first.pop("started_ms") - NOW.timestamp() * 1000) < 1
    assert first == {
        "position": 1, "number": 1, "node": "a", "seconds": 0.25, "port": None, "failed": False,
        "round": 0,
    }  # fmt: skip
    assert (second["failed"], second["port"]) == (True, "left")


def test_a_timeline_comes_in_parts(api, make_run):
    add_steps(make_run("r"), *[{"node": "a"}] * 5)
    client = api("viewer")
    part = client.get("/graph/runs/r/timeline?after=1&limit=2").json()
    assert [row[0] for row in part["results"]] == [2, 3]
    assert part["next"] == 3
    for query in ("limit=5001", "limit=0", "after=-1", "after=x"):
        assert client.get(f"/graph/runs/r/timeline?{query}").status_code == 400
    assert client.get("/graph/runs/none/timeline").status_code == 404


def test_checkpoints_come_in_parts_without_their_bodies(
    api, make_run, django_assert_max_num_queries
):
    run = make_run("r")
    RunCheckpoint.objects.bulk_create(
        RunCheckpoint(
            run=run, number=n, steps=n % 3, attempt=1, body=b"x" * n, checksum="c", created_at=NOW
        )
        for n in range(1, 8)
    )
    client = api("viewer")
    with django_assert_max_num_queries(8):
        part = client.get("/graph/runs/r/checkpoints?after=2&limit=3").json()
    assert [(row["number"], row["bytes"]) for row in part["results"]] == [(3, 3), (4, 4), (5, 5)]
    assert part["next"] == 5
    two = client.get("/graph/runs/r/checkpoints?steps=2").json()["results"]
    assert [row["number"] for row in two] == [2, 5]


def test_a_run_tells_what_was_asked_of_it(api, make_run):
    make_run("r", timeout=1.5, checkpoint_every=None, owner="w", cancel_requested=True)
    body = api("viewer").get("/graph/runs/r").json()
    assert body["initial_state"] == {"x": 1}
    assert (body["max_steps"], body["timeout"], body["checkpoint_every"]) == (9, 1.5, None)
    assert (body["owner"], body["cancel_requested"]) == ("w", True)


def test_a_socket_is_spared_what_is_large(make_actor, make_run, monkeypatch):
    monkeypatch.setattr(runs, "LIVE_BYTES", 1000)
    run = make_run("r", state={"x": "y" * 2000})
    change = [{"path": "x", "op": "add", "after": "y" * 280}]
    add_steps(run, *[{"node": "a", "changes": change}] * 5)
    told = runs.live_state(make_actor("viewer"), "r")
    assert told["state"] is None
    assert [step["changes"] is None for step in told["log"]] == [True, True, False, False, False]


@pytest.mark.parametrize("path", ["/runs/", "/runs/r/", "/runs/no-such/"])
def test_the_pages_show_themselves_to_everybody_who_is_logged_in(client, make_user, path):
    client.force_login(make_user("viewer"))
    answer = client.get(path)
    assert answer.status_code == 200
    assert 'data-role="viewer"' in answer.content.decode()
