"""Production's data on the bench: dead letters, tap samples, entries of queues."""

import pytest
from asgiref.sync import sync_to_async

from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from orchestrator.models import DeadLetter
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.integration.benches import Bench, changed, edge, forget_everything, node
from tests.integration.letters import letter

pytestmark = pytest.mark.django_db(transaction=True)

WORKFLOW = {
    "name": "Bench",
    "nodes": [
        node("1", "counter", stop=3),
        node("2", "parse-json", field="line"),
        node("write", "queue-writer"),
        node("read", "queue-reader"),
        node("end", "debug"),
    ],
    "edges": [edge("1", "2"), edge("2", "write"), edge("write", "read"), edge("read", "end")],
}
QUEUE = "queue_write_read"


@pytest.fixture
def token(transactional_db, make_user, make_token):
    workflows.create(SYSTEM, WORKFLOW)
    return make_token(make_user("editor"))


@pytest.fixture
def viewer(transactional_db, make_user, make_token):
    return make_token(make_user("viewer"))


@pytest.fixture
async def bench(token, shared_store):
    await forget_everything(shared_store)
    return Bench(token)


async def dead(**fields):
    fields = {"node_input": {"line": '{"n": 1}'}, "node_type": "parse-json", **fields}
    return (await sync_to_async(letter)("bench", **fields)).pk


async def load(bench, source, **more):
    return await bench.send("post", "/dev/load", {"workflow_id": "bench", "from": source, **more})


async def put(store, *values):
    for value in values:
        item = NodeOutput(f"1:1:{value}", {"value": value})
        await store.queue.put("bench", QUEUE, seal(item, activation=1, version=1, born=1.0))
    return [entry.id for entry in await store.queue.peek("bench", QUEUE, 10)]


async def test_a_dead_letter_becomes_the_given_input_of_its_node(bench):
    number = await dead()
    status, found = await load(bench, {"dead_letter": number})
    assert (status, found["node_id"], found["freshness"]) == (200, "2", "missing")
    given = found["given"]
    assert (given["origin"], given["of"]) == ("dead_letter", {"dead_letter": number})
    assert given["input"] == {"line": '{"n": 1}'}

    answer = await bench.chain("2")
    assert answer["output"]["n"] == 1
    assert [(u["origin"], u["freshness"]) for u in answer["used"]] == [("dead_letter", "pinned")]
    assert (await bench.cached("2"))["freshness"] == "fresh"
    found = await bench.ok("get", "/dev/input/bench/2")
    assert found["input"] == {"line": '{"n": 1}'}


async def test_a_given_input_goes_before_upstream_and_after_what_is_sent(bench):
    await load(bench, {"dead_letter": await dead()})
    assert (await bench.chain("2", run_upstream="stale"))["ran_upstream"] == []
    assert (await bench.chain("2", input={"line": '{"n": 2}'}))["output"]["n"] == 2
    assert (await bench.cached("2"))["why"] == "it was run with an input that was sent"
    assert (await bench.chain("2"))["output"]["n"] == 1

    await bench.ok("delete", "/dev/cache/bench/2")
    status, body = await bench.run("2", workflow_id="bench")
    assert (status, body["error"]["nodes"]) == (409, ["1"])


async def test_another_given_input_turns_what_was_run_stale(bench):
    await load(bench, {"dead_letter": await dead()})
    await bench.chain("2", "write")
    await load(bench, {"dead_letter": await dead(node_input={"line": "{}"})})
    rows = await bench.overview()
    assert (rows["2"]["freshness"], rows["2"]["why"]) == ("stale", "its input has changed")
    assert rows["write"]["why"] == "node 2 is stale"


async def test_an_edited_letter_is_loaded_as_a_replay_would_begin(bench):
    number = await dead(edited={"node_input": {"line": '{"n": 5}'}})
    _, found = await load(bench, {"dead_letter": number})
    assert found["given"]["input"] == {"line": '{"n": 5}'}


async def test_an_entry_becomes_the_output_of_the_reader_and_stays(bench, shared_store):
    ids = await put(shared_store, 1, 2)
    status, found = await load(bench, {"queue": QUEUE, "entry": ids[1]})
    assert (status, found["node_id"], found["freshness"]) == (200, "read", "pinned")
    assert (found["origin"], found["output"]) == ("queue", {"value": 2})
    assert (await bench.chain("end"))["output"] == {"value": 2}
    assert len(await put(shared_store)) == 2


