"""`/dead-letters/groups`: dead letters of the same error, and what is done with all of them."""

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from orchestrator.models import DeadLetter
from orchestrator.runtime.dead_groups import shape
from tests.integration.letters import drained, letter

pytestmark = pytest.mark.django_db


def groups(client, **query):
    answer = client.get("/dead-letters/groups/", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no price for A-1", "no price for B-22"),
        ("order 17 (of 3.5) at 2026-11-21T10:00:00", "order 99 (of 0) at 2027-01-02T11:22:33"),
        ("cannot read\nline 1", "cannot read\nline 2 of the same"),
        ("  boom", "boom"),
    ],
)
def test_messages_of_one_shape(one, other):
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no field 'price'", "no field 'count'"),
        ("HTTP 404", "HTTP 503"),
        ("no price", "no prices"),
        ("", "boom"),
    ],
)
def test_messages_of_different_shape(one, other):
    assert shape(one) != shape(other)


def test_letters_from_before_there_were_groups_get_theirs():
    migration = import_module("orchestrator.migrations.0006_dead_letter_groups")
    rows = [letter("a", message=message) for message in ("no price for A-1", "HTTP 503", "ü\n2")]
    wanted = {row.pk: row.fingerprint for row in rows}
    DeadLetter.objects.update(fingerprint="")
    migration.give_fingerprints(apps, SimpleNamespace(connection=connection))
    assert dict(DeadLetter.objects.values_list("pk", "fingerprint")) == wanted


def test_a_long_message_has_a_shape_at_once():
    assert len(shape("boom " * 1_000_000)) <= 1000


def test_letters_are_grouped_by_error(api):
    now = timezone.now()
    letter("a", message="no price for A-1", dead_at=now)
    last = letter("a", message="no price for A-2", dead_at=now + timedelta(minutes=5))
    letter("a", message="no price for A-3", node_id="3", dead_at=now + timedelta(hours=1))
    letter("b", message="no price for A-4", dead_at=now + timedelta(hours=2))
    letter("a", message="no price for A-5", error_type="KeyError", dead_at=now)
    letter("a", message="no price for A-6", status="discarded", dead_at=now)
    body = groups(api("viewer"), status="dead")
    told = ("workflow_id", "node_id", "error_type", "count")
    found = [[group[name] for name in told] for group in body["results"]]
    assert found == [
        ["b", "2", "ValueError", 1],
        ["a", "3", "ValueError", 1],
        ["a", "2", "ValueError", 2],
        ["a", "2", "KeyError", 1],
    ]
    assert body["statuses"] == {"dead": 5, "replaying": 0, "replayed": 0, "discarded": 1}
    assert body["count"] == 4
    group = body["results"][2]
    assert (group["message"], group["newest"]) == ("no price for A-2", last.pk)
    assert group["first_at"] < group["last_at"]


def test_groups_are_filtered_and_paged(api):
    for node in ("1", "2", "3"):
        letter("a", node_id=node)
    letter("b", reason="timeout")
    client = api("viewer")
    assert groups(client, workflow_id="b")["count"] == 1
    assert groups(client, reason="timeout")["results"][0]["workflow_id"] == "b"
    second = groups(client, workflow_id="a", limit=1, offset=1)
    assert (second["count"], [g["node_id"] for g in second["results"]]) == (3, ["2"])
    assert groups(client, workflow_id="nothing")["results"] == []


def test_without_letters_there_is_nothing_newest(api):
    assert groups(api("viewer"))["newest"] == 0


def test_a_group_is_a_filter_of_the_list_and_of_what_is_done_in_bulk(api):
    of_one = [letter("a", message=f"no price for A-{n}") for n in range(3)]
    other = letter("a", message="no count")
    client = api("operator")
    group = groups(client, search="price")["results"][0]["fingerprint"]
    rows = client.get("/dead-letters/", {"fingerprint": group}).json()["results"]
    assert {row["id"] for row in rows} == {row.pk for row in of_one}
    answer = client.post("/dead-letters/discard", {"filter": {"fingerprint": group}})
    assert answer.json()["count"] == 3
    assert list(DeadLetter.objects.filter(status="dead")) == [other]


def test_what_came_after_somebody_looked_is_left_alone(api):
    letter("a")
    client = api("operator")
    seen = groups(client)
    late = letter("a")
    wanted = {"fingerprint": seen["results"][0]["fingerprint"], "max_id": seen["newest"]}
    assert client.get("/dead-letters/", wanted).json()["count"] == 1
    assert client.post("/dead-letters/discard", {"filter": wanted}).json()["count"] == 1
    late.refresh_from_db()
    assert late.status == "dead"


def test_what_failed_again_is_found(api):
    first = letter("a")
    again = letter("a", origin=first)
    body = api("viewer").get("/dead-letters/", {"origin": first.pk}).json()
    assert [row["id"] for row in body["results"]] == [again.pk]


@pytest.mark.parametrize("query", ["status=x", "max_id=-1", "limit=0", f"max_id={2**63}"])
def test_a_query_that_means_nothing_is_refused(api, query):
    assert api("viewer").get(f"/dead-letters/groups/?{query}").status_code == 400


def test_somebody_without_a_role_sees_no_groups(api):
    assert api(None).get("/dead-letters/groups/").status_code == 403


@pytest.mark.usefixtures("live_redis")
def test_letters_from_loops_have_their_group(transactional_db):
    letter("a")  # makes the workflow
    bodies = [b'{"node_id": "9", "message": "order %d"}' % n for n in (1, 2)]
    found = {row.fingerprint for row in drained("a", *bodies, b"no record") if row.loop != "1"}
    assert len(found) == 2
    assert "" not in found
