"""`/queues/`: what it says is what the store holds."""

import logging
import time
from urllib.parse import quote

import orjson
import pytest

from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from orchestrator.models import Workflow, WorkflowVersion
from orchestrator.runtime.queue_watch import QUEUES
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, queue_views, workflows
from orchestrator.services.stores import with_store
from storage.records import Commit, Lease, inbox

pytestmark = pytest.mark.django_db

Q = "queue_2_3"
ONE = f"/queues/hello-loops/{Q}/"
ITEMS = f"{ONE}items/"
PURGE = f"{ONE}purge/"
READER = Lease(workflow="hello-loops", loop="3", slot=0, token=1)
MIB = 1024 * 1024


@pytest.fixture
def stored(live_redis, hello_loops):
    """The two loops, with an empty queue that may hold four entries."""
    hello_loops["nodes"][1]["data"] = {"config": {"max_length": 4, "overflow": "drop_oldest"}}
    with_store(lambda store: store.queue.forget("hello-loops"))
    return workflows.create(SYSTEM, hello_loops)


def put(*bodies, queue=Q):
    async def work(store):
        for body in bodies:
            await store.queue.put("hello-loops", queue, body)

    with_store(work)


def take(count, lease=READER):
    """Let the reader's slot have entries in hand."""

    async def work(store):
        await store.queue.begin(lease, 1)
        return await store.queue.read(lease, [Q], count, 0)

    return with_store(work)


def sealed(number, **more):
    item = NodeOutput(f"1:1:{number}", {"value": number}, {"trace": "t"})
    return seal(item, **{"activation": 1, "version": 1, "born": 1.0, **more})


def latest(body):
    with_store(lambda store: store.feed.publish("hello-loops", {QUEUES: body}, []))


# The list


def test_the_list_has_every_queue_and_inbox(api, stored):
    body = api("viewer").get("/queues/").json()
    assert [(row["name"], row["kind"]) for row in body["results"]] == [
        (Q, "queue"),
        ("!inbox:1", "inbox"),
        ("!inbox:3", "inbox"),
    ]
    assert (body["count"], body["limit"], body["offset"]) == (3, 50, 0)
    assert body["broken"] == []
    assert body["results"][0] == {
        "workflow_id": "hello-loops",
        "name": Q,
        "kind": "queue",
        "writers": [
            {
                "loop": "1",
                "node": "2",
                "max_length": 4,
                "max_bytes": 256 * MIB,
                "overflow": "drop_oldest",
            }
        ],
        "readers": ["3"],
        "depth": 0,
        "bytes": 0,
        "oldest_age": None,
        "in_per_second": None,
        "out_per_second": None,
        "dropped": 0,
        "in_hand": {},
        "delayed": None,
        "max_length": 4,
        "max_bytes": 256 * MIB,
        "overflow": "drop_oldest",
        "fill": 0,
    }


def test_a_queue_tells_what_it_holds(api, stored):
    put(b"12345", b"6", b"7")
    take(2)
    row = api("viewer").get(ONE).json()
    assert (row["depth"], row["bytes"], row["in_hand"]) == (3, 7, {"0": 2})
    assert row["fill"] == 0.75
    assert 0 <= row["oldest_age"] < 3600


def test_an_inbox_tells_what_waits_and_what_is_delayed(api, stored):
    put(b"1", queue=inbox("3"))

    async def delay(store):
        await store.queue.begin(READER, 1)
        delayed = [(3600.0, b"2"), (3600.0, b"3")]
        commit = Commit(number=1, sequence=1, activation=1, delayed=delayed)
        return await store.queue.commit(READER, commit)

    with_store(delay)
    row = api("viewer").get(f"/queues/hello-loops/{quote(inbox('3'), safe='')}/").json()
    assert (row["name"], row["kind"]) == ("!inbox:3", "inbox")
    assert (row["depth"], row["delayed"], row["readers"]) == (1, 2, ["3"])
    assert (row["writers"], row["max_length"], row["fill"]) == ([], None, None)


@pytest.mark.parametrize(
    ("query", "names", "count"),
    [
        ("?workflow_id=hello-loops", [Q, "!inbox:1", "!inbox:3"], 3),
        ("?workflow_id=other", [], 0),
        ("?kind=queue", [Q], 1),
        ("?kind=inbox", ["!inbox:1", "!inbox:3"], 2),
        ("?limit=1&offset=1", ["!inbox:1"], 3),
    ],
)
def test_the_list_is_filtered_and_cut(api, stored, query, names, count):
    body = api("viewer").get(f"/queues/{query}").json()
    assert [row["name"] for row in body["results"]] == names
    assert body["count"] == count