async def test_a_load_belongs_to_its_session(bench):
    await load(bench, {"dead_letter": await dead()}, session="mine")
    assert (await bench.cached("2"))["given"] is None
    assert (await bench.cached("2", "?session=mine"))["given"] is not None


@pytest.mark.parametrize(
    ("source", "more", "status"),
    [
        ({"dead_letter": 10**15}, {}, 404),
        ({"dead_letter": 10**30}, {}, 400),
        ({"dead_letter": "x"}, {}, 400),
        ({"tap": "nothing"}, {}, 404),
        ({"queue": QUEUE, "entry": "1-1"}, {}, 404),
        ({"queue": "nothing", "entry": "1-1"}, {}, 409),
        ({"queue": QUEUE}, {}, 400),
        ({}, {}, 400),
        ({"run": 1}, {}, 400),
        ({"dead_letter": 1, "tap": "x"}, {}, 400),
        ({"tap": "x"}, {"as": "both"}, 400),
        ({"tap": "x"}, {"workflow_id": "nothing"}, 404),
    ],
)
async def test_what_cannot_be_loaded(bench, source, more, status):
    answered, body = await load(bench, source, **more)
    assert answered == status, body
    assert body["error"]["message"]


async def test_a_letter_that_cannot_be_used_says_why(bench):
    number = await dead(node_input=None)
    status, body = await load(bench, {"dead_letter": number})
    assert (status, "node_input" in body["error"]["message"]) == (409, True)
    status, body = await load(bench, {"dead_letter": await dead()}, **{"as": "output"})
    assert (status, body["error"]["details"][0]["path"]) == (400, "as")
    status, _ = await load(bench, {"dead_letter": await dead(node_id="gone")})
    assert status == 404
    other = (await sync_to_async(letter)("other")).pk
    assert (await load(bench, {"dead_letter": other}))[0] == 404


async def test_a_viewer_may_look_and_not_load(bench, viewer):
    looking = Bench(viewer)
    assert (await load(looking, {"dead_letter": await dead()}))[0] == 403
    assert (await looking.send("get", "/dev/cache/bench"))[0] == 200
    assert await DeadLetter.objects.aexists()


async def test_a_letter_of_a_half_built_workflow_can_be_loaded(bench):
    broken = changed(WORKFLOW, "end", level="no such level")
    await load(bench, {"dead_letter": await dead()})
    status, answer = await bench.run("2", workflow_id="bench", workflow=broken)
    assert (status, answer["output"]["n"]) == (200, 1)


async def test_a_workflow_that_was_never_saved_has_a_bench(bench):
    flow = {"name": "Never saved", "nodes": [node("new", "counter", stop=3)], "edges": []}
    unsaved = {"workflow": flow}
    found = await bench.ok("post", "/dev/cache/_", unsaved)
    assert found["nodes"]["new"]["freshness"] == "missing"
    await bench.ok("put", "/dev/cache/_/new", {**unsaved, "data": {"value": 9}})
    found = await bench.ok("post", "/dev/cache/_/new", unsaved)
    assert (found["freshness"], found["output"]) == ("pinned", {"value": 9})
    await bench.ok("post", "/dev/forget", {**unsaved, "node_id": "new"})
    found = await bench.ok("post", "/dev/cache/_/new", unsaved)
    assert (found["freshness"], found["output"]) == ("missing", None)
    for method, path in (("get", "/dev/cache/_"), ("put", "/dev/cache/_/new")):
        status, answer = await bench.send(method, path, {"data": {}} if method == "put" else None)
        assert status == 400 and "send a workflow" in answer["error"]["message"]


async def test_a_node_that_is_not_saved_yet_has_an_input_and_an_output(bench):
    stored = await bench.ok("get", f"/workflows/{bench.workflow_id}/")
    flow = stored["definition"]
    first = flow["nodes"][0]["id"]
    new = node("new", "debug")
    flow = {**flow, "nodes": [*flow["nodes"], new], "edges": [*flow["edges"], edge(first, "new")]}
    path = f"/dev/cache/{bench.workflow_id}"
    assert (await bench.send("put", f"{path}/new", {"data": {}}))[0] == 404
    await bench.ok("put", f"{path}/{first}", {"data": {"a": 1}, "workflow": flow})
    found = await bench.ok("post", f"/dev/input/{bench.workflow_id}/new", {"workflow": flow})
    assert found["input"] == {"a": 1} and found["paths"][0]["path"] == "data.a"
    await bench.ok("put", f"{path}/new", {"data": {"b": 2}, "workflow": flow})
    assert (await bench.ok("post", f"{path}/new", {"workflow": flow}))["output"] == {"b": 2}
