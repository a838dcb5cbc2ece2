"""Taps: what nodes got and gave in production, seen over HTTP."""

import asyncio
import json
import logging
from contextlib import closing
from itertools import pairwise

import pytest
from asgiref.sync import sync_to_async

from orchestrator.exceptions import NotFound
from orchestrator.runtime import taps as publishing
from orchestrator.runtime.server_binary import find_server
from orchestrator.runtime.taps import PUBLISH_BYTES, Taps, read
from orchestrator.security.actors import SYSTEM
from orchestrator.security.redaction import REDACTED
from orchestrator.services import taps, workflows
from storage.datastore import open_store
from tests.deployment import Deployment
from tests.integration.loops import House, counter, edge, line, part, queue, sink
from tests.redis_server import RedisServer
from tests.waiting import eventually

CANARY = "canary-4711"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server):
    """A runner, the web process and a server; `redis_server` only says whether there is one."""
    with closing(Deployment(tmp_path_factory.mktemp("taps"))) as deployed:
        deployed.start_runner()
        yield deployed


@pytest.fixture
def running(deployment):
    """Start workflows and return their ids; they are stopped at the end."""
    started = []

    def start(workflow):
        workflow_id = deployment.create(workflow)
        assert deployment.post("/prod/start", workflow_id).status_code == 202
        started.append(workflow_id)
        return workflow_id

    yield start
    for workflow_id in started:
        deployment.post("/prod/stop", workflow_id, force=True)


@pytest.fixture
def seen(deployment):
    """Return the samples of a node, once there are as many as asked for."""

    def look(workflow_id, node_id, least=1):
        def samples():
            answer = deployment.client.get(f"/dev/taps/{workflow_id}/{node_id}")
            assert answer.status_code == 200, answer.text
            found = answer.json()["samples"]
            return found if len(found) >= least else None

        return eventually(samples)

    return look


