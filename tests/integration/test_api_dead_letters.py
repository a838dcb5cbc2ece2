"""`/dead-letters/`: the list, one letter, editing and discarding it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import DeadLetter
from tests.integration.letters import letter

pytestmark = pytest.mark.django_db


@pytest.fixture
def letters():
    now = timezone.now()
    return [
        letter("a", node_id="1", message="no price for A-1", dead_at=now),
        letter("a", reason="timeout", status="discarded", dead_at=now + timedelta(hours=1)),
        letter("b", node_id="1", version=2, dead_at=now + timedelta(hours=2)),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("?workflow_id=a", [1, 0]),
        ("?workflow_id=a&node_id=1", [0]),
        ("?reason=max_attempts", [2, 0]),
        ("?error_type=KeyError", []),
        ("?loop=1&activation=1", [2, 1, 0]),
        ("?status=dead", [2, 0]),
        ("?version=2", [2]),
        ("?search=PRICE", [0]),
        ("?limit=1", [2]),
        ("?limit=1&offset=2", [0]),
        ("?workflow_id=nothing", []),
    ],
)
def test_the_list_is_filtered(api, letters, query, expected):
    body = api("viewer").get(f"/dead-letters/{query}").json()
    assert [row["id"] for row in body["results"]] == [letters[i].pk for i in expected]


def test_the_list_is_filtered_by_time_and_item(api, letters):
    client = api("viewer")
    for query, expected in [
        ({"since": letters[1].dead_at.isoformat()}, [2, 1]),
        ({"until": letters[1].dead_at.isoformat()}, [1, 0]),
        ({"search": letters[2].item_id}, [2]),
    ]:
        body = client.get("/dead-letters/", query).json()
        assert [row["id"] for row in body["results"]] == [letters[i].pk for i in expected]


@pytest.mark.parametrize("field", ["status", "since", "until", "version", "activation"])
def test_a_filter_that_means_nothing_is_refused(api, field):
    answer = api("viewer").get(f"/dead-letters/?{field}=nonsense")
    assert answer.status_code == 400
    assert [detail["path"] for detail in answer.json()["error"]["details"]] == [field]


def test_payloads_and_traces_are_in_the_detail_only(api, letters):
    client = api("viewer")
    row = client.get("/dead-letters/").json()["results"][0]
    assert not {"item", "trace", "node_input", "attempts", "headers"} & set(row)
    detail = client.get(f"/dead-letters/{row['id']}/").json()
    assert detail["item"] == letters[2].item and detail["node_input"] == letters[2].node_input
    assert detail["trace"] and detail["headers"] == {"trace": "abc"} and detail["attempts"] == []
    assert (detail["status"], detail["edited"], detail["replayed_by"]) == ("dead", None, None)


@pytest.mark.parametrize("number", ["999", "999999999999999"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("patch", ""), ("post", "replay"), ("post", "discard")],
)
def test_what_is_not_there(api, method, path, number):
    answer = getattr(api("operator"), method)(f"/dead-letters/{number}/{path}", {})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_a_list_costs_two_queries_however_long(api, letters, django_assert_max_num_queries):
    client = api("viewer")
    with django_assert_max_num_queries(6):  # token, its last use, groups, rows, count
        client.get("/dead-letters/")


# Editing


def test_an_edit_is_kept_beside_the_original(api, letters):
    client, path = api("operator"), f"/dead-letters/{letters[0].pk}/"
    assert client.patch(path, {"item": {"value": 7}}).status_code == 200
    answer = client.patch(path, {"node_input": {"value": 8}, "note": "a zero too many"})
    detail = answer.json()
    assert detail["edited"] == {"item": {"value": 7}, "node_input": {"value": 8}}
    assert detail["item"] == letters[0].item and detail["note"] == "a zero too many"
    assert client.patch(path, {"item": None}).json()["edited"] == {"node_input": {"value": 8}}
    assert client.patch(path, {"node_input": None}).json()["edited"] is None
    assert client.get(path).json()["note"] == "a zero too many"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"item": [1]}', "item"),
        ('{"item": "text"}', "item"),
        ('{"node_input": 7}', "node_input"),
        ('{"note": {"a": 1}}', "note"),
        ('{"status": "dead"}', "status"),
        ('{"items": {}}', "items"),
        ('{"item": {"a": "\\u0000"}}', "item.a"),
        ('{"item": {"a": "\\ud800"}}', "item.a"),
        ('{"item": {"a": 9007199254740993}}', "item.a"),
        ('{"item": NaN}', ""),
        ('{"item": {"a": 1, "a": 2}}', ""),
        ('{"item": ' + '{"a":' * 70 + "1" + "}" * 71, ""),
        ("[1]", ""),
        ('"text"', ""),
        ("", ""),
    ],
)
def test_an_edit_that_cannot_be_used_is_refused(api, letters, body, path):
    client = api("operator")
    answer = client.generic(
        "PATCH", f"/dead-letters/{letters[0].pk}/", body, content_type="application/json"
    )
    if body == "":  # nothing to change is no fault
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == 400, answer.content
    details = answer.json()["error"]["details"]
    assert path in [detail["path"] for detail in details] if path else True
    assert DeadLetter.objects.get(pk=letters[0].pk).edited is None


def test_an_edit_may_be_as_large_as_what_a_queue_takes(api, letters):
    client, path = api("operator"), f"/dead-letters/{letters[0].pk}/"
    room = 256 * 1024 - len('{"a":""}')
    assert client.patch(path, {"item": {"a": "x" * room}}).status_code == 200
    answer = client.patch(path, {"item": {"a": "x" * (room + 1)}})
    assert answer.status_code == 413
    assert answer.json()["error"]["details"][0]["path"] == "item"
    assert len(client.get(path).json()["edited"]["item"]["a"]) == room


@pytest.mark.parametrize("status", ["replaying", "replayed", "discarded"])
def test_only_what_is_dead_can_be_changed(api, status):
    row = letter("a", status=status)
    client, path = api("operator"), f"/dead-letters/{row.pk}/"
    for answer in (
        client.patch(path, {"note": "late"}),
        client.post(f"{path}discard", {}),
        client.post(f"{path}replay", {}),
    ):
        assert answer.status_code == 409
        assert f"dead letter {row.pk}" in answer.json()["error"]["message"]
    row.refresh_from_db()
    assert (row.status, row.note, row.replay_count) == (status, "", 0)


# Discarding


def test_a_letter_is_discarded_once_and_stays(api, letters):
    client, path = api("operator"), f"/dead-letters/{letters[0].pk}/"
    answer = client.post(f"{path}discard", {"note": "no customer"})
    assert answer.status_code == 200
    detail = client.get(path).json()
    assert (detail["status"], detail["note"]) == ("discarded", "no customer")
    assert detail["discarded_by"] == "operator" and detail["discarded_at"]
    assert client.post(f"{path}discard", {}).status_code == 409


def test_many_are_discarded_by_ids_and_by_a_filter(api, letters):
    client = api("operator")
    ids = [letters[0].pk, letters[1].pk, 999]
    answer = client.post("/dead-letters/discard", {"ids": ids})
    assert (answer.status_code, answer.json()) == (
        200,
        {"count": 1, "skipped": 2, "workflows": {}},
    )
    more = [letter("b") for _ in range(3)]
    letter("b", status="replayed")
    answer = client.post(
        "/dead-letters/discard", {"filter": {"workflow_id": "b", "node_id": "2"}, "note": "all"}
    )
    assert answer.json()["count"] == 3
    assert set(DeadLetter.objects.filter(note="all").values_list("pk", flat=True)) == {
        row.pk for row in more
    }
    assert DeadLetter.objects.get(pk=letters[2].pk).status == "dead"


# Requests that mean nothing


@pytest.mark.parametrize("path", ["/dead-letters/discard", "/dead-letters/replay"])
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ""),
        ({"ids": []}, "ids"),
        ({"ids": "all"}, "ids"),
        ({"ids": ["x"]}, "ids"),
        ({"ids": [0]}, "ids"),
        ({"ids": [2**63]}, "ids"),
        ({"ids": [1] * 10_001}, "ids"),
        ({"ids": [1], "filter": {"loop": "1"}}, ""),
        ({"filter": {}}, "filter"),
        ({"filter": []}, "filter"),
        ({"filter": {"workflow": "a"}}, "filter.workflow"),
        ({"filter": {"status": "gone"}}, "filter.status"),
        ({"filter": {"since": "yesterday"}}, "filter.since"),
        ({"ids": [1], "all": True}, "all"),
        ([1], ""),
    ],
)
def test_a_bulk_request_that_means_nothing_is_refused(api, letters, path, body, where):
    answer = api("operator").post(path, body)
    assert answer.status_code == 400, answer.content
    found = [detail["path"] for detail in answer.json()["error"]["details"]]
    assert any(name.startswith(where) for name in found), found
    assert DeadLetter.objects.filter(status="dead").count() == 2


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"from": "end"}, "from"),
        ({"from": 7}, "from"),
        ({"origin": "start"}, "origin"),
        ({"ids": [1], "per_second": 0}, "per_second"),
        ({"ids": [1], "per_second": 10**9}, "per_second"),
        ({"ids": [1], "per_second": "fast"}, "per_second"),
    ],
)
def test_a_replay_that_means_nothing_is_refused(api, letters, body, where):
    bulk = "ids" in body
    path = "/dead-letters/replay" if bulk else f"/dead-letters/{letters[0].pk}/replay"
    answer = api("operator").post(path, body)
    assert answer.status_code == 400
    assert [detail["path"] for detail in answer.json()["error"]["details"]] == [where]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("patch", "/dead-letters/{}/"),
        ("post", "/dead-letters/{}/replay"),
        ("post", "/dead-letters/{}/discard"),
        ("post", "/dead-letters/replay"),
        ("post", "/dead-letters/discard"),
    ],
)
@pytest.mark.parametrize(
    ("role", "allowed"),
    [(None, False), ("viewer", False), ("operator", True), ("editor", True), ("admin", True)],
)
def test_a_role_decides_who_may_change_letters(api, letters, role, allowed, method, path):
    body = {"filter": {"workflow_id": "nothing"}} if "{}" not in path else {}
    answer = getattr(api(role), method)(path.format(letters[0].pk), body)
    assert (answer.status_code != 403) is allowed
    if not allowed:
        assert DeadLetter.objects.filter(status="dead").count() == 2


def test_the_schema_describes_it(api):
    schema = api("viewer").get("/schema/?format=json").json()
    paths = schema["paths"]
    replay = paths["/dead-letters/{dead_letter_id}/replay/"]["post"]
    assert "202" in replay["responses"] and "409" in replay["responses"]
    body = schema["components"]["schemas"]["ReplayRequest"]["properties"]
    assert set(body) == {"from"}
    assert {"/dead-letters/replay/", "/dead-letters/discard/"} <= set(paths)
