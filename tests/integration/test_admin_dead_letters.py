"""Dead letters in the admin: looked at, escaped, and acted on through the services."""

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from orchestrator.models import DeadLetter
from tests.integration.letters import letter, on_store, pump, started, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("live_redis")]
LIST = reverse("admin:orchestrator_deadletter_changelist")


@pytest.fixture
def workflow(hello_loops, live_redis):
    on_store(lambda queue: queue.forget("hello-loops"))
    return started(hello_loops)


@pytest.fixture
def staff(client, make_user):
    client.force_login(make_user("superuser"))
    return client


def ask(client, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(LIST, data)
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


def test_the_list_can_be_searched_and_filtered(staff, workflow):
    letter(workflow, message="no price")
    letter(workflow, status="discarded")
    for query, expected in [("", 2), ("?q=price", 1), ("?status__exact=discarded", 1)]:
        page = staff.get(LIST + query)
        assert page.status_code == 200 and page.context["cl"].result_count == expected


def test_the_page_shows_everything_and_runs_nothing(staff, workflow):
    evil = "<script>alert(1)</script>"
    row = letter(
        workflow, item={"a": evil}, node_input={evil: [1]}, message=evil, trace=evil, note=evil
    )
    url = reverse("admin:orchestrator_deadletter_change", args=[row.pk])
    page = staff.get(url).content.decode()
    assert evil not in page and page.count("&lt;script&gt;alert(1)") >= 5
    assert "<pre>{\n  &quot;a&quot;:" in page
    assert staff.post(url, {"note": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("action", "entry"), [("replay_from_start", None), ("replay_at_node", "2")]
)
def test_letters_are_replayed(staff, workflow, action, entry):
    rows = [letter(workflow), letter(workflow, loop="77")]
    assert ask(staff, action, *rows) == "1 being replayed, 1 left as they are"
    assert pump() == 1
    [envelope] = waiting("hello-loops")
    assert (envelope.item.id, envelope.entry_node) == (rows[0].item_id, entry)
    assert DeadLetter.objects.get(pk=rows[0].pk).replayed_by.username == "superuser"


def test_letters_are_discarded(staff, workflow):
    row = letter(workflow)
    assert ask(staff, "discard", row) == "1 discarded, 0 left as they are"
    assert ask(staff, "discard", row) == "0 discarded, 1 left as they are"


@pytest.mark.parametrize("action", ["replay_from_start", "replay_at_node", "discard"])
def test_staff_without_the_role_may_only_look(client, make_user, workflow, action):
    row = letter(workflow)
    user = make_user("viewer")
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename="view_deadletter"))
    client.force_login(user)
    assert "needs the role operator" in ask(client, action, row)
    row.refresh_from_db()
    assert row.status == "dead"
