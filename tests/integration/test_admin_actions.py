"""What can be done in the admin is done by the services, and each row is answered for."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from orchestrator.models import (
    ApiToken,
    Graph,
    LoopSlot,
    Run,
    Runner,
    WorkerSlot,
    Workflow,
    WorkflowVersion,
)
from orchestrator.security.actors import SYSTEM
from orchestrator.security.tokens import digest_of
from orchestrator.services import graphs, production, workflows

pytestmark = pytest.mark.django_db
GRAPH = {"entry_point": "a", "nodes": [{"id": "a", "type": "debug"}]}


@pytest.fixture
def staff(client, make_user):
    client.force_login(make_user("superuser"))
    return client


@pytest.fixture
def make_run():
    graphs.create(SYSTEM, GRAPH, graph_id="g")
    graph = Graph.objects.get()

    def make(run_id, status):
        return Run.objects.create(
            pk=run_id, graph=graph, digest=graph.digest, entry="a", initial_state={}, max_steps=9,
            status=status, state={"large": "x"},
        )  # fmt: skip

    return make


def page(model, view, *args):
    return reverse(f"admin:orchestrator_{model._meta.model_name}_{view}", args=args)


def ask(client, model, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(page(model, "changelist"), data, follow=True)
    return {str(message) for message in answer.context["messages"]}


def test_runs_are_cancelled_and_those_that_have_ended_are_not(staff, make_run, live_redis):
    rows = [make_run("r1", "pending"), make_run("r2", "running"), make_run("r3", "completed")]
    assert ask(staff, Run, "cancel", *rows) == {
        "r1: cancelled",
        "r2: is being cancelled",
        "r3: run r3 is completed",
    }
    assert set(Run.objects.values_list("status", "cancel_requested")) == {
        ("cancelled", True),
        ("running", True),
        ("completed", False),
    }


@pytest.mark.parametrize("action", ["resume", "restart"])
def test_runs_go_on(staff, make_run, live_redis, action):
    rows = [make_run("r1", "failed"), make_run("r2", "cancelled"), make_run("r3", "running")]
    assert {"r2, r1: pending"} < ask(staff, Run, action, *rows)
    assert dict(Run.objects.values_list("pk", "status")) == {
        "r1": "pending",
        "r2": "pending",
        "r3": "running",
    }


def test_runs_and_graphs_are_removed_when_they_have_ended(staff, make_run):
    rows = [make_run("r1", "failed"), make_run("r2", "running")]
    assert ask(staff, Graph, "remove", Graph.objects.get()) == {
        "g: graph g has runs that have not ended"
    }
    assert ask(staff, Run, "remove", *rows) == {"r1: removed", "r2: run r2 is running"}
    Run.objects.update(status="failed")
    assert ask(staff, Graph, "remove", Graph.objects.get()) == {"g: removed"}
    assert not Run.objects.exists()


def test_many_rows_are_told_in_one_message(staff, make_run):
    rows = [make_run(f"r{n}", "failed") for n in range(8)]
    [message] = ask(staff, Run, "remove", *rows)
    assert message.endswith(" and 3 more: removed") and message.count(", ") == 4


def test_a_version_is_started(staff, hello_loops):
    workflows.create(SYSTEM, hello_loops)
    version = WorkflowVersion.objects.get()
    wanted = {f"{version.pk}: hello-loops v1: starting"}
    assert ask(staff, WorkflowVersion, "start", version) == wanted
    assert Workflow.objects.get().active_version == version


def test_a_loop_is_paused_alone(staff, hello_loops):
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, "hello-loops")
    first, second = LoopSlot.objects.all()
    [message] = ask(staff, LoopSlot, "pause", first)
    assert message.endswith(f"hello-loops/{first.loop} is to be paused")
    assert LoopSlot.objects.get(pk=first.pk).desired == "paused"
    assert LoopSlot.objects.get(pk=second.pk).desired == "running"
    for action, desired in [("resume", "running"), ("drain", "draining"), ("stop", "stopped")]:
        ask(staff, LoopSlot, action, first)
        assert LoopSlot.objects.get(pk=first.pk).desired == desired


def test_staff_with_no_role_can_do_nothing(client, make_user, make_run, hello_loops):
    workflows.create(SYSTEM, hello_loops)
    row = make_run("r", "pending")
    user = make_user("viewer")
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    version = WorkflowVersion.objects.get()
    for model, action, each in [
        (Run, "cancel", row),
        (Run, "resume", row),
        (Run, "remove", row),
        (Graph, "remove", row.graph),
        (WorkflowVersion, "start", version),
    ]:
        [message] = ask(client, model, action, each)
        assert "needs the role" in message
    assert Run.objects.get().status == "pending"


def test_every_row_leads_to_its_page(staff, make_run, hello_loops):
    workflows.create(SYSTEM, hello_loops)
    run = make_run("r", "failed")
    version = WorkflowVersion.objects.get()
    for row, path in [
        (run, reverse("run-page", args=["r"])),
        (run.graph, f"{reverse('runs-page')}?graph=g"),
        (version.workflow, reverse("studio", args=["hello-loops"])),
        (version, reverse("studio", args=["hello-loops"])),
    ]:
        assert f'href="{path}"' in staff.get(page(type(row), "change", row.pk)).content.decode()


def test_who_is_alive_is_seen(staff):
    past, future = timezone.now() - timedelta(1), timezone.now() + timedelta(1)
    for n, moment in enumerate([past, future]):
        Runner.objects.create(id=f"r{n}", host="h", pid=1, expires_at=moment)
        WorkerSlot.objects.create(slot=n, worker=f"w{n}", expires_at=moment, processed=4, seconds=2)
    WorkerSlot.objects.create(slot=2)
    for model, dead in [(Runner, 1), (WorkerSlot, 2)]:
        text = staff.get(page(model, "changelist")).content.decode()
        assert (text.count('alt="True"'), text.count('alt="False"')) == (1, dead)
    assert "0.500" in text


def test_the_list_of_runs_does_not_load_their_states(
    staff, make_run, django_assert_max_num_queries
):
    for n in range(30):
        make_run(f"r{n}", "failed")
    with django_assert_max_num_queries(14):
        answer = staff.get(page(Run, "changelist"))
    assert answer.status_code == 200
    assert "state" in answer.context["cl"].result_list[0].get_deferred_fields()
    assert "&quot;large&quot;" in staff.get(page(Run, "change", "r1")).content.decode()


def test_a_user_shows_the_role_and_the_tokens(staff, make_user, make_token):
    make_token(make_user("editor"))
    user = make_user("editor")
    text = staff.get(reverse("admin:auth_user_changelist")).content.decode()
    assert '<td class="field-role">editor</td>' in text
    assert '<td class="field-role">admin</td>' in text
    whole = staff.get(reverse("admin:auth_user_change", args=[user.pk])).content.decode()
    assert user.api_tokens.get().prefix in whole and user.api_tokens.get().digest not in whole
    assert staff.get(reverse("admin:auth_user_add")).status_code == 200


def test_a_token_is_made_and_shown_once(staff, make_user, client):
    user = make_user("viewer")
    wrong = staff.post(page(ApiToken, "add"), {"user": user.pk, "name": "", "days": 0})
    assert wrong.status_code == 200 and not ApiToken.objects.exists()
    answer = staff.post(page(ApiToken, "add"), {"user": user.pk, "name": "ci", "days": 3})
    raw = answer.context["token"]
    assert raw in answer.content.decode() and "no-store" in answer.headers["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.user, token.name, token.digest) == (user, "ci", digest_of(raw))
    assert raw not in staff.get(page(ApiToken, "changelist")).content.decode()


def test_only_an_admin_makes_tokens(client, make_user):
    user = make_user("editor")
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename__endswith="apitoken"))
    client.force_login(user)
    answer = client.post(page(ApiToken, "add"), {"user": user.pk, "name": "mine"})
    assert answer.status_code == 403 and not ApiToken.objects.exists()


def test_a_runner_is_drained(staff):
    expires = timezone.now() + timedelta(1)
    row = Runner.objects.create(id="r", host="h", pid=1, labels=["eu", "gpu"], expires_at=expires)
    assert ask(staff, Runner, "drain", row) == {"r: gives back its loops, and ends"}
    assert Runner.objects.get().draining
    text = staff.get(page(Runner, "changelist")).content.decode()
    assert '<td class="field-labelled">eu, gpu</td>' in text
    assert '<td class="field-leaves">yes</td>' in text
