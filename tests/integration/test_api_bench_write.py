"""What leaves the bench when that is asked for, and half-built workflows."""

import pytest

from orchestrator.execution.envelope import unseal
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.integration.benches import Bench, changed, edge, forget_everything, node

pytestmark = pytest.mark.django_db(transaction=True)

WORKFLOW = {
    "name": "Bench",
    "nodes": [
        node("1", "counter", stop=3),
        node("write", "queue-writer", {"max_length": 2}),
        node("read", "queue-reader"),
        node("file", "file-writer", path="bench.jsonl"),
    ],
    "edges": [edge("1", "write"), edge("write", "read"), edge("read", "file")],
}
QUEUE = "queue_write_read"


@pytest.fixture
def token(transactional_db, make_user, make_token):
    workflows.create(SYSTEM, WORKFLOW)
    return make_token(make_user("editor"))


@pytest.fixture
async def bench(token, shared_store):
    await forget_everything(shared_store)
    return Bench(token)


async def test_an_item_is_put_into_the_queue_of_production(bench, shared_store):
    answer = await bench.chain("write", input={"value": 7}, write=True)
    assert answer["written"] == {"queues": 1, "files": []}
    [entry] = await shared_store.queue.peek("bench", QUEUE, 10)
    envelope = unseal(entry.body)
    assert envelope.item.data == {"value": 7}
    assert envelope.item.id.startswith("bench:write:")
    answer = await bench.chain("write", input={"value": 8})
    assert answer["written"] == {"queues": 0, "files": []}
    assert len(await shared_store.queue.peek("bench", QUEUE, 10)) == 1


async def test_a_queue_without_room_takes_nothing(bench, shared_store):
    for value in (1, 2):
        await bench.chain("write", input={"value": value}, write=True)
    status, body = await bench.run("write", workflow_id="bench", input={"value": 3}, write=True)
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert f"{QUEUE} is full" in body["error"]["message"]
    assert "2 of 2 entries" in body["error"]["message"]
    assert len(await shared_store.queue.peek("bench", QUEUE, 10)) == 2


async def test_a_queue_that_production_does_not_have_takes_nothing(bench, shared_store):
    other = changed(WORKFLOW, "write")
    other["nodes"][1]["data"]["config"] = {"queue_name": "unheard-of"}
    body = {"workflow": other, "input": {"value": 1}, "write": True}
    status, answer = await bench.run("write", workflow_id="bench", **body)
    assert status == 409
    assert "unheard-of" in answer["error"]["message"]
    status, answer = await bench.run("write", **body)
    assert (status, "not stored" in answer["error"]["message"]) == (409, True)
    assert await shared_store.queue.peek("bench", "unheard-of", 10) == []


async def test_an_item_that_is_too_large_for_a_queue(bench, shared_store):
    body = {"workflow_id": "bench", "input": {"text": "x" * 300_000}, "write": True}
    status, answer = await bench.run("write", **body)
    assert status in (413, 422), answer
    assert "262144" in str(answer)
    assert await shared_store.queue.peek("bench", QUEUE, 10) == []


async def test_nodes_before_it_write_nothing(bench, shared_store):
    await bench.chain("file", run_upstream="missing", write=True)
    assert await shared_store.queue.peek("bench", QUEUE, 10) == []


async def test_only_who_may_run_nodes_may_write(bench, make_user, make_token):
    from asgiref.sync import sync_to_async

    operator = Bench(await sync_to_async(lambda: make_token(make_user("operator")))())
    body = {"workflow_id": "bench", "input": {}, "write": True}
    assert (await operator.run("write", **body))[0] == 403


HALF_BUILT = {
    "name": "Half built",
    "nodes": [
        node("source", "counter", stop=1),
        node("good", "data-transformer", fields={"a": "{{ data.value }}"}),
        node("wrong-form", "if-condition", operator="no such"),
        node("wrong-type", "no-such-type"),
        node("wrong-options", "debug", {"timeout": -1}),
        node("nameless", "queue-writer"),
        node("loose", "debug"),
        {"id": "", "type": "debug"},
        7,
    ],
    "edges": [
        edge("source", "good"),
        edge("good", "wrong-form"),
        edge("wrong-form", "loose", sourceHandle="yes", condition="data.("),
        edge("nothing", "wrong-type"),
        {"id": "x"},
    ],
}


