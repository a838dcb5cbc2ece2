"""Graphs over HTTP: what is refused, and what is kept."""

import copy

import pytest

pytestmark = pytest.mark.django_db

GRAPH = {
    "name": "Count",
    "entry_point": "add",
    "nodes": [
        {"id": "add", "tool": "test.add", "arguments": {"left": "{{ data.add }}"}},
        {"id": "done", "type": "data-transformer", "data": {"form": {"fields": {"done": True}}}},
    ],
    "edges": [
        {"source": "add", "target": "add", "condition": "data.add < data.goal", "budget": 5},
        {"source": "add", "target": "done", "condition": "data.add >= data.goal"},
    ],
}


def graph(**changes):
    return {**copy.deepcopy(GRAPH), **changes}


def problems(answer):
    assert answer.status_code == 400, answer.content
    return {each["path"]: each["message"] for each in answer.json()["error"]["details"]}


def test_a_graph_is_kept_as_it_was_sent(api):
    client = api("editor")
    made = client.post("/graph/create", GRAPH)
    assert made.status_code == 201
    graph_id = made.json()["graph_id"]
    assert made.headers["Location"] == f"/graph/{graph_id}"
    assert made.json()["warnings"] == [] and made.json()["name"] == "Count"
    found = client.get(f"/graph/{graph_id}").json()
    assert found["definition"] == GRAPH
    assert found["digest"] == made.json()["digest"]
    assert found["mermaid"].startswith('flowchart TD\n    n0(["add<br/>test.add"])\n')


def test_the_digest_covers_what_runs_and_nothing_else(api):
    client = api("editor")

    def digest(**changes):
        return client.post("/graph/create", graph(**changes)).json()["digest"]

    edges = copy.deepcopy(GRAPH["edges"])
    edges[0]["budget"] = 6
    assert digest(name="Other") == digest()
    assert digest(edges=edges) != digest()


def test_graphs_are_listed_in_pages_newest_first(api):
    client = api("editor")
    made = [client.post("/graph/create", graph(name=str(n))).json() for n in range(3)]
    page = client.get("/graph/?limit=2&offset=1").json()
    assert page["count"] == 3
    assert [row["name"] for row in page["results"]] == ["1", "0"]
    assert "definition" not in page["results"][0]
    assert page["results"][0]["graph_id"] == made[1]["graph_id"]


def test_a_graph_is_removed(api):
    client = api("editor")
    graph_id = client.post("/graph/create", GRAPH).json()["graph_id"]
    assert client.delete(f"/graph/{graph_id}").status_code == 204
    assert client.get(f"/graph/{graph_id}").status_code == 404
    assert client.delete(f"/graph/{graph_id}").status_code == 404


def test_every_problem_is_told_at_once_with_its_place(api):
    nodes = [
        {"id": "a", "tool": "test.nothing"},
        {"id": "b", "tool": "test.add", "arguments": {"left": "x", "more": 1}},
        {"id": "c", "tool": "test.add", "type": "debug"},
        {"id": "d", "type": "no-such-type"},
        {"id": "e", "type": "counter"},
        {"id": "f", "type": "file-writer", "data": {"form": {"path": "x.jsonl"}}},
        {"id": "g", "type": "queue-writer", "data": {"config": {"queue_name": "q"}}},
        {"id": "h", "type": "deduplicate", "data": {"form": {"key": "x"}}},
        {"id": "i", "type": "debug", "data": {"config": {"retry": {"max_attempts": 3}}}},
        {"id": "j", "type": "debug", "data": {"config": {"runs_on": ["a", "b", "c"]}}},
        {"id": "k", "type": "debug", "data": {"config": {"runs_on": ["c", "d", "e", "f"]}}},
    ]
    edges = [
        {"source": "a", "target": "nobody"},
        {"source": "a", "target": "b", "condition": "data.x >"},
        {"source": "b", "target": "a", "on_limit": "nobody"},
        {"source": "a", "target": "b", "sourceHandle": "sideways"},
    ]
    found = problems(api().post("/graph/create", {"nodes": nodes, "edges": edges}))
    assert set(found) == {
        "entry_point",
        "nodes[0].tool",
        "nodes[1].arguments.left",
        "nodes[1].arguments.more",
        "nodes[2].type",
        "nodes[2].arguments.left",
        "nodes[3].type",
        "nodes[4].type",
        "nodes[5].type",
        "nodes[6].type",
        "nodes[7].type",
        "nodes[8].data.config.retry",
        "nodes[10].data.config.runs_on",
        "edges[0].target",
        "edges[1].condition",
        "edges[2].on_limit",
        "edges[3].sourceHandle",
    }
    assert "test.nothing" in found["nodes[0].tool"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"entry_point": None}, "entry_point"),
        ({"entry_point": "nobody"}, "entry_point"),
        ({"entry_point": 5}, "entry_point"),
        ({"nodes": []}, "nodes"),
        ({"nodes": "x"}, "nodes"),
        ({"nodes": [5]}, "nodes[0]"),
        ({"nodes": [{"id": "add", "tool": 5}], "edges": []}, "nodes[0].tool"),
        ({"nodes": [{"id": "add", "tool": "test.add"}], "edges": []}, "nodes[0].arguments.left"),
        (
            {"nodes": [{"id": "add", "tool": "test.add", "arguments": 5}], "edges": []},
            "nodes[0].arguments",
        ),
        ({"edges": [{"source": "add", "target": "done", "budget": 1}]}, "edges[0].budget"),
        ({"edges": [{"source": "add", "target": "add", "budget": 0}]}, "edges[0].budget"),
        ({"edges": [{"source": "add", "target": "add", "on_limit": "done"}]}, "edges[0].on_limit"),
    ],
)
def test_what_cannot_run_is_refused_with_its_place(api, changes, path):
    client = api()
    assert path in problems(client.post("/graph/create", graph(**changes)))
    assert client.get("/graph/").json()["count"] == 0


