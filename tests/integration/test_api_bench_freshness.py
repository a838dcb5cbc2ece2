"""Whether what the bench remembers still holds, of every node in one call."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.integration.benches import Bench, changed, edge, forget_everything, node
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

WORKFLOW = {
    "name": "Bench",
    "nodes": [
        node("source", "counter", stop=3),
        node("left", "data-transformer", fields={"left": "1"}),
        node("right", "data-transformer", fields={"right": "1"}),
        node("join", "data-transformer", fields={"both": "{{ data.left }}{{ data.right }}"}),
        node("if", "if-condition", field="both", operator="equals", value="11"),
        node("yes", "data-transformer", fields={"a": "{{ data.both }}"}),
        node("no", "data-transformer", fields={"a": "never"}),
        node("meet", "debug"),
        node("write", "queue-writer"),
        node("read", "queue-reader"),
        node("end", "debug"),
    ],
    "edges": [
        edge("source", "left"),
        edge("source", "right"),
        edge("left", "join"),
        edge("right", "join"),
        edge("join", "if"),
        edge("if", "yes", sourceHandle="yes"),
        edge("if", "no", sourceHandle="no"),
        edge("yes", "meet"),
        edge("no", "meet"),
        edge("meet", "write"),
        edge("write", "read"),
        edge("read", "end"),
    ],
}
ALL = {n["id"] for n in WORKFLOW["nodes"]}


@pytest.fixture
def token(transactional_db, make_user, make_token):
    workflows.create(SYSTEM, WORKFLOW)
    return make_token(make_user("editor"))


@pytest.fixture
async def bench(token, shared_store):
    await forget_everything(shared_store)
    return Bench(token)


async def run_all(bench):
    return await bench.chain("end", run_upstream="missing")


def names(found, freshness):
    return {node_id for node_id, value in found.items() if value == freshness}


async def test_all_is_missing_then_fresh_but_the_branch_that_was_not_taken(bench):
    assert names(await bench.freshness(), "missing") == ALL
    assert (await bench.why())["end"] == "it has not been run"
    await run_all(bench)
    found = await bench.freshness()
    assert names(found, "fresh") == ALL - {"no"}
    assert await bench.why() == {"no": "node if left by the port yes"}


@pytest.mark.parametrize(
    ("at", "form", "stale"),
    [
        ("source", {"stop": 4}, ALL - {"no"}),
        ("left", {"fields": {"left": "2"}}, ALL - {"no", "source", "right"}),
        ("if", {"value": "12"}, {"if", "yes", "meet", "write", "read", "end"}),
        ("yes", {"fields": {"a": "b"}}, {"yes", "meet", "write", "read", "end"}),
        ("no", {"fields": {"a": "b"}}, set()),
        ("end", {"level": "debug"}, {"end"}),
    ],
)
async def test_a_setting_turns_exactly_its_node_and_those_behind_it_stale(bench, at, form, stale):
    await run_all(bench)
    other = changed(WORKFLOW, at, **form)
    assert names(await bench.freshness(other), "stale") == stale
    assert names(await bench.freshness(), "stale") == set()
    await bench.save(other)
    assert names(await bench.freshness(), "stale") == stale
    if stale:
        assert (await bench.why())[at] == "its settings have changed"


async def test_the_same_output_again_makes_what_is_behind_it_fresh(bench):
    await run_all(bench)
    await bench.save(changed(WORKFLOW, "left", fields={"left": "{{ '1' }}"}))
    assert (await bench.why())["join"] == "node left is stale"
    await bench.chain("left")
    assert names(await bench.freshness(), "stale") == set()


async def test_another_output_reaches_one_node_after_the_other(bench):
    await run_all(bench)
    await bench.save(changed(WORKFLOW, "yes", fields={"a": "other"}))
    await bench.chain("yes")
    why = await bench.why()
    assert why["meet"] == "its input has changed"
    assert why["write"] == "node meet is stale"
    answer = await bench.chain("end", run_upstream="stale")
    assert answer["ran_upstream"] == ["meet", "write", "read"]
    assert answer["output"]["a"] == "other"
    assert names(await bench.freshness(), "stale") == set()


async def test_a_pin_holds_what_is_stale_back(bench):
    await run_all(bench)
    await bench.pin("join", {"both": "11"})
    await bench.chain("if", "yes", "meet", "write", "read", "end")
    await bench.save(changed(WORKFLOW, "left", fields={"left": "2"}))
    found = await bench.freshness()
    assert names(found, "pinned") == {"join"}
    assert names(found, "stale") == {"left"}
    answer = await bench.chain("if", run_upstream="stale")
    assert answer["ran_upstream"] == []  # nothing is asked for behind a pin
    assert answer["used"][0]["origin"] == "pin"
    assert answer["used"][0]["freshness"] == "pinned"


async def test_a_branch_that_turns_takes_the_other_with_it(bench):
    await run_all(bench)
    await bench.save(changed(WORKFLOW, "if", value="12"))
    await bench.chain("if")
    why = await bench.why()
    assert why["yes"] == "node if left by the port no"
    assert why["no"] == "it has not been run"
    answer = await bench.chain("end", run_upstream="stale")
    assert answer["ran_upstream"] == ["no", "meet", "write", "read"]
    assert answer["output"]["a"] == "never"


async def test_a_join_whose_missing_branch_hangs_on_something_stale(bench):
    await run_all(bench)
    other = changed(WORKFLOW, "if", value="12")
    only_no = {**other, "edges": [e for e in other["edges"] if e["id"] != "yes-meet"]}
    only_no["edges"].append(edge("right", "meet"))
    await bench.save({**only_no, "nodes": WORKFLOW["nodes"]})
    await bench.chain("meet")
    assert (await bench.freshness())["meet"] == "fresh"
    assert (await bench.freshness(only_no))["meet"] == "stale"


async def test_conditions_decide_about_a_branch_in_the_child(bench):
    nodes = [
        node("source", "counter", stop=1),
        node("small", "debug"),
        node("big", "debug"),
        node("meet", "debug"),
    ]
    edges = [
        edge("source", "small", condition="data.value < 10"),
        edge("source", "big", condition="data.value >= 10"),
        edge("small", "meet"),
        edge("big", "meet"),
    ]
    body = {"workflow": {"name": "Conditions", "nodes": nodes, "edges": edges}}
    status, answer = await bench.run("meet", **body, run_upstream="stale", session="conditions")
    assert (status, answer["ran_upstream"]) == (200, ["source", "small"])
    status, answer = await bench.run("big", **body, session="conditions")
    assert (status, answer["error"]["code"]) == (409, "not_reached")


async def test_a_cycle_waits_for_nothing_behind_it(bench):
    nodes = [
        node("source", "counter", stop=1),
        node("step", "debug"),
        node("again", "if-condition", field="value", operator="equals", value="9"),
        node("end", "debug"),
    ]
    edges = [
        edge("source", "step"),
        edge("step", "again"),
        edge("again", "step", sourceHandle="yes"),
        edge("again", "end", sourceHandle="no"),
    ]
    body = {"workflow": {"name": "Cycle", "nodes": nodes, "edges": edges}, "session": "cycle"}
    status, answer = await bench.run("end", **body, run_upstream="stale")
    assert (status, answer["ran_upstream"]) == (200, ["source", "step", "again"])


async def test_a_producer_goes_on_from_a_cursor_of_its_own(bench):
    values = [(await bench.chain("source"))["output"]["value"] for _ in range(2)]
    done = [await bench.chain("source") for _ in range(2)][-1]
    assert values == [0, 1]
    assert (done["completed"], done["output"]) == (True, None)
    await bench.save(changed(WORKFLOW, "source", stop=9))
    assert (await bench.chain("source"))["output"]["value"] == 0  # other settings begin anew
    await bench.pin("source", {"value": 70})
    assert (await bench.chain("source"))["output"]["value"] == 1  # a pin lets the cursor stay
    await bench.ok("delete", "/dev/cache/bench/source")
    assert (await bench.chain("source"))["output"]["value"] == 0


async def test_a_node_with_a_state_goes_on_from_it(bench):
    nodes = [node("source", "counter", stop=9), node("two", "batch", size=2)]
    body = {"workflow": {"name": "B", "nodes": nodes, "edges": [edge("source", "two")]}}
    answers = [(await bench.run("two", **body, input={"n": n}))[1] for n in (1, 2)]
    assert answers[0]["output"] is None
    assert answers[1]["output"] == {"items": [{"n": 1}, {"n": 2}], "count": 2}


async def test_what_was_made_from_a_sent_input_is_stale(bench):
    await bench.chain("source", "left")
    await bench.chain("left", input={"value": 8})
    assert (await bench.why())["left"] == "it was run with an input that was sent"
    answer = await bench.chain("right", input={"value": 8})
    assert [(u["node_id"], u["origin"]) for u in answer["used"]] == [(None, "sent")]


async def test_a_reader_that_looked_into_the_queue_is_fresh_until_a_writer_gives(
    bench, shared_store
):
    item = seal(NodeOutput("x:1:1", {"both": "7"}), activation=1, version=1, born=1.0)
    await shared_store.queue.put("bench", "queue_write_read", item)
    answer = await bench.chain("read")
    assert [(u["node_id"], u["origin"]) for u in answer["used"]] == [(None, "queue")]
    await bench.chain("end")
    found = await bench.freshness()
    assert (found["read"], found["end"]) == ("fresh", "fresh")
    await bench.chain("write", input={"both": "8"})
    found = await bench.freshness()
    assert (found["read"], found["end"]) == ("stale", "stale")


async def test_used_names_what_was_used_and_how_good_it_is(bench):
    await run_all(bench)
    await bench.save(changed(WORKFLOW, "left", fields={"left": "2"}))
    answer = await bench.chain("join")
    assert [(u["node_id"], u["origin"], u["freshness"], u["port"]) for u in answer["used"]] == [
        ("left", "run", "stale", "default"),
        ("right", "run", "fresh", "default"),
    ]
    assert answer["session"].startswith("user-")


async def test_the_overview_has_what_is_known_of_each(bench):
    await bench.chain("source")
    rows = await bench.overview()
    assert rows["source"]["bytes"] == len('{"value":0}')
    assert rows["source"]["at"] > 0
    assert (rows["source"]["origin"], rows["source"]["given"]) == ("run", None)
    assert (rows["left"]["at"], rows["left"]["port"]) == (None, None)


async def test_what_is_remembered_ends(bench, settings):
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "BENCH_TTL": 0.5}
    await bench.chain("source")

    async def gone():
        return (await bench.cached("source"))["freshness"] == "missing"

    await until(gone)


async def test_an_output_that_is_too_large_says_so(bench):
    names = ["once", "twice", "again"]
    nodes = [node(name, "parse-json", field="line", target=name) for name in names]
    edges = [edge("source", "once"), edge("once", "twice"), edge("twice", "again")]
    flow = {"name": "Big", "nodes": [node("source", "counter", stop=1), *nodes], "edges": edges}
    body = {"workflow": flow, "workflow_id": "bench"}
    small, big = ({"line": f'{{"more": "{text}"}}'} for text in ("small", "x" * 1_900_000))
    assert (await bench.run("once", **body, input=small))[0] == 200
    assert (await bench.run("again", **body, run_upstream="missing"))[0] == 200
    assert (await bench.run("once", **body, input=big))[0] == 200
    assert (await bench.run("twice", **body))[0] == 200
    status, answer = await bench.run("again", **body)
    assert (status, answer["error"]["code"]) == (413, "too_large")
    message = answer["error"]["message"]
    assert "again" in message and "6291456" in message and "76000" in message
    await sync_to_async(workflows.save)(SYSTEM, "bench", flow)
    found = await bench.cached("again")
    assert found["output"]["again"] == {"more": "small"}  # what is too large replaces nothing


async def test_many_looks_at_once(bench):
    await run_all(bench)
    found = await asyncio.gather(*(bench.freshness() for _ in range(20)))
    assert all(one == found[0] for one in found)
