"""`/dev/...`: one node at a time, in real children, on what the nodes before it have left."""

import asyncio
import itertools
import json
from collections import Counter

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from nodes.contract import NodeOutput
from orchestrator.exceptions import Busy
from orchestrator.execution.envelope import seal
from orchestrator.models import LoopSlot
from orchestrator.security.actors import SYSTEM, Actor, Role
from orchestrator.services import workflows
from orchestrator.services.bench.execution import execute
from orchestrator.services.bench.request import BenchRequest, open_for
from tests.integration.benches import Bench, edge, forget_everything, node

pytestmark = pytest.mark.django_db(transaction=True)


WORKFLOW = {
    "name": "Bench",
    "nodes": [
        node("source", "string-iterator", text='{"n": 5}\n{"n": 6}'),
        node("parse", "parse-json", field="line"),
        node("if", "if-condition", field="n", operator="equals", value="5"),
        node("yes", "debug"),
        node("no", "debug"),
        node("join", "debug"),
        node("write", "queue-writer"),
        node("read", "queue-reader"),
        node("end", "debug"),
    ],
    "edges": [
        edge("source", "parse"),
        edge("parse", "if"),
        edge("if", "yes", sourceHandle="yes"),
        edge("if", "no", sourceHandle="no"),
        edge("yes", "join"),
        edge("no", "join"),
        edge("join", "write"),
        edge("write", "read"),
        edge("read", "end"),
    ],
}


@pytest.fixture
def stored(transactional_db):
    return workflows.create(SYSTEM, WORKFLOW).workflow


@pytest.fixture
def token(make_user, make_token):
    return make_token(make_user("editor"))


@pytest.fixture
async def bench(stored, token, shared_store):
    await forget_everything(shared_store)
    return Bench(token)


