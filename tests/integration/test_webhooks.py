"""Webhooks as other systems call them: a real web process, a real runner, a real server."""

import base64
import hashlib
import hmac
import itertools
import time

import httpx
import pytest
import redis

from tests.deployment import Deployment
from tests.waiting import eventually

SECRET = "a-secret-that-nobody-guesses"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory, redis_server):
    """One deployment for the module: its store, its web process and a runner."""
    deployed = Deployment(tmp_path_factory.mktemp("webhooks"))
    for name, kind, values in (
        ("bearer", "bearer", {"token": SECRET}),
        ("header", "header", {"name": "X-Token", "value": SECRET}),
        ("login", "http-basic", {"username": "shop", "password": SECRET}),
        ("key", "generic", {"secret": SECRET}),
        ("no-key", "generic", {"other": SECRET}),
    ):
        answer = deployed.client.post(
            "/credentials/", json={"name": name, "kind": kind, "values": values}
        )
        assert answer.status_code == 201, answer.text
    deployed.start_runner()
    yield deployed
    deployed.close()


class Running:
    """A workflow with a webhook, and somebody who calls it."""

    def __init__(self, house, *, then=(), **form):
        number = next(_numbers)
        self.house = house
        self.path = form.setdefault("path", f"shop/orders-{number}")
        self.file = f"hook-{number}.jsonl"
        nodes = [
            {"id": "hook", "type": "webhook", "data": {"form": {"check": "none", **form}}},
            *then,
            {"id": "out", "type": "file-writer", "data": {"form": {"path": self.file}}},
        ]
        edges = [
            {"id": f"e{n}", "source": a["id"], "target": b["id"]}
            for n, (a, b) in enumerate(itertools.pairwise(nodes))
        ]
        self.definition = {"name": f"Hook {number}", "nodes": nodes, "edges": edges}
        self.id = house.create(self.definition)

    def start(self):
        answer = self.house.post("/prod/start", self.id)
        assert answer.status_code == 202, answer.text
        return self

    def call(self, method="POST", path=None, **request):
        url = f"{self.house.url}/webhooks/{path or self.path}"
        return httpx.request(method, url, timeout=30, **request)

    def rows(self, count):
        eventually(lambda: len(self.house.rows(self.file)) >= count, 30)
        return self.house.rows(self.file)


@pytest.fixture
def hook(house):
    made = []

    def make(**options):
        made.append(Running(house, **options))
        return made[-1].start()

    yield make
    for each in made:
        house.post("/prod/stop", each.id)


def test_a_request_becomes_an_item(hook):
    order = hook()
    answer = order.call(json={"total": 7, "note": "{{ 7*7 }}"}, params={"a": ["1", "2"], "b": "3"})
    assert (answer.status_code, answer.json()["repeated"]) == (202, False)
    [row] = order.rows(1)
    assert row["body"] == {"total": 7, "note": "{{ 7*7 }}"}
    assert row["query"] == {"a": ["1", "2"], "b": "3"}
    assert (row["method"], row["path"]) == ("POST", order.path)
    assert row["headers"]["content-type"] == "application/json"
    assert order.call(json={}, path=f"{order.path}/").status_code == 202


@pytest.mark.parametrize(
    ("kind", "sent", "body"),
    [
        ("application/vnd.shop+json", b"[1]", [1]),
        ("application/x-www-form-urlencoded", b"a=1&b=2&a=%C3%A9", {"a": ["1", "é"], "b": "2"}),
        ("text/plain; charset=UTF-8", "né".encode(), "né"),
        ("", b"", None),
    ],
)
def test_bodies_are_read_by_their_type(hook, kind, sent, body):
    order = hook()
    assert order.call(content=sent, headers={"Content-Type": kind}).status_code == 202
    assert order.rows(1)[0]["body"] == body


@pytest.mark.parametrize(
    ("kind", "sent", "status"),
    [
        ("application/json", b'{"a": NaN}', 400),
        ("application/json", b'{"a": 1, "a": 2}', 400),
        ("application/json", b'"\\u0000"', 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"\xff", 400),
        ("application/json", b'{"a": "' + b"x" * 140_000 + b'"}', 413),
        ("application/json; charset=utf-16", b"[]", 415),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("application/x-www-form-urlencoded", b"a=%00", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1001), 400),
        ("text/plain", b"\xff", 400),
        ("text/plain", b"a\0", 400),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/octet-stream", b"x", 415),
        ("", b"x", 415),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_stored(hook, kind, sent, status):
    order = hook()
    answer = order.call(content=sent, headers={"Content-Type": kind.encode()})
    assert answer.status_code == status, answer.text
    assert order.call(json="last").status_code == 202
    assert [row["body"] for row in order.rows(1)] == ["last"]


def test_a_path_is_there_while_its_workflow_runs(house, hook):
    order = hook()
    assert order.call(json=1).status_code == 202
    house.post("/prod/pause", order.id)
    assert order.call(json=2).status_code == 202
    house.post("/prod/stop", order.id)
    assert order.call(json=3).status_code == 404
    house.wait_for(order.id, "stopped")
    order.start()
    assert order.call(json=4).status_code == 202
    assert [row["body"] for row in order.rows(3)] == [1, 2, 4]
    assert order.call(json=5, path="shop/nothing").status_code == 404


def test_only_its_methods_are_taken(hook):
    order = hook(methods=["PUT", "GET"])
    refused = order.call(json=1)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "PUT, GET")
    for method in ("HEAD", "OPTIONS", "DELETE", "PATCH"):
        assert order.call(method).status_code == 405
    assert order.call("GET", params={"x": "1"}).status_code == 202
    assert order.call("PUT", json=2).status_code == 202
    assert [row["method"] for row in order.rows(2)] == ["GET", "PUT"]


