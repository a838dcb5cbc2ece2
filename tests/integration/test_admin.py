"""The admin: everything can be looked at, and actions go through the services."""

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.urls import reverse

from orchestrator.models import (
    Action,
    ApiToken,
    KeyCanary,
    LoginCount,
    LoopSlot,
    SocketTicket,
    Webhook,
    Workflow,
)
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label == "orchestrator"]


@pytest.fixture
def staff(client, make_user, make_token, hello_loops):
    user = make_user("superuser")
    make_token(user)
    workflows.create(SYSTEM, hello_loops)
    client.force_login(user)
    return client


def url(model, view, *args):
    return reverse(f"admin:orchestrator_{model._meta.model_name}_{view}", args=args)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_can_be_looked_at_and_not_added(staff, model):
    assert staff.get(url(model, "changelist")).status_code == 200
    assert staff.get(url(model, "add")).status_code == (200 if model is ApiToken else 403)
    for row in model.objects.all():
        page = url(model, "change", row.pk)
        assert staff.get(page).status_code == 200
        assert staff.post(page, {}).status_code == 403


def test_every_model_of_ours_is_registered():
    from django.apps import apps

    models = set(apps.get_app_config("orchestrator").get_models())
    assert models - set(OURS) == {Action, KeyCanary, LoginCount, SocketTicket, Webhook}


def ask(client, action):
    data = {"action": action, "_selected_action": ["hello-loops"]}
    answer = client.post(url(Workflow, "changelist"), data)
    return [str(message) for message in get_messages(answer.wsgi_request)][-1]


def test_actions_call_the_services(staff):
    assert ask(staff, "start") == "hello-loops: starting"
    assert Workflow.objects.get().desired == "running" and LoopSlot.objects.count() == 2
    assert ask(staff, "pause") == "hello-loops: paused"
    assert ask(staff, "resume") == "hello-loops: starting"
    assert ask(staff, "drain") == "hello-loops: draining"
    assert ask(staff, "force_stop") == "hello-loops: stopped"
    assert ask(staff, "start") == "hello-loops: starting"
    assert ask(staff, "stop") == "hello-loops: stopped"
    assert ask(staff, "pause") == "hello-loops: hello-loops does not run"


def test_staff_without_a_role_may_not_start(client, make_user, hello_loops):
    from django.contrib.auth.models import Permission

    workflows.create(SYSTEM, hello_loops)
    user = make_user("viewer")
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename="view_workflow"))
    client.force_login(user)
    assert "needs the role operator" in ask(client, "start")
    assert Workflow.objects.get().desired == "stopped"


def test_a_token_can_be_taken_away(staff):
    token = ApiToken.objects.get()
    page = staff.get(url(ApiToken, "change", token.pk)).content.decode()
    assert token.digest not in page
    staff.post(url(ApiToken, "delete", token.pk), {"post": "yes"})
    assert not ApiToken.objects.exists()
