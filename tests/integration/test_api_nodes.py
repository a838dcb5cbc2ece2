"""`/nodes/` and the OpenAPI pages."""

import json

import pytest

from orchestrator.runtime.engine import flow_engine

pytestmark = pytest.mark.django_db
OURS = [
    node.identifier for node in flow_engine().registry if not node.__module__.startswith("tests.")
]


def test_every_node_type_is_described(api):
    body = api("viewer").get("/nodes/").json()
    found = {node["type"]: node for node in body["results"]}
    assert body["broken"] == {}
    assert {"counter", "queue-reader", "queue-writer", "file-writer", "switch"} <= set(found)
    counter = found["counter"]
    assert (counter["kind"], counter["input_ports"]) == ("producer", [])
    for node in map(found.get, OURS):
        assert node["label"] and node["description"] and node["icon"] and node["category"]


def test_every_form_is_json(api):
    client = api("viewer")
    for node_type in OURS:
        answer = client.get(f"/nodes/{node_type}/form")
        assert answer.status_code == 200, node_type
        form = answer.json()
        assert form["json_schema"]["type"] == "object"
        assert {field["name"] for field in form["fields"]} == set(
            form["json_schema"].get("properties", {})
        )


@pytest.mark.parametrize("node_type", ["nothing", "os", "builtins-eval", "COUNTER"])
def test_an_unknown_type_is_not_found(api, node_type):
    answer = api("viewer").get(f"/nodes/{node_type}/form")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_node_type")


def test_the_schema_describes_the_api(api):
    answer = api("viewer").get("/schema/?format=json")
    assert answer.status_code == 200
    schema = json.loads(answer.content)
    paths = {path.rstrip("/") for path in schema["paths"]}
    assert {
        "/prod/start",
        "/prod/status/{workflow_id}",
        "/dev/execute",
        "/dev/cache/{workflow_id}/{node_id}",
        "/workflows",
        "/workflows/{workflow_id}/versions/{number}",
        "/nodes/{node_type}/form",
        "/nodes/{node_type}/validate",
        "/dead-letters/{dead_letter_id}",
        "/readyz",
    } <= paths
    start = schema["components"]["schemas"]["StartRequest"]["properties"]
    assert set(start) == {"workflow_id", "loop", "version", "from"}


def test_the_docs_work_without_the_internet(client, make_user):
    client.force_login(make_user("viewer"))
    page = client.get("/docs/").content.decode()
    assert "https://" not in page.replace("https://petstore", "")
    assert "/static/drf_spectacular_sidecar/" in page