SIGNED = b'{"total": 7}'
DIGEST = hmac.new(SECRET.encode(), SIGNED, hashlib.sha256)


@pytest.mark.parametrize(
    ("form", "headers", "kept"),
    [
        ({"credential": "bearer"}, {"Authorization": f"Bearer {SECRET}"}, True),
        ({"credential": "bearer"}, {"Authorization": f"bearer {SECRET}"}, True),
        ({"credential": "bearer"}, {"Authorization": f"Basic {SECRET}"}, False),
        ({"credential": "bearer"}, {"Authorization": f"Bearer {SECRET}x"}, False),
        ({"credential": "bearer"}, {"Authorization": b"Bearer \xff"}, False),
        ({"credential": "bearer"}, {}, False),
        ({"credential": "header"}, {"X-Token": SECRET}, True),
        ({"credential": "header"}, {"X-Token": ""}, False),
        ({"credential": "login"}, httpx.BasicAuth("shop", SECRET), True),
        ({"credential": "login"}, httpx.BasicAuth("shop", "wrong"), False),
        ({"secret": "key"}, {"X-Hub-Signature-256": f"sha256={DIGEST.hexdigest()}"}, True),
        ({"secret": "key"}, {"X-Hub-Signature-256": DIGEST.hexdigest()}, True),
        (
            {"secret": "key", "signature_header": "X-Sign"},
            {"X-Sign": base64.b64encode(DIGEST.digest()).decode()},
            True,
        ),
        ({"secret": "key"}, {"X-Hub-Signature-256": "0" * 64}, False),
        ({"secret": "key"}, {"X-Hub-Signature-256": ""}, False),
        ({"secret": "key"}, {}, False),
    ],
)
def test_a_request_has_to_prove_itself(house, hook, form, headers, kept):
    order = hook(check="hmac" if "secret" in form else "token", **form)
    given = {"auth": headers} if isinstance(headers, httpx.BasicAuth) else {"headers": headers}
    answer = order.call(content=SIGNED, **_typed(given))
    if not kept:
        assert answer.status_code == 401
        assert SECRET not in answer.text
        return
    assert answer.status_code == 202, answer.text
    [row] = order.rows(1)
    assert not {"authorization", "x-token", "x-sign", "x-hub-signature-256"} & set(row["headers"])
    assert SECRET not in str(row)


def _typed(given):
    headers = {**given.get("headers", {}), "Content-Type": "application/json"}
    return {**given, "headers": headers}


def test_another_body_breaks_the_signature(hook):
    order = hook(check="hmac", secret="key")
    headers = {"X-Hub-Signature-256": DIGEST.hexdigest(), "Content-Type": "application/json"}
    assert order.call(content=SIGNED + b" ", headers=headers).status_code == 401