@pytest.mark.parametrize("query", ["?kind=other", "?limit=0", "?limit=999", "?workflow_id=a/b"])
def test_what_cannot_be_listed(api, stored, query):
    assert api("viewer").get(f"/queues/{query}").status_code == 400


def named(workflow, queue):
    for node in workflow["nodes"]:
        if node["type"].startswith("queue-"):
            node["data"] = {"config": {"queue_name": queue}}
    return workflow


def queues_of(client):
    rows = client.get("/queues/?kind=queue").json()["results"]
    return [row["name"] for row in rows]


def test_the_active_version_counts_and_else_the_newest(api, stored, hello_loops):
    client = api("viewer")
    workflows.save(SYSTEM, "hello-loops", named(hello_loops, "renamed"))
    assert queues_of(client) == ["renamed"]
    production.start(SYSTEM, "hello-loops", number=1)
    assert queues_of(client) == [Q]


def test_a_workflow_that_cannot_be_loaded_is_named_beside_the_others(api, stored, hello_loops):
    hello_loops["nodes"][0]["type"] = "gone"
    other = Workflow.objects.create(pk="a", name="a")
    WorkflowVersion.objects.create(workflow=other, number=1, digest="d", definition=hello_loops)
    body = api("viewer").get("/queues/?kind=queue").json()
    assert [row["name"] for row in body["results"]] == [Q]
    assert [broken["workflow_id"] for broken in body["broken"]] == ["a"]


def test_the_list_costs_a_few_queries_however_long(
    api, stored, hello_loops, django_assert_max_num_queries
):
    for _ in range(5):
        workflows.create(SYSTEM, hello_loops)
    client = api("viewer")
    client.get("/queues/")
    with django_assert_max_num_queries(4):  # token, its last use, groups, versions
        assert client.get("/queues/").json()["count"] == 18


# Rates


def test_rates_are_those_that_a_runner_has_sampled_just_now(api, stored):
    rates = {"in_per_second": 20.5, "out_per_second": 3.0}
    sample = {"at": time.time(), "queues": {Q: rates}}
    latest(orjson.dumps(sample))
    row = api("viewer").get(ONE).json()
    assert {name: row[name] for name in rates} == rates
    latest(orjson.dumps({**sample, "at": sample["at"] - queue_views.RATES_LAST}))
    row = api("viewer").get(ONE).json()
    assert row["in_per_second"] is None and row["out_per_second"] is None


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"at": null}', b'{"at": 1e12, "queues": 7}'])
def test_a_sample_that_cannot_be_read_is_none(api, stored, body):
    latest(body)
    answer = api("viewer").get(ONE)
    assert answer.status_code == 200 and answer.json()["in_per_second"] is None


def test_a_sample_is_no_slot_of_the_status(api, stored):
    client = api("viewer")
    before = client.get("/prod/status/hello-loops").json()
    latest(orjson.dumps({"at": 1.0, "queues": {}}))
    assert client.get("/prod/status/hello-loops").json() == before


# Looking inside


def test_items_are_shown_and_stay_where_they_are(api, stored):
    bodies = [sealed(1), sealed(2), sealed(3)]
    put(*bodies)
    take(1)
    client = api("viewer")
    body = client.get(f"{ITEMS}?count=2").json()
    assert (body["workflow_id"], body["name"]) == ("hello-loops", Q)
    first, second = body["results"]
    assert (first["deliveries"], second["deliveries"]) == (1, 0)
    assert second["item_id"] == "1:1:2" and second["data"] == {"value": 2}
    assert second["headers"] == {"trace": "t"} and second["size"] == len(bodies[1])
    assert (second["activation"], second["version"], second["entry_node"]) == (1, 1, None)
    assert 0 <= second["age"] < 3600 < second["born_age"]
    assert (second["omitted"], second["unreadable"], second["text"]) == (False, None, None)
    assert client.get(f"{ITEMS}?count=2").json()["results"][0]["deliveries"] == 1
    assert client.get(ONE).json()["depth"] == 3