@pytest.mark.parametrize("body", [[], 5, "x", None])
def test_a_body_that_is_no_object_is_refused(api, body):
    assert api().post("/graph/create", body).status_code == 400


def test_a_node_that_nothing_leads_to_is_a_warning(api):
    stray = {"id": "stray", "type": "debug"}
    client = api()
    made = client.post("/graph/create", graph(nodes=[*GRAPH["nodes"], stray]))
    assert made.status_code == 201
    assert [each["path"] for each in made.json()["warnings"]] == ["nodes[2]"]
    shown = client.get(f"/graph/{made.json()['graph_id']}").json()
    assert shown["warnings"] == made.json()["warnings"]


def test_members_of_a_group_are_checked_too(api):
    members = [
        {"name": "a", "tool": "test.add", "arguments": {"left": "{{ data.x }}"}},
        {"name": "b", "members": [{"name": "c", "tool": "test.add", "arguments": {"left": "x"}}]},
        {"name": "d", "tool": "test.nothing"},
    ]
    node = {"id": "g", "type": "group", "data": {"form": {"members": members}}}
    found = problems(api().post("/graph/create", {"entry_point": "g", "nodes": [node]}))
    assert set(found) == {
        "nodes[0].data.form.members[1].members[0].arguments.left",
        "nodes[0].data.form.members[2].tool",
    }


def test_a_tool_that_is_gone_is_a_warning_of_what_is_kept(api, monkeypatch):
    from nodes.tools import tools

    client = api()
    graph_id = client.post("/graph/create", GRAPH).json()["graph_id"]
    monkeypatch.delitem(tools._tools, "test.add")
    found = client.get(f"/graph/{graph_id}")
    assert found.status_code == 200
    assert [each["path"] for each in found.json()["warnings"]] == ["nodes[0].tool"]


def test_advanced_templates_need_their_right(api):
    node = {
        "id": "a",
        "type": "data-transformer",
        "data": {
            "form": {"fields": {"x": "{% for a in data.b %}{{ a }}{% endfor %}"}},
            "config": {"advanced_templates": True, "pool": "process"},
        },
    }
    body = {"entry_point": "a", "nodes": [node]}
    assert api("editor").post("/graph/create", body).status_code == 403
    assert api("admin").post("/graph/create", body).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("get", "/graph/", None, "viewer"),
        ("get", "/graph/x", None, "viewer"),
        ("post", "/graph/create", GRAPH, "editor"),
        ("delete", "/graph/x", None, "editor"),
        ("get", "/graph/state/x", None, "viewer"),
        ("get", "/graph/runs", None, "viewer"),
        ("get", "/graph/runs/x/log", None, "viewer"),
        ("get", "/graph/runs/x/checkpoints", None, "viewer"),
        ("post", "/graph/runs/x/cancel", {}, "operator"),
        ("post", "/graph/runs/x/resume", {}, "operator"),
        ("post", "/graph/runs/x/retry", {}, "operator"),
        ("post", "/graph/runs/x/fork", {"checkpoint": 1}, "operator"),
        ("delete", "/graph/runs/x", None, "editor"),
        ("get", "/tools", None, "viewer"),
        ("get", "/tools/test.add", None, "viewer"),
    ],
)
def test_each_action_needs_its_role(api, method, path, body, least):
    needs_role(api, method, path, body, least)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body", "least"),
    [
        ("/graph/run", {"graph_id": "x"}, "operator"),
        ("/tools/test.add/call", {"arguments": {"left": 1}}, "editor"),
    ],
)
def test_each_action_that_waits_needs_its_role(api, path, body, least):
    needs_role(api, "post", path, body, least)


def needs_role(api, method, path, body, least):
    roles = [None, "viewer", "operator", "editor"]
    for role in roles:
        answer = getattr(api(role), method)(path, body)
        enough = roles.index(role) >= roles.index(least)
        assert (answer.status_code == 403) is not enough, (role, answer.content)
        assert answer.status_code in (200, 201, 403, 404, 503), answer.content


def test_a_socket_begins_with_the_last_steps_of_the_log(make_actor):
    from django.utils import timezone

    from orchestrator.models import Graph, Run, RunStep
    from orchestrator.services import runs

    graph = Graph.objects.create(pk="g", name="g", definition=GRAPH, digest="d")
    run = Run.objects.create(
        pk="r", graph=graph, digest="d", entry="add", initial_state={}, max_steps=1000
    )
    RunStep.objects.bulk_create(
        RunStep(run=run, position=n, number=n, node="add", started_at=timezone.now(), seconds=0)
        for n in range(1, 151)
    )
    change = {"path": "a", "op": "add", "after": "x" * 100_000}
    RunStep.objects.filter(position=150).update(changes=[change])
    found = runs.live_state(make_actor("viewer"), "r")
    assert [step["position"] for step in found["log"]] == list(range(51, 151))
    assert found["log"][-1]["changes"] is None
