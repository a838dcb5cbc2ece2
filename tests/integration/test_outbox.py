"""From the outbox into the database: once, whole, and whatever the records hold."""

import json

import pytest

from orchestrator.models import DeadLetter
from tests.integration.letters import drained, letter, on_store, started

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("live_redis")]

RECORD = {
    "version": 1,
    "activation": 3,
    "loop": "1",
    "slot": 2,
    "token": 9,
    "queue": "orders",
    "node_id": "2",
    "item_id": "1:3:7",
    "idempotency_key": "ab" * 16,
    "reason": "timeout",
    "error_type": "NodeTimeout",
    "message": "too slow",
    "trace": "Traceback",
    "deliveries": 2,
    "attempts": [{"n": 1, "message": "too slow"}],
    "born": 1_700_000_000.5,
    "dead_at": 1_700_000_001.5,
    "item": {"value": 1},
    "headers": {"a": 1},
    "node_input": {"value": 2},
    "node_headers": {"b": 2},
    "entry_node": "2",
    "origin": None,
}


@pytest.fixture(autouse=True)
def workflow(hello_loops, live_redis):
    on_store(lambda queue: queue.forget("hello-loops"))
    return started(hello_loops)


def keep(*records):
    bodies = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
    return drained("hello-loops", *bodies)


def left():
    return on_store(lambda queue: queue.dead("hello-loops", 100))


def test_the_whole_record_is_kept():
    [row] = keep(RECORD)
    renamed = {"born": "born_at", "origin": "origin_id"}
    for name, value in RECORD.items():
        found = getattr(row, renamed.get(name, name))
        assert (found.timestamp() if name in ("born", "dead_at") else found) == value, name
    assert (row.node_type, row.status) == ("queue-writer", "dead")


def test_a_letter_of_a_replay_names_the_letter_that_was_replayed(workflow):
    first = letter(workflow, status="replayed")
    foreign = letter("other")
    keep(*({**RECORD, "origin": o} for o in (first.pk, foreign.pk, 10**9, 2**70, -1, "x", {})))
    found = DeadLetter.objects.filter(entry_id__contains="-", item_id="1:3:7")
    assert [row.origin_id for row in found.order_by("pk")] == [first.pk] + [None] * 6


@pytest.mark.parametrize("twice", [True, False])
def test_draining_twice_keeps_one_row(twice, monkeypatch):
    from storage.redis_queue import RedisQueueStore

    async def lost(self, workflow, ids):
        """The runner dies before it has told the store."""

    with monkeypatch.context() as patched:
        if twice:
            patched.setattr(RedisQueueStore, "forget_dead", lost)
        keep(RECORD)
    keep()
    assert DeadLetter.objects.count() == 1 and left() == []


@pytest.mark.parametrize("value", [None, "", "x" * 1000, -1, 2**31, 2**63, 1e300, True, [1], {}])
def test_nonsense_in_any_field_is_kept_as_far_as_it_goes(value):
    rows = keep(*({**RECORD, name: value} for name in RECORD))
    assert len(rows) == len(RECORD) and left() == []
    assert {row.node_id for row in rows if row.reason == "timeout"} >= {"2"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[1]",
        b"7",
        b"null",
        b'{"a": NaN}',
        b'{"a": "\\u0000"}',
        b"{}",
    ],
)
def test_a_record_that_cannot_be_read_is_a_row_and_holds_up_no_other(body):
    rows = keep(RECORD, body, {**RECORD, "item_id": "1:3:8"})
    assert [row.reason for row in rows] == ["timeout", "invalid_payload", "timeout"]
    assert left() == []


def test_a_row_that_the_database_refuses_is_kept_as_far_as_it_goes(monkeypatch):
    from orchestrator.runtime import dead_records

    whole = dead_records.row

    def refused(*args, **kwargs):
        made = whole(*args, **kwargs)
        if made.item_id == "1:3:8":
            made.deliveries = -1  # against a CHECK, which SQLite ignores together with the row
        return made

    monkeypatch.setattr(dead_records, "row", refused)
    rows = keep(RECORD, {**RECORD, "item_id": "1:3:8"}, {**RECORD, "item_id": "1:3:9"})
    assert sorted(row.item_id for row in rows) == ["", "1:3:7", "1:3:9"]
    bare = next(row for row in rows if not row.item_id)
    assert bare.reason == "invalid_payload" and "1:3:8" in bare.item["raw"]
    assert left() == []