def deep(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


DEEPER = {"line": json.dumps(deep(70))}


async def chain(bench, *node_ids, **body):
    """Run nodes one after the other and return the last answer."""
    for node_id in node_ids:
        status, answer = await bench.run(node_id, workflow_id="bench", **body)
        assert status == 200, answer
    return answer


async def test_node_by_node_along_the_chain(bench):
    status, body = await bench.run("parse", workflow_id="bench")
    assert (status, body["error"]["code"]) == (409, "missing_input")
    assert body["error"]["nodes"] == ["source"]

    assert (await chain(bench, "source"))["output"]["line"] == '{"n": 5}'
    answer = await chain(bench, "parse", "if")
    assert (answer["output"]["n"], answer["port"]) == (5, "yes")
    assert (await chain(bench, "yes"))["output"]["n"] == 5


async def test_a_branch_that_was_not_taken_has_no_input(bench):
    await chain(bench, "source", "parse", "if")
    status, body = await bench.run("no", workflow_id="bench")
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert body["error"]["details"] == [{"path": "nodes.if", "message": "left by the port yes"}]


async def test_a_join_does_not_wait_for_a_branch_that_was_not_taken(bench):
    await chain(bench, "source", "parse", "if")
    status, body = await bench.run("join", workflow_id="bench")
    assert (status, body["error"]["nodes"]) == (409, ["yes"])
    await chain(bench, "yes")
    assert (await chain(bench, "join"))["output"]["n"] == 5

    await chain(bench, "parse", input={"line": '{"n": 6}'})
    await chain(bench, "if")
    status, body = await bench.run("join", workflow_id="bench", run_upstream="missing")
    assert (status, body["ran_upstream"]) == (200, ["no"])
    assert body["output"]["n"] == 6


async def test_a_whole_workflow_is_run_up_to_a_node(bench):
    status, body = await bench.run("end", workflow_id="bench", run_upstream="missing")
    assert status == 200, body
    assert body["ran_upstream"] == ["source", "parse", "if", "yes", "join", "write", "read"]
    assert body["output"]["n"] == 5


async def test_all_upstream_nodes_together_get_the_time_of_one_request(bench):
    names = [f"wait{n}" for n in range(4)]
    waits = [node(name, "static-delay", seconds=0.4) for name in names]
    ends = ["source", *names, "end"]
    workflow = {
        "name": "Slow",
        "nodes": [node("source", "counter", stop=1), *waits, node("end", "debug")],
        "edges": [edge(*pair) for pair in itertools.pairwise(ends)],
    }
    body = {"workflow": workflow, "run_upstream": "missing", "session": "slow"}
    status, answer = await bench.run("end", **body, timeout=1.2)
    assert (status, answer["error"]["code"]) == (504, "node_timeout")
    status, answer = await bench.run("end", **body, timeout=60)
    assert status == 200
    assert "source" not in answer["ran_upstream"]  # what was made before the deadline is kept


async def test_upstream_nodes_are_run_when_asked(bench):
    status, body = await bench.run("if", workflow_id="bench", run_upstream="missing")
    assert (status, body["ran_upstream"]) == (200, ["source", "parse"])
    status, body = await bench.run("if", workflow_id="bench", run_upstream="missing")
    assert (status, body["ran_upstream"]) == (200, [])


async def test_stale_nodes_are_run_when_asked(bench):
    await chain(bench, "source", "parse")
    changed = json.loads(json.dumps(WORKFLOW))
    changed["nodes"][0]["data"]["form"]["text"] = '{"n": 7}'
    await sync_to_async(workflows.save)(SYSTEM, "bench", changed)
    assert (await bench.cached("source"))["freshness"] == "stale"
    assert (await bench.cached("parse"))["freshness"] == "stale"
    status, body = await bench.run("if", workflow_id="bench", run_upstream="stale")
    assert (status, body["ran_upstream"]) == (200, ["source", "parse"])
    assert (body["output"]["n"], body["port"]) == (7, "no")


async def test_the_cache_says_what_holds(bench):
    assert (await bench.cached("parse"))["freshness"] == "missing"
    await chain(bench, "source", "parse")
    found = await bench.cached("parse")
    assert (found["freshness"], found["origin"], found["output"]["n"]) == ("fresh", "run", 5)

    status, pinned = await bench.send("put", "/dev/cache/bench/source", {"data": {"line": "{}"}})
    assert (status, pinned["freshness"]) == (200, "pinned")
    assert (await bench.cached("parse"))["freshness"] == "stale"

    assert (await bench.send("delete", "/dev/cache/bench/source"))[0] == 204
    assert (await bench.cached("source"))["freshness"] == "missing"


async def test_sessions_do_not_see_each_other(bench, make_user, make_token):
    await chain(bench, "source")
    await chain(bench, "source", session="shared")
    other = Bench(await sync_to_async(lambda: make_token(make_user("editor", "other")))())
    assert (await other.cached("source"))["freshness"] == "missing"
    assert (await other.cached("source", "?session=shared"))["freshness"] == "fresh"


async def test_an_input_may_be_sent(bench):
    status, body = await bench.run("parse", workflow_id="bench", input={"line": '{"n": 1}'})
    assert (status, body["output"]["n"]) == (200, 1)


async def test_unsaved_json_and_overrides(bench):
    status, body = await bench.run("source", workflow=WORKFLOW, form={"text": "other"})
    assert (status, body["output"]["line"]) == (200, "other")
    assert (await bench.cached("source"))["freshness"] == "missing"
    status, body = await bench.run("source", workflow_id="bench", form={"text": "more"})
    assert (status, body["output"]["line"]) == (200, "more")
    assert (await bench.cached("source"))["freshness"] == "stale"


async def test_a_node_that_raises(bench):
    status, body = await bench.run("parse", workflow_id="bench", input={"line": "{"})
    assert (status, body["error"]["code"]) == (422, "node_failed")
    failed = body["error"]["node"]
    assert failed["id"] == "parse" and failed["error_type"] and "Traceback" in failed["trace"]
    assert failed["input"] == {"line": "{"}
    assert (await bench.cached("parse"))["freshness"] == "missing"


@pytest.mark.parametrize(
    ("action", "timeout", "expected"),
    [("exit", 10, 422), ("kill", 10, 422), ("raise", 10, 422), ("block", 0.5, 504)],
)
async def test_whatever_a_node_does_stays_in_its_child(bench, action, timeout, expected):
    faulty = {
        "name": "faulty",
        "nodes": [node("1", "counter"), node("2", "faulty", value=1, action=action, seconds=60)],
        "edges": [edge("1", "2")],
    }
    status, body = await bench.run("2", workflow=faulty, input={"value": 1}, timeout=timeout)
    assert status == expected, body
    assert body["error"]["node"]["id"] == "2"
    assert (await bench.run("2", workflow=faulty, input={"value": 2}))[0] == 200


async def test_more_than_allowed_are_told_to_wait(bench, settings):
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "BENCH_CHILDREN": 1}
    slow = {"name": "s", "nodes": [node("1", "counter"), node("2", "static-delay", seconds=1)]}
    slow["edges"] = [edge("1", "2")]
    actor = Actor(id=1, name="editor", roles=frozenset({Role.EDITOR}))
    request = BenchRequest(node_id="2", workflow=slow, input={})
    opened = await sync_to_async(open_for)(actor, request)
    outcomes = await asyncio.gather(
        *(execute(opened, request) for _ in range(3)), return_exceptions=True
    )
    assert Counter(type(outcome) for outcome in outcomes) == {Busy: 2, dict: 1}


