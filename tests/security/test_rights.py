"""Rights by group, by token, and again when a definition begins to run (S17)."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from orchestrator.exceptions import InvalidRequest, NotAllowed
from orchestrator.models import DeadLetter, LoopSlot, Runner, WorkflowVersion
from orchestrator.runtime import leases, run_as
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from orchestrator.security.actors import (
    ACTIONS,
    SYSTEM,
    Role,
    actions_in,
    actions_of,
    actor_of,
    authorize,
)
from orchestrator.services import access, dead_letters, production, rights, workflows
from storage.datastore import open_store
from tests.integration.test_advanced_templates import workflow as advanced

pytestmark = pytest.mark.django_db


def right(action):
    return Permission.objects.get(codename=action, content_type__app_label="orchestrator")


@pytest.mark.parametrize("role", Role)
def test_a_role_is_a_group_with_its_rights(make_user, role):
    user = make_user(role.name.lower())
    assert actor_of(user).rights == actions_of(role)
    for action in ACTIONS:
        assert user.has_perm(f"orchestrator.{action}") is (action in actions_of(role))


def test_a_group_of_ones_own_gives_its_rights_and_no_other(make_user):
    user = make_user()
    group = Group.objects.create(name="night shift")
    group.permissions.add(right("production.stop"), right("production.status"))
    user.groups.add(group)
    actor = actor_of(user)
    assert actor.rights == {"production.stop", "production.status"} and actor.role is None
    authorize(actor, "production.stop")
    with pytest.raises(NotAllowed):
        authorize(actor, "production.start")
    user.user_permissions.add(right("production.start"))
    authorize(actor_of(user), "production.start")


def test_a_right_that_was_taken_from_a_role_stays_away(make_user):
    user = make_user("operator")
    Group.objects.get(name="operator").permissions.remove(right("queue.purge"))
    call_command("migrate", verbosity=0)
    with pytest.raises(NotAllowed, match="needs the role operator, or this right"):
        authorize(actor_of(user), "queue.purge")


def test_a_new_action_is_given_to_the_roles(make_user, monkeypatch):
    monkeypatch.setattr(rights, "ACTIONS", {**ACTIONS, "moon.land": Role.EDITOR})
    monkeypatch.setattr(
        rights,
        "actions_of",
        lambda role: actions_of(role) | ({"moon.land"} if role >= 3 else set()),
    )
    rights.ensure()
    holders = Group.objects.filter(permissions__codename="moon.land")
    assert {group.name for group in holders} == {"editor", "admin"}


def test_an_inactive_user_has_no_right(make_user):
    user = make_user("superuser")
    user.is_active = False
    assert actor_of(user).rights == frozenset()


# Tokens


def test_a_token_may_what_its_scopes_and_its_user_may(make_user, make_token):
    client = APIClient()
    raw = make_token(make_user("operator"), scopes=["viewer", "production.*", "workflow.delete"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    client.default_format = "json"
    assert client.get("/workflows/").status_code == 200
    assert client.post("/prod/start", {"workflow_id": "none"}).status_code == 404
    assert client.post("/queues/x/q/purge", {"confirm": "q"}).status_code == 403  # not in scope
    assert client.delete("/workflows/x/").status_code == 403  # not the user's


def test_a_scoped_token_has_no_more_of_a_role_than_its_scopes(make_user):
    actor = actor_of(make_user("admin"), scopes=["editor"])
    assert actor.rights == actions_of(Role.EDITOR) and actor.role is None
    everything = actor_of(make_user("admin"), scopes=["admin"])
    assert everything.role is Role.ADMIN


@pytest.mark.parametrize("scopes", [["nonsense"], ["queue"], ["*"], [".*"], [""], []])
def test_a_scope_that_there_is_not_makes_no_token(make_user, scopes):
    with pytest.raises(InvalidRequest):
        access.create_token(SYSTEM, make_user("admin").username, scopes=scopes)
    assert actions_in(["queue.*"]) == {"queue.read", "queue.purge"}


def test_the_command_makes_a_token_with_scopes(make_user, capsys):
    make_user("admin")
    call_command("create_token", "admin", "--scope", "queue.*", "--scope", "workflow.read")
    token = access.token_of(capsys.readouterr().out.strip())
    assert token.scopes == ["queue.*", "workflow.read"]


# S17


def test_what_the_roles_may_not(api, make_actor, hello_loops, tally):
    seen = tally("S17", "a role does more than it may")
    workflows.create(SYSTEM, hello_loops)
    letter = DeadLetter.objects.create(
        workflow_id="hello-loops",
        loop="1",
        node_id="1",
        item_id="1",
        version=1,
        activation=1,
        dead_at=timezone.now(),
    )
    attempts = [
        ("viewer", lambda: dead_letters.replay(make_actor("viewer"), letter.pk)),
        ("viewer", lambda: dead_letters.discard(make_actor("viewer"), letter.pk)),
        ("operator", lambda: workflows.save(make_actor("operator"), "hello-loops", hello_loops)),
        ("editor", lambda: workflows.create(make_actor("editor"), advanced())),
        ("editor", lambda: access.create_token(make_actor("editor"), "editor")),
        ("editor", lambda: access.create_user(make_actor("editor"), "x", "y", role="admin")),
    ]
    for role, attempt in attempts:
        with seen.attempt():
            try:
                attempt()
            except NotAllowed:
                continue
        seen.escaped.append(role)
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.DEAD


@pytest.mark.parametrize("how", ["the role is taken away", "the user is not active"])
def test_who_has_saved_it_is_asked_again_when_it_begins(make_user, tally, how):
    """At the start, by whoever may start it, and in the runner, before a loop of it begins."""
    seen = tally("S17", "advanced templates of one who may no more")
    user = make_user("admin", "ada")
    version = workflows.create(actor_of(user), advanced())
    nodes = list(flow_engine().load_saved(version.definition).graph.nodes.values())
    run_as.for_loop(version.workflow_id, 1, nodes)
    production.start(SYSTEM, version.workflow_id)
    if how.startswith("the role"):
        user.groups.clear()
    else:
        user.is_active = False
        user.save()
    for attempt in (
        lambda: production.start(SYSTEM, version.workflow_id),
        lambda: run_as.for_loop(version.workflow_id, 1, nodes),
    ):
        with seen.attempt(), pytest.raises(NotAllowed, match="ada, who saved this"):
            attempt()
    saved = WorkflowVersion.objects.get()
    assert "ada, who saved this" in taken_up(saved.workflow_id)
    workflows.save(SYSTEM, saved.workflow_id, {**saved.definition, "name": "Saved again"})
    production.start(SYSTEM, saved.workflow_id)


def taken_up(workflow_id):
    """Let a runner take the first slot of a workflow, and return for what reason it did not."""
    Runner.objects.create(
        id="r", host="h", pid=1, expires_at=timezone.now() + timedelta(seconds=30)
    )
    store = open_store("memory://")
    fleet = Fleet(
        "r", store.queue, Publisher(store.feed), Plans(),
        block_limit=60, on_take=lambda workflow: None, on_end=lambda: None,
    )  # fmt: skip
    [slot] = [slot for slot in leases.slots("r") if slot.workflow == workflow_id]
    assert not async_to_sync(fleet.take)(slot)
    return LoopSlot.objects.get(workflow=workflow_id).reason
