"""One shape for every error, and never a 500 for what a client sent."""

import json

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from rest_framework import exceptions as drf

from orchestrator import exceptions as ours
from orchestrator.api import errors
from orchestrator.exceptions import Problem

pytestmark = pytest.mark.django_db


def assert_shape(answer, status, code):
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert error["code"] == code
    assert isinstance(error["message"], str) and error["message"]
    for detail in error["details"]:
        assert set(detail) == {"path", "message"}
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ours.WorkflowInvalid(), 400),
        (ours.InvalidRequest(), 400),
        (ours.InvalidPayload(), 400),
        (ours.PayloadTooLarge(), 413),
        (ours.NotFound(), 404),
        (ours.NotAuthenticated(), 401),
        (ours.NotAllowed(), 403),
        (ours.Conflict(), 409),
        (ours.MissingInput(("1",)), 409),
        (ours.NodeFailed("boom", node_id="1", error_type="ValueError", trace="..."), 422),
        (ours.NodeTimeout(), 504),
        (ours.TemplateInvalid(), 400),
        (ours.TemplateFailed(), 422),
        (ours.StepLimitExceeded(5, ("1", "2")), 422),
        (ours.NotPortable(), 400),
        (ours.Busy(), 429),
        (ours.StoreUnavailable(), 503),
        (ours.StoreRefused(), 503),
        (ours.LeaseLost(), 409),
        (ours.UnknownNodeType(), 404),
        (ours.UnknownTool(), 404),
        (ours.DuplicateTool(), 400),
        (drf.MethodNotAllowed("PATCH"), 405),
        (drf.UnsupportedMediaType("text/plain"), 415),
        (drf.Throttled(3), 429),
        (OperationalError("no such host secret-host"), 503),
    ],
)
def test_every_error_has_its_status(error, status):
    answer = errors.answer_of(error)
    assert answer is not None and answer.status == status
    assert answer.body["error"]["code"]
    assert "secret-host" not in json.dumps(answer.body)


def test_every_error_of_ours_has_a_status():
    pending = [ours.OrchestratorError]
    while pending:
        for kind in pending.pop().__subclasses__():
            if kind.__module__ != ours.__name__:
                continue
            pending.append(kind)
            assert any(base in errors._STATUS for base in kind.__mro__), kind


def test_a_fault_of_ours_is_none():
    assert errors.answer_of(ZeroDivisionError()) is None


def test_a_missing_input_names_the_nodes():
    body = errors.answer_of(ours.MissingInput(("1", "2"))).body
    assert body["error"]["nodes"] == ["1", "2"]
    assert [d["path"] for d in body["error"]["details"]] == ["nodes.1", "nodes.2"]


def test_a_failed_node_comes_with_its_trace():
    error = ours.NodeFailed("boom", node_id="7", error_type="ValueError", trace="line 1")
    node = errors.answer_of(error).body["error"]["node"]
    assert (node["id"], node["error_type"], node["trace"]) == ("7", "ValueError", "line 1")


def test_problems_keep_their_paths():
    error = ours.WorkflowInvalid("no", problems=(Problem("nodes[2].type", "unknown"),))
    details = errors.answer_of(error).body["error"]["details"]
    assert details == [{"path": "nodes[2].type", "message": "unknown"}]


def test_a_path_that_is_not_there(client):
    assert_shape(client.get("/nothing/here"), 404, "not_found")
    assert_shape(client.post("/workflows/a/b/c"), 404, "not_found")


@pytest.mark.django_db(transaction=True)  # the bench looks users up in a thread of its own
def test_a_method_that_is_not_there(api):
    assert_shape(api().patch("/workflows/"), 405, "method_not_allowed")
    assert_shape(api().get("/prod/start"), 405, "method_not_allowed")
    assert_shape(api().get("/dev/execute"), 405, "method_not_allowed")


@pytest.mark.django_db(transaction=True)  # the bench looks users up in a thread of its own
def test_only_json_is_taken(api):
    for path in ("/prod/start", "/workflows/", "/dev/execute"):
        answer = api().post(path, "a=1", content_type="application/x-www-form-urlencoded")
        assert_shape(answer, 415, "unsupported_media_type")


def test_a_host_that_is_not_ours(client):
    answer = client.get("/healthz", headers={"Host": "evil.example"})
    assert_shape(answer, 400, "invalid_request")


@pytest.mark.django_db(transaction=True)  # the bench looks users up in a thread of its own
@pytest.mark.parametrize("path", ["/prod/start", "/dev/execute", "/workflows/"])
def test_a_session_needs_the_csrf_token(make_user, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("admin"))
    answer = client.post(path, {}, content_type="application/json")
    assert_shape(answer, 403, "not_allowed")


def test_a_server_fault_says_nothing_of_itself():
    answer = errors.server_error(RequestFactory().get("/workflows/"))
    assert answer.status_code == 500
    assert json.loads(answer.content)["error"]["code"] == "internal"


BODIES = [
    b"",
    b"null",
    b"[]",
    b"1",
    b'"text"',
    b"{",
    b"NaN",
    b'{"a": 1, "a": 2}',
    b'{"workflow_id": NaN}',
    b'{"workflow_id": "\\ud800"}',
    b'{"workflow_id": "a\\u0000b"}',
    b'{"workflow_id": []}',
    b'{"workflow_id": {}}',
    b'{"workflow_id": "x", "from": 5}',
    b'{"workflow_id": "x", "from": ["resume"]}',
    b'{"workflow_id": "x", "version": 1e400}',
    b'{"workflow_id": "x", "version": 99999999999999}',
    b'{"workflow_id": "x", "version": -1}',
    b'{"workflow_id": "../../etc/passwd"}',
    b'{"nodes": 5, "edges": {}}',
    b'{"nodes": [null, 1, {"id": {}}], "edges": [[]]}',
    b'{"name": 5, "nodes": []}',
    b'{"name": "x", "nodes": [{"id": "1", "type": "os.system"}], "edges": []}',
    b'{"name": "x", "nodes": [{"id": "1", "type": ["counter"]}], "edges": []}',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b'{"a": "' + b"x" * (2 * 1024 * 1024) + b'"}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/prod/start"),
        ("post", "/prod/stop"),
        ("post", "/workflows/"),
        ("put", "/workflows/x/"),
        ("post", "/dev/execute"),
        ("put", "/dev/cache/x/1"),
    ],
)
def test_hostile_bodies_are_the_clients_fault(api, method, path, body):
    answer = getattr(api("admin"), method)(path, body, content_type="application/json")
    assert 400 <= answer.status_code < 500, answer.content
    assert answer.json()["error"]["code"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "limit=9999999",
        "offset=-1",
        "offset=99999999999999999999",
        "activation=99999999999999999999",
        "workflow_id=%00",
        "node_id=%00",
        "reason=" + "x" * 5000,
    ],
)
def test_hostile_queries_are_the_clients_fault(api, query):
    assert api().get(f"/dead-letters/?{query}").status_code == 400
