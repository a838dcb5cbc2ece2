"""The audit log: every change is in it, with who and from where, and nobody takes it out again."""

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

import orchestrator.services
from orchestrator.models import AuditEntry, Workflow
from orchestrator.security.actors import ACTIONS, SYSTEM
from orchestrator.services import access, audit, production, workflows

pytestmark = pytest.mark.django_db
LOOKS = (".list", ".read", ".status")
ELSEWHERE = {
    "template.advanced",  # a right that a save needs, and the save is written down
    "credential.use",  # as before
    "bench.write",  # what the bench keeps for one session; no more than a page's memory
    "bench.write_out",  # in the row of bench.execute
    "credential.manage",  # of those of others: written down by what is done to them
}


@pytest.fixture(autouse=True)
def before(db):
    """The last row of other tests: no flush empties this table."""
    LAST[:] = [AuditEntry.objects.order_by("id").values_list("id", flat=True).last() or 0]


LAST = [0]


def entries(action):
    return list(AuditEntry.objects.filter(action=action, id__gt=LAST[0]).order_by("id"))


def test_every_action_that_changes_something_is_written_down():
    """By the calls of `audit.record` in the services."""
    recorded = set()
    for path in Path(orchestrator.services.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in (
                "record", "_record", "_Ask",
            ):  # fmt: skip
                recorded |= {a.value for a in call.args if isinstance(a, ast.Constant)}
    changing = {a for a in ACTIONS if not a.endswith(LOOKS)} - ELSEWHERE
    assert not changing - recorded
    named = {each for each in recorded if isinstance(each, str) and "." in each}
    assert set(audit.RECORDED) == named | {"login", "logout"}


def test_a_save_tells_who_what_and_from_where(api, hello_loops):
    client = api("editor")
    sent = {"HTTP_USER_AGENT": "curl/8", "REMOTE_ADDR": "203.0.113.9"}
    client.post("/workflows/", hello_loops, **sent)
    hello_loops["nodes"][0]["data"]["form"]["stop"] = 6
    client.put("/workflows/hello-loops/", hello_loops, **sent)
    [entry] = entries("workflow.save")
    assert (entry.actor, entry.actor_id) == ("editor", client.user.pk)
    assert entry.object == "workflow:hello-loops"
    assert (entry.before["version"], entry.after["version"]) == (1, 2)
    assert entry.before["digest"] != entry.after["digest"]
    assert (entry.address, entry.agent) == ("203.0.113.9", "curl/8")
    assert entry.token == client.user.api_tokens.get().prefix


def test_a_change_that_is_rolled_back_is_not_in_it(admin_actor, hello_loops, monkeypatch):
    workflows.create(SYSTEM, hello_loops)
    monkeypatch.setattr(workflows, "with_store", lambda work: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        workflows.delete(admin_actor, "hello-loops")
    assert Workflow.objects.exists() and not entries("workflow.delete")


def test_a_start_is_not_kept_without_its_row(admin_actor, hello_loops, monkeypatch):
    workflows.create(SYSTEM, hello_loops)

    def fail(*args, **values):
        raise IntegrityError

    monkeypatch.setattr(audit.AuditEntry.objects, "create", fail)
    with pytest.raises(IntegrityError), transaction.atomic():
        production.start(admin_actor, "hello-loops")
    assert Workflow.objects.get().desired == "stopped"


@pytest.mark.parametrize("change", ["UPDATE {} SET actor = 'x'", "DELETE FROM {}"])
def test_no_row_is_changed_or_removed(change):
    audit.record(SYSTEM, "workflow.save", "workflow:x")
    statement = change.format(AuditEntry._meta.db_table)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        connection.cursor().execute(statement)
    [entry] = AuditEntry.objects.filter(object="workflow:x")
    assert entry.actor == "system"


def test_a_row_outlives_whom_it_tells_of(api, make_user, hello_loops):
    user = api("editor").user
    workflows.create(SYSTEM, hello_loops)
    audit.record(SYSTEM, "user.manage", f"user:{user.username}")
    user.delete()
    assert entries("user.manage")


def test_secrets_and_long_values_are_not_kept():
    values = {"url": "x", "password": "hunter2hunter2"}
    audit.record(SYSTEM, "tool.call", before=values, after={"text": "x" * 20_000})
    [entry] = entries("tool.call")
    assert "hunter2" not in json.dumps(entry.before)
    assert set(entry.after) == {"sha256", "characters"}


def test_the_log_is_read_and_exported_by_admins(api):
    wanted = f"action=workflow.save&since={datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    for number in range(3):
        audit.record(SYSTEM, "workflow.save", f"workflow:{number}")
    admin = api("admin")
    answer = admin.get(f"/audit/?{wanted}&limit=2").json()
    assert answer["count"] == 3
    assert [row["object"] for row in answer["results"]] == ["workflow:2", "workflow:1"]
    export = admin.get(f"/audit/export/?{wanted}")
    lines = b"".join(export.streaming_content).decode().splitlines()
    assert [json.loads(line)["object"][-1] for line in lines] == ["0", "1", "2"]
    assert admin.get("/audit/?object=workflow:1").json()["count"] == 1
    assert admin.get("/audit/?since=nonsense").status_code == 400
    for path in ("/audit/", "/audit/export/"):
        assert api("editor").get(path).status_code == 403


def test_the_admins_pages_write_down_what_they_change(client, make_user, make_token):
    client.force_login(make_user("superuser"))
    user = make_user("viewer")
    page = reverse("admin:auth_user_change", args=[user.pk])
    form = {
        "username": "viewer", "is_active": "on", "is_staff": "on", "groups": [],
        "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
        "api_tokens-TOTAL_FORMS": 0, "api_tokens-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert client.post(page, form).status_code == 302
    [entry] = entries("user.manage")
    assert (entry.actor, entry.object) == ("superuser", "user:viewer")
    assert entry.before["groups"] == ["viewer"] and not entry.before["staff"]
    assert entry.after["groups"] == [] and entry.after["staff"]

    make_token(user, name="ci")
    token = user.api_tokens.get()
    gone = reverse("admin:orchestrator_apitoken_delete", args=[token.pk])
    assert client.post(gone, {"post": "yes"}).status_code == 302
    made, removed = entries("token.manage")
    assert made.after["prefix"] == removed.before["prefix"] == token.prefix
    assert "digest" not in made.after


def test_logins_are_written_down(make_user):
    make_user("viewer")
    client = Client()
    for password in ("wrong", "a-long-password"):
        client.post("/login/", {"username": "viewer", "password": password})
    Client().post("/login/", {"username": "a-password-typed-here", "password": "x"})
    client.post("/logout/")
    assert [e.object for e in entries("login.failed")] == ["user:viewer", ""]
    assert [e.object for e in entries("login")] == ["user:viewer"]
    assert [e.actor for e in entries("logout")] == ["viewer"]


def test_commands_are_the_systems(make_user):
    access.create_token(SYSTEM, make_user("viewer").username)
    assert [(e.actor, e.actor_id, e.address) for e in entries("token.manage")] == [
        ("system", None, "")
    ]