async def test_a_node_runs_whatever_is_wrong_elsewhere(bench):
    body = {"workflow": HALF_BUILT, "session": "half"}
    status, answer = await bench.run("good", **body, run_upstream="missing")
    assert (status, answer["ran_upstream"]) == (200, ["source"])
    assert answer["output"]["a"] == 0


@pytest.mark.parametrize(
    ("node_id", "status", "path"),
    [
        ("wrong-form", 400, "nodes[2].data.form."),
        ("wrong-type", 400, "nodes[3].type"),
        ("wrong-options", 400, "nodes[4].data.config.timeout"),
        ("nameless", 400, "nodes[5].data.config.queue_name"),
        ("loose", 400, "edges[2].condition"),
        ("nothing", 404, None),
    ],
)
async def test_what_is_wrong_with_the_node_itself_is_said(bench, node_id, status, path):
    answered, body = await bench.run(node_id, workflow=HALF_BUILT, session="half")
    assert answered == status, body
    if path is not None:
        assert any(d["path"].startswith(path) for d in body["error"]["details"])
        # An edge to it that leads nowhere is about it as well; nothing else is.
        assert len(body["error"]["details"]) <= 2


async def test_a_wrong_node_upstream_says_so_when_its_turn_comes(bench):
    flow = {**HALF_BUILT, "edges": [*HALF_BUILT["edges"][:2], edge("wrong-form", "good")]}
    flow["edges"] = [edge("source", "wrong-form"), edge("wrong-form", "good", sourceHandle="yes")]
    body = {"workflow": flow, "session": "turn"}
    status, answer = await bench.run("good", **body, run_upstream="missing")
    assert (status, answer["error"]["code"]) == (400, "invalid_workflow")
    assert answer["error"]["details"][0]["path"].startswith("nodes[2]")
    status, answer = await bench.run("good", **body, input={"value": 3})
    assert (status, answer["output"]["a"]) == (200, 3)


async def test_the_cache_can_be_looked_at_in_a_half_built_workflow(bench):
    path = "/dev/cache/bench"
    rows = (await bench.ok("post", path, {"workflow": HALF_BUILT}))["nodes"]
    assert rows["good"]["why"] == "it has not been run"
    assert rows["wrong-type"]["freshness"] == "missing"
    assert "cannot be built" in rows["wrong-type"]["why"]
    for nonsense in ({}, {"nodes": 5}, {"nodes": [], "edges": {}}):
        status, body = await bench.send("post", path, {"workflow": nonsense})
        assert (status, body["error"]["code"]) == (400, "invalid_workflow")


async def test_a_template_is_previewed(bench):
    await bench.chain("1")
    body = {"workflow_id": "bench", "node_id": "write"}
    found = await bench.ok("post", "/dev/render", {**body, "template": "{{ data.value + 1 }}"})
    assert (found["ok"], found["value"], found["type"]) == (True, 1, "number")
    assert [u["node_id"] for u in found["used"]] == ["1"]
    assert found["paths"][0]["path"] == "data.value"

    more = {**body, "template": "{{ data.missing.more }}", "input": {"a": {"b": 1}}}
    found = await bench.ok("post", "/dev/render", more)
    assert found["ok"] is False and found["error"]["message"]

    status, answer = await bench.send(
        "post", "/dev/render", {**body, "node_id": "file", "template": ""}
    )
    assert (status, answer["error"]["code"]) == (409, "missing_input")
    flow = {"workflow": HALF_BUILT, "node_id": "wrong-form", "input": {"x": 2}}
    found = await bench.ok("post", "/dev/render", {**flow, "template": "{{ data.x }}"})
    assert found["value"] == 2  # while its form is being filled in


async def test_an_input_is_shown_as_the_node_would_get_it(bench):
    await bench.chain("1", "write", "read")
    found = await bench.ok("get", "/dev/input/bench/file")
    assert found["input"] == {"value": 0}
    assert found["paths"] == [{"path": "data.value", "type": "number", "sample": "0"}]
    assert [u["node_id"] for u in found["used"]] == ["read"]
    assert (await bench.send("get", "/dev/input/bench/nothing"))[0] == 404