async def test_a_reader_is_shown_the_oldest_entry_which_stays(bench, shared_store):
    status, body = await bench.run("read", workflow_id="bench")
    assert (status, body["error"]["nodes"]) == (409, ["write"])
    for value in (1, 2):
        item = NodeOutput(f"source:1:{value}", {"value": value})
        await shared_store.queue.put(
            "bench", "queue_write_read", seal(item, activation=1, version=1, born=1.0)
        )
    answer = await chain(bench, "read")
    assert answer["output"] == {"value": 1}
    lengths = await shared_store.queue.lengths("bench", ["queue_write_read"])
    assert lengths == {"queue_write_read": 2}


async def test_nothing_leaves_the_bench(bench, shared_store):
    status, body = await bench.run("write", workflow_id="bench", input={"value": 1})
    assert status == 200
    assert body["emitted"] == [{"queue": "queue_write_read", "data": {"value": 1}}]
    lengths = await shared_store.queue.lengths("bench", ["queue_write_read"])
    assert lengths == {"queue_write_read": 0}
    assert not await LoopSlot.objects.aexists()
    assert (await chain(bench, "read"))["output"] == {"value": 1}  # from the writer's output


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"node_id": "source"}, 400, "invalid_request"),
        ({"workflow_id": "bench"}, 400, "invalid_request"),
        ({"workflow_id": "nothing", "node_id": "1"}, 404, "not_found"),
        ({"workflow_id": "bench", "node_id": "nothing"}, 404, "not_found"),
        ({"workflow_id": "bench", "node_id": "source", "input": []}, 400, "invalid_request"),
        ({"workflow_id": "bench", "node_id": "source", "timeout": 1e9}, 400, "invalid_request"),
        ({"workflow_id": "bench", "node_id": "source", "session": "a/b"}, 400, "invalid_request"),
        ({"workflow_id": "bench", "node_id": "source", "form": {"x": 1}}, 400, "invalid_workflow"),
        ({"workflow": {"nodes": []}, "node_id": "1"}, 400, "invalid_workflow"),
        ({"workflow_id": "bench", "node_id": "parse", "input": deep(70)}, 400, "invalid_payload"),
        ({"workflow_id": "bench", "node_id": "parse", "input": DEEPER}, 422, "node_failed"),
        ({"workflow_id": "bench", "node_id": "source", "write": "x"}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_run(bench, body, status, code):
    answered, error = await bench.send("post", "/dev/execute", body)
    assert (answered, error["error"]["code"]) == (status, code)


async def test_a_pin_needs_a_node_and_a_port(bench):
    assert (await bench.send("put", "/dev/cache/bench/nothing", {"data": {}}))[0] == 404
    wrong = {"data": {}, "port": "maybe"}
    assert (await bench.send("put", "/dev/cache/bench/if", wrong))[0] == 409
    assert (await bench.send("put", "/dev/cache/bench/if", {"data": {}, "port": "no"}))[0] == 200


async def test_a_session_works_with_the_csrf_token(bench, make_user):
    client = AsyncClient(enforce_csrf_checks=True)
    await sync_to_async(lambda: client.force_login(make_user("editor")))()
    body = {"workflow_id": "bench", "node_id": "source"}
    kind = "application/json"
    assert (await client.post("/dev/execute", body, content_type=kind)).status_code == 403
    token = "a" * 32
    client.cookies["orchestrator_csrftoken"] = token
    headers = {"X-CSRFToken": token}
    answer = await client.post("/dev/execute", body, content_type=kind, headers=headers)
    assert answer.status_code == 200


def test_without_redis_there_is_no_bench(stored, api):
    client = api("editor")
    body = {"workflow_id": "bench", "node_id": "parse"}
    for answer in (client.post("/dev/execute", body), client.get("/dev/cache/bench/parse")):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "store_unavailable"