def signed_at(moment, body=SIGNED):
    told = str(moment)
    digest = hmac.new(SECRET.encode(), told.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Time": told, "X-Hub-Signature-256": digest, "Content-Type": "application/json"}


def test_a_signed_time_keeps_old_requests_out(hook):
    order = hook(check="hmac", secret="key", timestamp_header="X-Time")
    now = int(time.time())
    good = signed_at(now)
    refused = {
        "old": signed_at(now - 400),
        "of tomorrow": signed_at(now + 400),
        "with the time of another": {**signed_at(now - 400), "X-Time": str(now)},
        "without a time": {**good, "X-Time": ""},
        "with no number": signed_at("soon"),
        "with a sign": signed_at(f"+{now}"),
        "with many digits": signed_at("9" * 5000),
        "with digits of other scripts": {**good, "X-Time": "٣".encode()},
        "signed without the time": {**good, "X-Hub-Signature-256": DIGEST.hexdigest()},
    }
    for name, headers in refused.items():
        answer = order.call(content=SIGNED, headers=headers)
        assert answer.status_code == 401, name
    for moment in (now, now - 200):
        assert order.call(content=SIGNED, headers=signed_at(moment)).status_code == 202
    assert len(order.rows(2)) == 2


def test_a_webhook_without_its_secret_refuses_and_tells_nobody_why(house, hook):
    order = hook(check="hmac", secret="no-key")
    answer = order.call(content=SIGNED, headers={"Content-Type": "application/json"})
    assert answer.status_code == 503
    assert "no-key" not in answer.text
    assert "secret" in house.log("web")
    assert SECRET not in house.log("web")


def test_an_idempotency_key_is_taken_once(hook):
    order = hook()
    headers = {"Idempotency-Key": "order-1"}
    first, second = (order.call(json={"n": 1}, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == {"id": second.json()["id"], "repeated": False}
    assert second.json()["repeated"] is True
    other = order.call(json={"n": 2}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "key_reused")
    assert order.call(json={"n": 3}, headers={"Idempotency-Key": "x" * 256}).status_code == 400
    assert order.call(json={"n": 4}).status_code == 202
    assert [row["body"]["n"] for row in order.rows(2)] == [1, 4]


def response(**form):
    return {"id": "answer", "type": "http-response", "data": {"form": form}}


def test_the_workflow_answers(hook):
    order = hook(
        respond="workflow",
        then=[response(status="{{ data.body.status }}", body={"sum": "{{ data.body.a + 1 }}"})],
    )
    answer = order.call(json={"a": 2, "status": 201})
    assert (answer.status_code, answer.json()) == (201, {"sum": 3})
    assert order.rows(1)[0]["body"]["a"] == 2


def test_what_it_answers_is_shown_in_a_sandbox(hook):
    script = "<script>alert(1)</script>"
    order = hook(respond="workflow", then=[response(body=script, content_type="text/html")])
    answer = order.call(json={})
    assert answer.text == script
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_repeated_request_gets_the_same_answer(hook):
    order = hook(respond="workflow", then=[response(body="{{ data.body }}")])
    headers = {"Idempotency-Key": "1"}
    answers = [order.call(json=5, headers=headers) for _ in range(2)]
    assert [answer.text for answer in answers] == ["5", "5"]
    assert len(order.rows(1)) == 1


def test_an_answer_behind_a_queue(hook):
    order = hook(
        respond="workflow",
        then=[
            {"id": "w", "type": "queue-writer", "data": {}},
            {"id": "r", "type": "queue-reader", "data": {}},
            response(body="done"),
        ],
    )
    assert order.call(json={}).text == "done"


def test_whoever_gets_no_answer_is_told(hook):
    order = hook(respond="workflow", timeout=0.5)
    answer = order.call(json={"n": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "no_answer")
    assert order.rows(1)[0]["body"] == {"n": 1}


def test_a_path_belongs_to_one_workflow_that_runs(house, hook):
    order = hook()
    rival = Running(house, path=order.path)
    refused = house.post("/prod/start", rival.id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert order.path in refused.json()["error"]["message"]
    house.post("/prod/stop", order.id)
    rival.start()
    assert rival.call(json="rival").status_code == 202
    assert rival.rows(1)[0]["body"] == "rival"
    assert house.post("/prod/start", order.id).status_code == 409
    house.post("/prod/stop", rival.id)


def test_a_new_version_has_another_path(house, hook):
    order = hook()
    before = order.path
    order.definition["nodes"][0]["data"]["form"]["path"] = order.path = f"{before}-new"
    assert house.client.put(f"/workflows/{order.id}/", json=order.definition).status_code == 200
    assert order.call(json=1, path=before).status_code == 202
    order.start()
    assert order.call(json=2, path=before).status_code == 404
    assert order.call(json=3).status_code == 202
    assert [row["body"] for row in order.rows(2)] == [1, 3]


def test_a_full_inbox_is_told(house, hook):
    order = hook()
    house.post("/prod/pause", order.id)
    eventually(lambda: house.loop(order.id, "hook")["state"] == "paused", 20)
    body = "x" * 120_000

    with redis.Redis.from_url(house.redis.url) as client:
        # As if the inbox held what it may: its bytes are counted in this hash.
        client.hset(f"wo:{{wf:{order.id}}}:bytes", "!inbox:hook", 256 * 1024 * 1024)
        assert order.call(json=body).status_code == 202  # an empty one takes anything
        full = order.call(json=body)
        assert (full.status_code, full.headers["Retry-After"]) == (429, "1")
        client.hset(f"wo:{{wf:{order.id}}}:bytes", "!inbox:hook", 0)
    assert order.call(json="again").status_code == 202
    house.post("/prod/resume", order.id)
    assert [row["body"][:5] for row in order.rows(2)] == ["xxxxx", "again"]


def test_two_webhooks_of_a_workflow_have_two_paths(house):
    order = Running(house)
    twice = {**order.definition, "edges": []}
    twice["nodes"] = [{**order.definition["nodes"][0], "id": name} for name in ("1", "2")]
    answer = house.client.post("/workflows/", json=twice)
    assert answer.status_code == 400
    [problem] = answer.json()["error"]["details"]
    assert problem["path"] == "nodes[1].data.form.path"


def test_on_the_bench_it_gives_a_sample(house):
    order = Running(house, sample={"total": 3})
    request = {"workflow_id": order.id, "node_id": "hook"}
    answer = house.client.post("/dev/execute", json=request)
    assert answer.json()["output"] == {
        "method": "POST",
        "path": order.path,
        "query": {},
        "headers": {},
        "body": {"total": 3},
    }