def read_file(deployment, name, *rows):
    """Return the node of a loop that reads these rows."""
    files = deployment.folder / "files"
    files.mkdir(exist_ok=True)
    (files / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return part("in", "file-reader", {"path": name, "format": "jsonl"})


def test_every_node_shows_what_it_got_and_gave(running, seen):
    add = {"fields": {"double": "{{ data.value * 2 }}"}}
    nodes = [
        counter(interval=0.02),
        part("add", "data-transformer", add),
        part("fork", "debug"),
        part("odd", "if-condition", {"field": "value", "operator": "equals", "value": 1}),
        part("yes", "debug"),
        part("no", "debug"),
        *queue(),
        part("last", "debug"),
    ]
    ways = ("in add", "add fork", "add odd", "odd:yes yes", "odd:no no", "no w", "w r", "r last")
    workflow = running({"name": "every node", "nodes": nodes, "edges": [*map(edge, ways)]})

    for sample in seen(workflow, "in"):
        assert sample["input"] is None
        assert sample["item_id"] == f"in:1:{sample['output']['value'] + 1}"
        assert (sample["loop"], sample["slot"], sample["node_id"]) == ("in", 0, "in")
        assert (sample["version"], sample["port"], sample["error"]) == (1, None, None)
        assert not sample["redacted"] and not sample["truncated"] and sample["text"] is None
        assert sample["seconds"] > 0
    for sample in seen(workflow, "add"):
        value = sample["input"]["value"]
        assert sample["output"] == {"value": value, "double": value * 2}
    for sample in seen(workflow, "fork"):
        assert sample["input"] == sample["output"]
    for sample in seen(workflow, "odd"):
        assert sample["port"] == ("yes" if sample["input"]["value"] == 1 else "no")
    assert [s["input"] for s in seen(workflow, "yes")] == [{"value": 1, "double": 2}]
    assert all(s["input"]["value"] != 1 for s in seen(workflow, "no"))
    assert seen(workflow, "w")[0]["loop"] == "in"
    for sample in seen(workflow, "r"):
        assert sample["loop"] == "r"
        assert sample["input"] is None
        assert sample["output"]["double"] == sample["output"]["value"] * 2
    assert seen(workflow, "last")[0]["loop"] == "r"


def test_a_ring_keeps_the_newest_and_takes_its_time(running, seen):
    workflow = running(line(counter(), part("pass", "debug"), part("last", "debug")))
    for node in ("in", "pass", "last"):
        found = seen(workflow, node, 5)
        assert len(found) == 5
        taken = [sample["at"] for sample in found]
        assert taken == sorted(taken, reverse=True)
        assert all(later - earlier > 0.4 for later, earlier in pairwise(taken))
        assert len({sample["id"] for sample in found}) == 5
    first = seen(workflow, "pass", 5)[0]

    def later():
        found = seen(workflow, "pass")
        return found if found[0]["at"] > first["at"] + 3 else None

    found = eventually(later)
    assert len(found) == 5
    assert first["id"] not in {sample["id"] for sample in found}


def test_secrets_are_not_kept(deployment, running, seen):
    secret = {"Api-Key": CANARY, "n": 1}
    row = {"user": "ada", "password": CANARY, "deep": [{"rows": [secret, [secret]]}]}
    workflow = running(line(read_file(deployment, "secrets.jsonl", row), part("pass", "debug")))
    hidden = {"Api-Key": REDACTED, "n": 1}
    shown = {"user": "ada", "password": REDACTED, "deep": [{"rows": [hidden, [hidden]]}]}
    [sample] = seen(workflow, "pass")
    assert sample["input"] == sample["output"] == shown
    assert sample["redacted"]
    assert CANARY.encode() not in deployment.redis.ask("GET", f"wo:cache:tap:{workflow}:in/0:pass")


def test_of_what_is_large_there_is_the_beginning(deployment, running, seen):
    row = {"token": CANARY, "user": "ada", "text": "x" * 40_000}
    workflow = running(line(read_file(deployment, "large.jsonl", row), part("pass", "debug")))
    [sample] = seen(workflow, "pass")
    assert sample["truncated"] and sample["redacted"]
    assert sample["input"] is None and sample["output"] is None
    assert sample["text"].startswith(f'input: {{"token":"{REDACTED}","user":"ada","text":"xxx')
    assert len(sample["text"]) < 2200


def test_a_failure_shows_what_the_node_got(running, seen):
    fails = part("fails", "faulty", {"value": 3, "action": "raise"})
    workflow = running(line(counter(1000), fails, part("last", "debug")))
    failed = eventually(lambda: [s for s in seen(workflow, "fails") if s["error"]])
    assert [(s["error"], s["input"], s["output"]) for s in failed] == [
        ("RuntimeError", {"value": 3}, None)
    ]


def test_every_slot_is_shown(running, seen):
    reader = part("r", "queue-reader", queue_name="several", replicas=2)
    writer = part("w", "queue-writer", queue_name="several")
    workflow = running(line(counter(interval=0.001), writer, reader, part("last", "debug")))
    eventually(lambda: {sample["slot"] for sample in seen(workflow, "last")} == {0, 1})
    found = seen(workflow, "last")
    assert {sample["loop"] for sample in found} == {"r"}
    assert [s["at"] for s in found] == sorted((s["at"] for s in found), reverse=True)


@pytest.mark.parametrize("pool", ["thread", "process"])
def test_the_pool_makes_no_difference(running, seen, pool):
    workflow = running(line(counter(3), part("pass", "debug", pool=pool)))
    assert seen(workflow, "pass")[0]["input"] == {"value": 0}


def test_what_is_not_there_is_not_found(deployment, running):
    workflow = running(line(counter(1), part("pass", "debug")))
    for path in (f"{workflow}/nothing", "nothing/pass"):
        answer = deployment.client.get(f"/dev/taps/{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


# In this process


def taps_of(runner, cache):
    return Taps(cache, runner.scope, runner.plan.steps.values())


async def run(house, workflow, cache):
    """Run a loop to its end with its taps open, and return them."""
    runner = house.runner(workflow)
    found = taps_of(runner, cache)
    found.start()
    async with asyncio.timeout(30):
        assert await runner.run() == "completed"
        await found.stop(last=True)
    return found


@pytest.fixture
async def house(tmp_path):
    store = open_store("memory://")
    house = House(store, tmp_path)
    yield house
    await house.close()
    await store.close()


@pytest.mark.usefixtures("redis_server")
@pytest.mark.parametrize("away", ["kill", "pause"])
async def test_a_loop_goes_on_without_a_server_for_its_taps(house, monkeypatch, caplog, away):
    monkeypatch.setattr(publishing, "PERIOD", 0.01)
    server = RedisServer(find_server().path)
    server.start()
    elsewhere = open_store(server.url)
    try:
        await elsewhere.cache.set("k", b"1", 1)
        getattr(server, away)()
        with caplog.at_level(logging.WARNING, "orchestrator.runtime.taps"):
            await run(house, line(counter(20, interval=0.02), sink()), elsewhere.cache)
        assert house.values() == list(range(20))
        assert len(caplog.records) == 1
    finally:
        server.resume()
        await elsewhere.close()
        server.stop()


@pytest.mark.usefixtures("redis_server")
async def test_what_could_not_be_written_is_written_later(house):
    server = RedisServer(find_server().path)
    server.start()
    elsewhere = open_store(server.url)
    try:
        server.kill()
        found = await run(house, line(counter(1), sink()), elsewhere.cache)
        server.start()
        await found.publish()
        assert len(await read(elsewhere.cache, "w", ["in/0"], "sink")) == 1
    finally:
        await elsewhere.close()
        server.stop()


async def test_a_publish_is_bounded_and_every_node_has_its_turn(house):
    @house.node
    async def large(self, item):
        return item.with_data({"text": self.id * 2000})

    nodes = [part(f"n{number:02}", "large") for number in range(60)]
    runner = house.runner(line(counter(1), nodes))
    assert await runner.run() == "completed"
    cache, found = house.store.cache, taps_of(runner, house.store.cache)

    async def shown():
        rings = [await read(cache, "w", ["in/0"], node["id"]) for node in nodes]
        assert all(sample["truncated"] is False for ring in rings for sample in ring)
        return sum(map(bool, rings))

    before = 0
    for _ in range(10):
        await found.publish()
        now = await shown()
        assert now - before <= PUBLISH_BYTES / 10_000
        before = now
    assert before == 60


@pytest.mark.parametrize("data", [{"x": object()}, {"x": float("nan")}, {"x": "\0"}, {5: 1}, None])
async def test_what_is_no_json_is_said_and_hurts_nobody(house, data):
    @house.node
    async def odd(self, item):
        return item.with_data(data)

    await run(house, line(counter(1), part("odd", "odd")), house.store.cache)
    [sample] = await read(house.store.cache, "w", ["in/0"], "odd")
    if data is None:
        assert sample["output"] is None
    else:
        assert sample["truncated"]
        assert sample["text"].startswith('input: {"value":0}\noutput: ')


async def test_what_a_flush_gives_is_shown(house):
    batch = part("batch", "batch", {"size": 10})
    await run(house, line(counter(3), batch, sink()), house.store.cache)
    found = await read(house.store.cache, "w", ["in/0"], "batch")
    assert [s["output"] is not None for s in found] == [True, False]
    assert found[0]["input"] is None


async def test_anything_may_stand_in_the_store(house):
    for body in (b"", b"5", b"{", b"[1]", b'[{"at": "x"}]', b"\xff"):
        await house.store.cache.set("tap:w:in/0:n", body, 10)
        assert await read(house.store.cache, "w", ["in/0"], "n") == []


@pytest.mark.django_db(transaction=True)
async def test_one_sample_by_its_id(shared_store, tmp_path):
    def create():
        return workflows.create(SYSTEM, raw, workflow_id="w")

    raw = line(counter(3), part("a-node", "debug"))
    await sync_to_async(create)()
    house = House(shared_store, tmp_path)
    await shared_store.queue.forget("w")
    await run(house, raw, shared_store.cache)
    [sample] = await sync_to_async(taps.samples)(SYSTEM, "w", "a-node")
    assert await sync_to_async(taps.sample)(SYSTEM, "w", sample["id"]) == sample
    gone = sample["id"][:-1] + "9"
    with pytest.raises(NotFound, match="only the last few of each node are kept"):
        await sync_to_async(taps.sample)(SYSTEM, "w", gone)
    for wrong in ("", "x", "a:b:c", "in/0:a-node:1-x", "::", "a:b:c:d"):
        with pytest.raises(NotFound):
            await sync_to_async(taps.sample)(SYSTEM, "w", wrong)
