"""`/workflows/`: what is stored, and what is refused."""

import copy

import pytest

from orchestrator.exceptions import Conflict
from orchestrator.models import DeadLetter, LoopSlot, Workflow, WorkflowVersion
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(hello_loops):
    return workflows.create(SYSTEM, hello_loops)


def test_a_workflow_is_stored_as_version_1(api, hello_loops):
    client = api("editor")
    answer = client.post("/workflows/", hello_loops)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["id"], body["version"], body["created_by"]) == ("hello-loops", 1, "editor")
    assert answer.headers["Location"] == "/workflows/hello-loops/"
    assert client.get("/workflows/hello-loops/").json() == body


def test_what_is_sent_comes_back_untouched(api, hello_loops):
    hello_loops["nodes"][0]["position"] = {"x": 1.5, "y": -2}
    hello_loops["owner"] = "somebody"
    hello_loops["viewport"] = {"zoom": 2}
    answer = api().post("/workflows/", hello_loops)
    assert answer.json()["definition"] == hello_loops
    assert WorkflowVersion.objects.get().definition == hello_loops


def test_the_same_name_gets_another_id(api, hello_loops):
    client = api()
    ids = [client.post("/workflows/", hello_loops).json()["id"] for _ in range(3)]
    assert ids == ["hello-loops", "hello-loops-2", "hello-loops-3"]


@pytest.mark.parametrize(
    ("name", "workflow_id"),
    [("日本", "workflow"), ("", "workflow"), ("x" * 150, "x" * 64), ("../../etc", "etc")],
)
def test_any_name_makes_an_id(api, hello_loops, name, workflow_id):
    answer = api().post("/workflows/", {**hello_loops, "name": name})
    assert answer.json()["id"] == workflow_id


def test_an_invalid_workflow_names_every_problem_and_stores_nothing(api, hello_loops):
    hello_loops["nodes"][0]["type"] = "conter"
    hello_loops["nodes"][3]["data"]["form"] = {"path": ""}
    hello_loops["edges"].append({"id": "d", "source": "4", "target": "nowhere"})
    answer = api().post("/workflows/", hello_loops)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "invalid_workflow"
    paths = {detail["path"] for detail in error["details"]}
    assert {"nodes[0].type", "nodes[3].data.form.path", "edges[3].target"} <= paths
    assert not Workflow.objects.exists()


def test_saving_makes_a_version_only_when_something_changed(api, stored, hello_loops):
    client = api()
    same = client.put("/workflows/hello-loops/", hello_loops).json()
    assert (same["version"], same["created"]) == (1, False)

    moved = copy.deepcopy(hello_loops)
    moved["nodes"][0]["position"] = {"x": 9, "y": 9}
    second = client.put("/workflows/hello-loops/", moved).json()
    assert (second["version"], second["created"]) == (2, True)
    assert second["digest"] == same["digest"]  # where a node is drawn does not run

    changed = copy.deepcopy(moved)
    changed["nodes"][0]["data"]["form"]["stop"] = 6
    third = client.put("/workflows/hello-loops/", changed).json()
    assert third["version"] == 3 and third["digest"] != same["digest"]

    listed = client.get("/workflows/hello-loops/versions/").json()
    assert [v["version"] for v in listed["results"]] == [3, 2, 1]
    assert client.get("/workflows/hello-loops/versions/1").json()["definition"] == hello_loops


def test_saving_an_invalid_version_changes_nothing(api, stored):
    assert api().put("/workflows/hello-loops/", {"nodes": []}).status_code == 400
    assert WorkflowVersion.objects.count() == 1


def test_a_version_is_immutable(stored):
    stored.digest = "other"
    with pytest.raises(TypeError):
        stored.save()


def test_the_list_has_pages(api, hello_loops):
    client = api()
    for name in ("b", "a", "c"):
        client.post("/workflows/", {**hello_loops, "name": name})
    body = client.get("/workflows/").json()
    assert [(w["id"], w["last_version"], w["active_version"]) for w in body["results"]] == [
        ("a", 1, None),
        ("b", 1, None),
        ("c", 1, None),
    ]
    body = client.get("/workflows/?limit=1&offset=1").json()
    assert ([w["id"] for w in body["results"]], body["count"]) == (["b"], 3)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/workflows/nothing/"),
        ("put", "/workflows/nothing/"),
        ("delete", "/workflows/nothing/"),
        ("get", "/workflows/nothing/versions/"),
        ("get", "/workflows/hello-loops/versions/2/"),
    ],
)
def test_what_is_not_there(api, stored, hello_loops, method, path):
    body = hello_loops if method == "put" else None
    assert getattr(api(), method)(path, body).status_code == 404


def test_a_stopped_workflow_can_be_removed(api, stored, live_redis):
    LoopSlot.objects.create(workflow=stored.workflow, loop="1", state="stopped")
    assert api().delete("/workflows/hello-loops/").status_code == 204
    assert not Workflow.objects.exists() and not LoopSlot.objects.exists()
    assert not DeadLetter.objects.exists()


def test_nothing_is_removed_while_redis_is_away(api, stored):
    answer = api().delete("/workflows/hello-loops/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    stored.workflow.refresh_from_db()
    assert stored.workflow.versions.count() == 1


def test_what_is_wanted_to_run_cannot_be_removed(api, stored, live_redis):
    client = api("editor")
    client.post("/prod/start", {"workflow_id": "hello-loops"})
    assert client.delete("/workflows/hello-loops/").status_code == 409


def test_a_given_id_must_be_free(stored, hello_loops):
    with pytest.raises(Conflict):
        workflows.create(SYSTEM, hello_loops, workflow_id="hello-loops")
    assert Workflow.objects.count() == 1
