"""`/dead-letters/`."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import DeadLetter, Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def letters():
    rows = []
    for workflow_id, node, reason in [
        ("a", "1", "max_attempts"),
        ("a", "2", "timeout"),
        ("b", "1", "max_attempts"),
    ]:
        workflow, _ = Workflow.objects.get_or_create(pk=workflow_id, name=workflow_id)
        rows.append(
            DeadLetter.objects.create(
                workflow=workflow,
                entry_id=f"{len(rows)}-0",
                version=1,
                activation=1,
                loop="1",
                node_id=node,
                node_type="tool",
                item_id=f"1:1:{len(rows)}",
                reason=reason,
                error_type="ValueError",
                message="boom",
                trace="Traceback ...",
                item={"value": len(rows)},
                node_input={"value": 1},
                dead_at=timezone.now() + timedelta(seconds=len(rows)),
            )
        )
    return rows


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("?workflow_id=a", [1, 0]),
        ("?workflow_id=a&node_id=1", [0]),
        ("?reason=max_attempts", [2, 0]),
        ("?error_type=KeyError", []),
        ("?loop=1&activation=1", [2, 1, 0]),
        ("?limit=1", [2]),
        ("?limit=1&offset=2", [0]),
        ("?workflow_id=nothing", []),
    ],
)
def test_the_list_is_filtered(api, letters, query, expected):
    body = api("viewer").get(f"/dead-letters/{query}").json()
    assert [row["id"] for row in body["results"]] == [letters[i].pk for i in expected]


def test_payloads_and_traces_are_in_the_detail_only(api, letters):
    client = api("viewer")
    row = client.get("/dead-letters/").json()["results"][0]
    assert "item" not in row and "trace" not in row
    detail = client.get(f"/dead-letters/{row['id']}/").json()
    assert detail["item"] == {"value": 2} and detail["trace"] and detail["node_input"]


@pytest.mark.parametrize("letter", ["999", "999999999999999"])
def test_what_is_not_there(api, letter):
    assert api("viewer").get(f"/dead-letters/{letter}/").status_code == 404


def test_a_list_costs_two_queries_however_long(api, letters, django_assert_max_num_queries):
    client = api("viewer")
    with django_assert_max_num_queries(6):  # token, its last use, groups, rows, count
        client.get("/dead-letters/")
