"""Bulk replay: one UPDATE for a workflow, each letter with its own time."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.models import DeadLetter
from orchestrator.services import dead_letters_bulk
from tests.integration.letters import letter, on_store, pump, started, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("live_redis")]


@pytest.fixture
def workflow(hello_loops, live_redis):
    on_store(lambda queue: queue.forget("hello-loops"))
    return started(hello_loops)


def replay(client, **body):
    return client.post("/dead-letters/replay", body)


def test_each_letter_gets_its_own_time(api, workflow):
    rows = [letter(workflow) for _ in range(5)]
    before = timezone.now() - timedelta(seconds=1)
    answer = replay(api("operator"), filter={"workflow_id": "hello-loops"}, per_second=2)
    assert answer.status_code == 202
    assert answer.json() == {
        "count": 5,
        "skipped": 0,
        "workflows": {"hello-loops": "starting"},
    }
    found = list(DeadLetter.objects.order_by("pk"))
    assert [row.pk for row in found] == [row.pk for row in rows]
    times = [row.replay_at for row in found]
    assert {b - a for a, b in pairwise(times)} == {timedelta(seconds=0.5)}
    assert before < times[0] < timezone.now() + timedelta(seconds=1)
    assert {(row.status, row.replay_count, row.replay_from) for row in found} == {
        ("replaying", 1, "start")
    }
    assert {row.replayed_by.username for row in found} == {"operator"}


def test_only_what_is_due_is_sent(api, workflow):
    rows = [letter(workflow) for _ in range(3)]
    replay(api("operator"), ids=[row.pk for row in rows], per_second=0.1, **{"from": "node"})
    assert pump() == 1
    [envelope] = waiting("hello-loops")
    assert (envelope.item.id, envelope.entry_node) == (rows[0].item_id, "2")
    DeadLetter.objects.filter(status="replaying").update(replay_at=Now())
    assert pump() == 2
    assert [e.item.id for e in waiting("hello-loops")] == [row.item_id for row in rows]


def test_what_was_asked_for_twice_is_sent_once(api, workflow):
    rows = [letter(workflow) for _ in range(3)]
    client = api("operator")
    ids = [row.pk for row in rows]
    assert replay(client, ids=ids, per_second=10_000).json()["count"] == 3
    again = replay(client, ids=ids, per_second=10_000).json()
    assert (again["count"], again["skipped"]) == (0, 3)
    while DeadLetter.objects.filter(status="replaying").exists():
        pump()
    assert len(waiting("hello-loops")) == 3


def test_letters_without_a_place_are_left_and_counted(api, workflow):
    sound = letter(workflow)
    others = [
        letter(workflow, loop="77"),
        letter(workflow, node_id="88"),
        letter(workflow, node_id="4"),
        letter("unknown"),
    ]
    client = api("operator")
    ids = [row.pk for row in (sound, *others)]
    answer = replay(client, ids=ids, **{"from": "node"}).json()
    assert (answer["count"], answer["skipped"]) == (1, 4)
    assert list(DeadLetter.objects.exclude(status="dead")) == [sound]
    answer = replay(client, ids=ids, **{"from": "start"}).json()
    assert (answer["count"], answer["skipped"]) == (2, 3)


def test_too_many_at_once_are_refused(api, workflow, monkeypatch):
    monkeypatch.setattr(dead_letters_bulk, "MAX_LETTERS", 2)
    for _ in range(3):
        letter(workflow)
    for path in ("replay", "discard"):
        answer = api("operator").post(f"/dead-letters/{path}", {"filter": {"loop": "1"}})
        assert answer.status_code == 400
        assert "at most 2 at once" in answer.json()["error"]["message"]
    assert not DeadLetter.objects.exclude(status="dead").exists()


def test_the_number_of_statements_does_not_grow(api, workflow, django_assert_max_num_queries):
    for _ in range(300):
        letter(workflow)
    client = api("operator")
    with django_assert_max_num_queries(16):
        assert replay(client, filter={"loop": "1"}).json()["count"] == 300


def test_what_is_done_in_parts_goes_on_where_the_part_before_ended(api, workflow, monkeypatch):
    monkeypatch.setattr(dead_letters_bulk, "PART", 2)
    for _ in range(5):
        letter(workflow)
    assert replay(api("operator"), filter={"loop": "1"}, per_second=1).json()["count"] == 5
    times = DeadLetter.objects.order_by("pk").values_list("replay_at", flat=True)
    assert all(b - a >= timedelta(seconds=1) for a, b in pairwise(times))
    DeadLetter.objects.update(status="dead")
    answer = api("operator").post("/dead-letters/discard", {"filter": {"loop": "1"}})
    assert answer.json()["count"] == 5