def test_an_item_on_its_way_back_tells_of_its_attempts(api, stored):
    start = NodeOutput("1:1:1", {"value": 0})
    attempt = {"n": 1, "error_type": "ValueError"}
    body = sealed(1, entry_node="4", start=start, attempts=[attempt], origin=7)
    put(body, queue=inbox("3"))
    path = f"/queues/hello-loops/{quote(inbox('3'), safe='')}/items"
    [item] = api("viewer").get(path).json()["results"]
    assert item["attempts"] == [attempt] and item["origin"] == 7
    assert item["entry_node"] == "4" and item["start"] == {"value": 0}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"not json", "not json"),
        (b"\xff\x00", "\ufffd\x00"),
        (b'{"v": 99}', '{"v": 99}'),
        (b"x" * 5000, "x" * queue_views.MAX_TEXT),
    ],
)
def test_what_is_no_item_is_shown_as_text(api, stored, body, text):
    put(body)
    [item] = api("viewer").get(ITEMS).json()["results"]
    assert item["text"] == text and item["unreadable"]
    assert item["data"] is None and item["size"] == len(body)


def test_an_answer_has_a_size_at_which_contents_are_left_out(api, stored, monkeypatch):
    bodies = [sealed(1), sealed(2)]
    monkeypatch.setattr(queue_views, "MAX_SHOWN", len(bodies[0]) + 10)
    put(*bodies)
    first, second = api("viewer").get(ITEMS).json()["results"]
    assert first["data"] == {"value": 1} and not first["omitted"]
    assert second["omitted"] and second["data"] is None and second["size"] == len(bodies[1])


@pytest.mark.parametrize("count", ["0", "101", "x"])
def test_a_count_has_its_limits(api, stored, count):
    assert api("viewer").get(f"{ITEMS}?count={count}").status_code == 400


def test_ten_are_shown_unless_more_are_asked_for(api, stored):
    put(*(sealed(n) for n in range(12)))
    client = api("viewer")
    assert len(client.get(ITEMS).json()["results"]) == 10
    assert len(client.get(f"{ITEMS}?count=100").json()["results"]) == 12


# Purging


def test_a_purge_removes_what_nobody_has_in_hand(api, stored):
    put(sealed(1), sealed(2), sealed(3))
    take(1)
    client = api("operator")
    answer = client.post(PURGE, {"confirm": Q})
    assert answer.status_code == 200
    assert answer.json() == {"workflow_id": "hello-loops", "name": Q, "removed": 2}
    [left] = client.get(ITEMS).json()["results"]
    assert left["item_id"] == "1:1:1"


@pytest.mark.parametrize("body", [{"confirm": "queue"}, {"confirm": Q + " "}, {"confirm": ""}, {}])
def test_a_purge_has_to_be_confirmed_with_the_name(api, stored, body):
    put(sealed(1))
    client = api("operator")
    answer = client.post(PURGE, body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_request"
    assert client.get(ONE).json()["depth"] == 1


def test_a_purge_says_in_the_log_who_did_it(api, stored, caplog):
    put(sealed(1))
    with caplog.at_level(logging.WARNING, "orchestrator.services.queues"):
        api("operator").post(PURGE, {"confirm": Q})
    [line] = [record.getMessage() for record in caplog.records if "purged" in record.getMessage()]
    assert line.startswith("audit: operator ") and Q in line and "hello-loops" in line
    assert "1 entries" in line


def test_a_viewer_may_look_and_not_purge(api, stored):
    put(sealed(1))
    client = api("viewer")
    assert client.get(ITEMS).status_code == 200
    assert client.post(PURGE, {"confirm": Q}).status_code == 403
    assert client.get(ONE).json()["depth"] == 1


# What is not there


@pytest.mark.parametrize("path", ["hello-loops/other", f"other/{Q}", "hello-loops/!inbox:2"])
def test_a_queue_that_is_not_there(api, stored, path):
    client = api("operator")
    name = path.partition("/")[2]
    for answer in (
        client.get(f"/queues/{path}/"),
        client.get(f"/queues/{path}/items"),
        client.post(f"/queues/{path}/purge", {"confirm": name}),
    ):
        assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_without_redis(api, hello_loops):
    workflows.create(SYSTEM, hello_loops)
    client = api("operator")
    for answer in (
        client.get("/queues/"),
        client.get(ONE),
        client.get(ITEMS),
        client.post(PURGE, {"confirm": Q}),
    ):
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert answer.json()["error"]["code"] == "store_unavailable"
