"""`POST /dev/validate`: what is wrong with a workflow that is being edited."""

import pytest

from orchestrator.models import Workflow

pytestmark = pytest.mark.django_db

COUNTER = {"id": "a", "type": "counter", "data": {"form": {"interval": 1}}}


@pytest.fixture
def validate(api):
    client = api("viewer")

    def post(workflow):
        answer = client.post("/dev/validate/", {"workflow": workflow})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return post


def test_a_sound_workflow_has_no_problems(validate, hello_loops):
    found = validate(hello_loops)
    assert found["valid"]
    assert (found["problems"], found["nodes"], found["edges"]) == ([], {}, {})


def test_nothing_is_stored(validate, hello_loops):
    validate(hello_loops)
    assert not Workflow.objects.exists()


def test_problems_are_told_by_node_and_by_edge(validate):
    workflow = {
        "nodes": [
            COUNTER,
            {"id": "b", "type": "parse-json", "data": {"form": {"field": ""}}},
            {"id": "lonely", "type": "debug"},
        ],
        "edges": [
            {"id": "e", "source": "a", "target": "b", "condition": "data.value >"},
            {"source": "b", "target": "gone"},
        ],
    }
    found = validate(workflow)
    assert not found["valid"]
    assert [p["path"] for p in found["nodes"]["b"]] == ["nodes[1].data.form.field"]
    assert [p["path"] for p in found["nodes"]["lonely"]] == ["nodes[2]"]
    assert [p["path"] for p in found["edges"]["e"]] == ["edges[0].condition"]
    assert [p["path"] for p in found["edges"]["edges[1]"]] == ["edges[1].target"]
    everywhere = [p for at in ("nodes", "edges") for many in found[at].values() for p in many]
    assert sorted(p["path"] for p in everywhere) == sorted(p["path"] for p in found["problems"])


def test_problems_of_loops_are_told_beside_those_of_settings(validate):
    """What saving would refuse is told at once, also what only the whole graph shows."""
    writer = {"type": "file-writer", "data": {"form": {"path": "x.jsonl", "format": "jsonl"}}}
    edges = [{"id": i, "source": "a", "target": i} for i in "bc"]
    nodes = [COUNTER, {**writer, "id": "b"}, {**writer, "id": "c"}]
    assert validate({"nodes": nodes, "edges": edges})["nodes"].keys() & {"b", "c"}


def test_ports_come_from_the_settings(validate):
    switch = {"value": "region", "cases": {"eu": "EU", "us": "us"}}
    found = validate({"nodes": [COUNTER, {"id": "s", "type": "switch", "data": {"form": switch}}]})
    assert found["ports"]["a"] == {"inputs": [], "outputs": ["default"]}
    assert found["ports"]["s"]["inputs"] == ["default"]
    assert set(found["ports"]["s"]["outputs"]) >= {"eu", "us"}


def test_queues_have_the_names_that_they_will_have(validate):
    nodes = [COUNTER, {"id": "w", "type": "queue-writer"}, {"id": "r", "type": "queue-reader"}]
    edges = [{"source": "a", "target": "w"}, {"source": "w", "target": "r"}]
    found = validate({"nodes": nodes, "edges": edges})
    assert found["queues"] == {"w": "queue_w_r", "r": "queue_w_r"}
    assert found["warnings"] == []


def test_a_queue_that_nobody_reads_is_a_note_and_no_problem(validate):
    writer = {"id": "w", "type": "queue-writer", "data": {"config": {"queue_name": "q"}}}
    found = validate({"nodes": [COUNTER, writer], "edges": [{"source": "a", "target": "w"}]})
    assert found["valid"]
    assert found["warnings"] == [
        {"path": "nodes[1]", "message": "nothing in this workflow reads the queue 'q'"}
    ]


def test_who_could_not_save_it_is_told(validate):
    advanced = {"config": {"advanced_templates": True, "pool": "process"}}
    found = validate({"nodes": [{**COUNTER, "data": advanced}]})
    assert [p["path"] for p in found["warnings"]] == ["nodes[0].data.config.advanced_templates"]


@pytest.mark.parametrize(
    "workflow",
    [
        [], "text", 7, True, {}, {"nodes": 1}, {"nodes": [None], "edges": [None]},
        {"nodes": [{"id": 5, "type": []}], "edges": [{"source": {}, "target": 1}]},
        {"nodes": [COUNTER, COUNTER]},
    ],
)  # fmt: skip
def test_whatever_it_is_so_far_is_answered(validate, workflow):
    found = validate(workflow)
    assert not found["valid"]
    assert found["problems"]


def test_more_problems_than_anybody_reads_are_counted(validate):
    nodes = [{"id": f"n{i}", "type": "no-such-type"} for i in range(1100)]
    found = validate({"nodes": nodes})
    assert len(found["problems"]) == 1001
    assert found["problems"][-1] == {"path": "", "message": "100 more problems are not listed"}


def test_a_workflow_must_be_sent(api):
    answer = api("viewer").post("/dev/validate/", {})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == "workflow"


def test_without_a_role_nothing_is_told(api):
    assert api(None).post("/dev/validate/", {"workflow": {}}).status_code == 403
