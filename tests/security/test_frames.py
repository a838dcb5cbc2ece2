"""S9: what somebody puts into Redis is read as JSON or refused, never executed."""

import base64
import json
import pickle
from itertools import pairwise

import pytest
import redis

from tests.deployment import Deployment
from tests.waiting import eventually


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def frames(canary):
    """Return what is put in the place of an envelope, a value or a state."""
    bomb = _Bomb(canary)
    named = f"touch {canary}"
    return [
        *(pickle.dumps(bomb, protocol) for protocol in range(6)),
        base64.b64encode(pickle.dumps(bomb)),
        b"\xc7\x05\x01abcde",  # an extension type of msgpack
        b"\x81\xa1v\x01",
        f'{{"lc":2,"type":"constructor","id":["os","system"],"kwargs":"{named}"}}'.encode(),
        f'{{"py/object":"os.system","py/reduce":[{{"py/type":"os.system"}},["{named}"]]}}'.encode(),
        f'!!python/object/apply:os.system ["{named}"]'.encode(),
        f'{{"__class__":"os.system","args":["{named}"]}}'.encode(),
        b'{"v":1,"id":"x","born":1,"hdr":{},"body":{"a":1}',
        b'{"v":2,"id":"x","born":1,"hdr":{},"body":{}}',
        b'{"v":1,"id":7,"born":1,"hdr":{},"body":{}}',
        b'{"v":1,"id":"x","born":1,"hdr":[],"body":"x"}',
        b'{"v":1,"id":"x","born":NaN,"hdr":{},"body":{}}',
        b'{"v":1,"id":"x","born":1,"hdr":{},"body":{},"entry_node":{}}',
        b'{"v":1,"id":"x","born":1,"hdr":{},"body":{},"attempts":{},"entry_node":"debug"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe" * 1000,
        b"\0" * 1000,
        b"x" * 3_000_000,
        b"",
        b"null",
    ]


@pytest.fixture(scope="module")
def house(tmp_path_factory, redis_server):
    deployed = Deployment(tmp_path_factory.mktemp("frames"), lease_ttl=30)
    deployed.canary = deployed.folder / "canary"
    deployed.start_runner()
    yield deployed
    deployed.close()
    assert not deployed.canary.exists()


@pytest.fixture
def client(house):
    with redis.Redis.from_url(house.redis.url) as connection:
        yield connection


def started(house, name, *nodes):
    edges = [{"source": a["id"], "target": b["id"]} for a, b in pairwise(nodes)]
    workflow = house.create({"name": name, "nodes": list(nodes), "edges": edges})
    assert house.post("/prod/start", workflow).status_code == 202
    house.wait_for(workflow, "running")
    return workflow


def node(kind, name=None, **form):
    return {"id": name or kind, "type": kind, "data": {"form": form}}


@pytest.mark.parametrize(
    ("name", "queue", "first"),
    [
        ("frames in a queue", "in", node("queue-reader", "read", queue_name="in")),
        ("frames in an inbox", "!inbox:read", node("webhook", "read", path="s9", check="none")),
    ],
)
def test_a_frame_is_a_dead_letter_and_the_loop_goes_on(house, client, section, name, queue, first):
    path = f"{name}.jsonl".replace(" ", "-")
    workflow = started(house, name, first, node("file-writer", "out", path=path))
    hostile = frames(house.canary)
    good = b'{"v":1,"id":"good","born":1,"hdr":{},"body":{"good":true}}'
    for body in (*hostile, good):
        client.xadd(f"wo:{{wf:{workflow}}}:q:{queue}", {"b": body})
    assert eventually(lambda: house.rows(path), 60) == [{"good": True}]
    letters = eventually(lambda: _all(house.dead_letters(workflow), len(hostile)), 60)
    assert {letter["error_type"] for letter in letters} == {"invalid_payload"}
    assert not house.canary.exists()
    section(f"S9 {name}", f"frames {len(hostile)}, dead letters {len(letters)}, executed 0")
    house.post("/prod/stop", workflow)


def _all(letters, count):
    return letters if len(letters) == count else None


def test_a_cache_is_read_as_json(house, client, section):
    workflow = house.create(
        {"name": "Cache", "nodes": [node("counter", "1", stop=5), node("debug", "2", message="x")],
         "edges": [{"source": "1", "target": "2"}]}
    )  # fmt: skip
    request = {"workflow_id": workflow, "node_id": "2"}
    whole = house.client.post("/dev/execute", json={**request, "run_upstream": "missing"})
    assert whole.status_code == 200, whole.text
    keys = list(client.scan_iter("wo:cache:*"))
    assert keys
    statuses = set()
    for body in frames(house.canary):
        for key in keys:
            client.set(key, body)
        for answer in (
            house.client.post("/dev/execute", json=request),
            house.client.get(f"/dev/cache/{workflow}"),
            house.client.get(f"/dev/cache/{workflow}/1"),
            house.client.get(f"/dev/input/{workflow}/2"),
            house.client.get(f"/dev/taps/{workflow}/1"),
        ):
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (body[:60], answer.request.url, answer.text[:300])
    assert not house.canary.exists()
    section("S9 frames in the cache", f"answers {sorted(statuses)}, executed 0")


def test_states_of_loops_are_read_as_json(house, client, section):
    outcomes = {}
    for number, body in enumerate(frames(house.canary)[:12]):
        workflow = started(
            house, f"State {number}", node("counter", "1", interval=1), node("debug", message="x")
        )
        house.post("/prod/stop", workflow)
        house.wait_for(workflow, "stopped")
        slot = f"wo:{{wf:{workflow}}}:slot:1/0"
        fields = [name for name in client.hkeys(slot) if name.startswith(b"node:")]
        client.hset(slot, mapping=dict.fromkeys(fields or [b"node:1"], body))
        house.post("/prod/start", workflow)
        done = eventually(lambda w=workflow: _settled(house.status(w)), 30)
        outcomes[done] = outcomes.get(done, 0) + 1
        house.post("/prod/stop", workflow, force=True)
        assert not house.canary.exists()
    section("S9 frames in states", f"{outcomes}, executed 0")


def _settled(status):
    return status["status"] if status["status"] in ("failed", "degraded", "running") else None


def test_a_checkpoint_is_refused_unless_it_is_whole(house, client):
    """The database's copy of a state has a checksum; another value is not restored."""
    workflow = started(
        house, "Checkpoint", node("counter", "1", interval=1), node("debug", message="x")
    )
    found = "SELECT id FROM orchestrator_checkpoint WHERE workflow_id = ?"
    eventually(lambda: house.database.rows(found, workflow), 40)
    house.post("/prod/stop", workflow)
    house.wait_for(workflow, "stopped")
    hostile = base64.b64encode(pickle.dumps(_Bomb(house.canary))).decode()
    house.database.rows(
        "UPDATE orchestrator_checkpoint SET states = ? WHERE workflow_id = ?",
        json.dumps({"1": hostile}),
        workflow,
    )
    for key in client.scan_iter(f"wo:{{wf:{workflow}}}:*"):
        client.delete(key)
    house.post("/prod/start", workflow)
    eventually(lambda: _settled(house.status(workflow)), 30)
    assert not house.canary.exists()
    house.post("/prod/stop", workflow, force=True)
