"""`/credentials/`: written and never read, and used only by whoever may."""

import json

import pytest
from django.contrib.auth.models import Group

from orchestrator.exceptions import CredentialsClosed, NotAllowed, NotFound
from orchestrator.models import Credential, Graph, KeyCanary, Workflow, WorkflowVersion
from orchestrator.runtime import credentials as runtime
from orchestrator.security.actors import SYSTEM
from orchestrator.security.keyring import Keyring, new_key
from orchestrator.services import credential_keys, credentials, workflows

pytestmark = pytest.mark.django_db
SECRET = "s3cret-of-the-shop"
SHOP = {"name": "shop", "kind": "bearer", "values": {"token": SECRET}}


def leaky(name="shop"):
    return {
        "name": "Leaks",
        "nodes": [
            {"id": "in", "type": "counter", "data": {"form": {"stop": 1}}},
            {"id": "n", "type": "leaky", "data": {"form": {"login": name}}},
        ],
        "edges": [{"id": "a", "source": "in", "target": "n"}],
    }


def test_a_credential_goes_in_and_does_not_come_out(api):
    client = api("editor")
    made = client.post("/credentials/", SHOP)
    assert made.status_code == 201
    assert made.headers["Location"] == "/credentials/shop/"
    body = made.json()
    assert body | {"created_at": 0, "updated_at": 0} == {
        "name": "shop", "kind": "bearer", "fingerprint": "shop", "users": None, "groups": None,
        "created_by": "editor", "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    assert client.get("/credentials/shop/").json() == {**body, "used_by": []}
    assert client.get("/credentials/").json() == {"results": [body]}
    row = Credential.objects.get()
    assert SECRET not in json.dumps(body) + row.sealed
    assert runtime.keyring().open(str(row.pk), row.sealed) == {"token": SECRET}


def test_other_values_take_the_place_of_the_old_ones(api):
    client = api("editor")
    client.post("/credentials/", SHOP)
    changed = client.put("/credentials/shop/", {"values": {"token": "an-entirely-new-token"}})
    assert (changed.status_code, changed.json()["fingerprint"]) == (200, "oken")
    row = Credential.objects.get()
    assert (row.revision, row.restricted) == (2, False)
    assert runtime.keyring().open(str(row.pk), row.sealed) == {"token": "an-entirely-new-token"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**SHOP, "name": "../etc"}, "name"),
        ({**SHOP, "kind": "ftp"}, "kind"),
        ({**SHOP, "values": {"token": "12345"}}, "values.token"),
        ({**SHOP, "values": {"tokens": SECRET}}, "values.token"),
        ({**SHOP, "values": SECRET}, "values"),
        ({**SHOP, "values": {"token": [SECRET]}}, "values.token"),
        ({"name": "shop", "kind": "bearer"}, "values"),
        ({**SHOP, "users": ["nobody-here"]}, "users[0]"),
        ({**SHOP, "groups": ["no-such-group"]}, "groups[0]"),
    ],
)
def test_what_is_wrong_is_named_and_not_stored(api, body, path):
    answer = api("editor").post("/credentials/", body)
    assert answer.status_code == 400
    assert path in {detail["path"] for detail in answer.json()["error"]["details"]}
    assert SECRET not in answer.content.decode()
    assert not Credential.objects.exists()


def test_who_may_do_what(api):
    editor, operator, viewer, admin = map(api, ("editor", "operator", "viewer", "admin"))
    for client in (operator, viewer):
        assert client.post("/credentials/", SHOP).status_code == 403
        assert client.get("/credentials/").status_code == 403
    assert editor.post("/credentials/", SHOP).status_code == 201
    assert editor.post("/credentials/", SHOP).status_code == 409
    assert admin.put("/credentials/shop/", {"users": None}).status_code == 200
    Credential.objects.update(created_by=admin.user)
    for client in (editor, operator, viewer):
        assert client.put("/credentials/shop/", {"values": {"token": SECRET}}).status_code == 403
        assert client.delete("/credentials/shop/").status_code == 403
    assert admin.delete("/credentials/shop/").status_code == 204
    for call in (admin.get, admin.delete):
        assert call("/credentials/shop/").status_code == 404
    assert admin.put("/credentials/shop/", {}).status_code == 404


def grant(admin, **grants):
    assert admin.post("/credentials/", {**SHOP, **grants}).status_code == 201


def test_an_editor_saves_and_runs_only_what_they_may_use(api, make_user):
    """Nobody uses a credential of others by writing its name."""
    admin, editor = api("admin"), api("editor")
    grant(admin, users=["admin"])
    node = {**leaky()["nodes"][1], "type": "leaky-once"}
    graph = {"name": "G", "nodes": [node], "edges": [], "entry_point": "n"}
    assert editor.post("/graph/create", graph).status_code == 403
    answer = editor.post("/workflows/", leaky())
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["message"] == "editor may not use the credential shop"
    assert error["details"][0]["path"] == "nodes[1].data.form.login"
    warnings = editor.post("/dev/validate", {"workflow": leaky()}).json()["warnings"]
    assert warnings[-1]["path"] == "nodes[1].data.form.login"
    assert not WorkflowVersion.objects.exists()
    assert admin.post("/workflows/", {**leaky(), "name": "Other"}).status_code == 201
    changed = {**leaky(), "name": "Mine now"}
    assert editor.put("/workflows/other/", changed).status_code == 403

    assert editor.put("/credentials/shop/", {"users": ["editor"]}).status_code == 403
    assert admin.put("/credentials/shop/", {"groups": ["editor"]}).status_code == 200
    assert editor.post("/workflows/", leaky()).status_code == 201
    assert admin.get("/credentials/shop/").json()["groups"] == ["editor"]


def test_a_right_that_is_gone_is_gone_at_the_next_start(api):
    admin, editor, operator = api("admin"), api("editor"), api("operator")
    grant(admin, users=["editor"])
    assert editor.post("/workflows/", leaky()).status_code == 201
    started = operator.post("/prod/start", {"workflow_id": "leaks"})
    assert started.status_code == 202  # whoever saved it may use it; who starts it need not
    operator.post("/prod/stop", {"workflow_id": "leaks"})

    admin.put("/credentials/shop/", {"users": []})
    refused = operator.post("/prod/start", {"workflow_id": "leaks"})
    assert refused.status_code == 403
    assert refused.json()["error"]["message"] == "editor may not use the credential shop"
    nodes = [node.node for node in loaded("leaks")]
    with pytest.raises(NotAllowed):
        runtime.for_loop("leaks", 1, nodes)

    admin.put("/credentials/shop/", {"users": ["editor"]})
    assert set(runtime.for_loop("leaks", 1, nodes)) == {"shop"}
    editor.user.groups.set([Group.objects.get_or_create(name="viewer")[0]])
    with pytest.raises(NotAllowed):
        runtime.for_loop("leaks", 1, nodes)
    editor.user.delete()
    with pytest.raises(NotAllowed, match="whoever saved this"):
        runtime.for_loop("leaks", 1, nodes)


def loaded(workflow_id):
    definition = WorkflowVersion.objects.get(workflow=workflow_id).definition
    return runtime_engine().load_saved(definition).graph.nodes.values()


def runtime_engine():
    from orchestrator.runtime.engine import flow_engine

    return flow_engine()


def test_a_graph_runs_with_the_rights_of_whoever_made_it(api):
    admin, editor = api("admin"), api("editor")
    grant(admin, users=["editor"])
    graph = {
        "name": "G",
        "nodes": [{"id": "a", "type": "leaky-once", "data": {"form": {"login": "shop"}}}],
        "edges": [],
        "entry_point": "a",
    }
    made = editor.post("/graph/create", graph)
    assert made.status_code == 201, made.content
    made = made.json()["graph_id"]
    assert set(runtime.for_graph(made, ["shop"])) == {"shop"}
    Graph.objects.update(created_by=None)
    with pytest.raises(NotAllowed):
        runtime.for_graph(made, ["shop"])


def test_what_runs_keeps_its_credential(api):
    admin = api("admin")
    grant(admin)
    admin.post("/workflows/", leaky())
    admin.post("/prod/start", {"workflow_id": "leaks"})
    refused = admin.delete("/credentials/shop/")
    assert refused.status_code == 409
    assert "leaks" in refused.json()["error"]["message"]
    admin.post("/prod/stop", {"workflow_id": "leaks"})
    assert admin.delete("/credentials/shop/").status_code == 204
    assert Workflow.objects.exists()
    with pytest.raises(NotFound, match="there is no credential shop"):
        runtime.sealed(SYSTEM, ["shop"])


def test_where_a_credential_is_used(api, make_token):
    """By the newest version and the one that runs, and by graphs; not by what only looks so."""
    admin = api("admin")
    grant(admin)
    grant(admin, name="other")
    decoy = {"id": "d", "type": "data-transformer", "data": {"form": {"fields": {"x": "shop"}}}}
    first = leaky()
    first["nodes"].append(decoy)
    first["edges"].append({"id": "b", "source": "n", "target": "d"})
    assert admin.post("/workflows/", first).status_code == 201
    node = {"id": "a", "type": "leaky-once", "data": {"form": {"login": "shop"}}}
    tool = {"id": "t", "tool": "test.fail", "arguments": {"message": "shop"}}
    edges = [{"source": "a", "target": "t"}]
    graph = {"name": "G", "nodes": [node, tool], "edges": edges, "entry_point": "a"}
    made = admin.post("/graph/create", graph).json()["graph_id"]
    flow = {
        "kind": "workflow", "id": "leaks", "name": "Leaks", "version": 1, "nodes": ["n"],
        "running": False,
    }  # fmt: skip
    run = {
        "kind": "graph", "id": made, "name": "G", "version": None, "nodes": ["a"], "running": False,
    }  # fmt: skip
    assert used(admin) == [flow, run]

    admin.post("/prod/start", {"workflow_id": "leaks"})
    assert admin.put("/workflows/leaks/", leaky("other")).status_code == 200
    assert used(admin) == [{**flow, "running": True}, run]
    assert used(admin, "other") == [{**flow, "version": 2}]
    assert admin.delete("/credentials/shop/").status_code == 409
    assert admin.delete("/credentials/other/").status_code == 204
    admin.post("/prod/stop", {"workflow_id": "leaks"})

    scopes = ["credential.list", "graph.list"]
    scoped = type(admin)()
    token = make_token(admin.user, scopes=scopes)
    scoped.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert used(scoped) == [run]


def used(client, name="shop"):
    return client.get(f"/credentials/{name}/").json()["used_by"]


def test_a_form_that_is_broken_hides_no_use(api, monkeypatch):
    admin = api("admin")
    grant(admin)
    admin.post("/workflows/", leaky())
    leaky_class = runtime_engine().registry.get("leaky")
    monkeypatch.setattr(leaky_class, "form_class", "tests.nodes.leaky_forms.Gone")
    [use] = used(admin)
    assert use["nodes"] == ["n"]


def test_a_workflow_names_a_credential_that_there_is(api):
    client = api("editor")
    answer = client.post("/workflows/", leaky("bank"))
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == [
        {
            "path": "nodes[1].data.form.login",
            "message": "There is no credential of this name.",
        }
    ]
    client.post("/credentials/", SHOP)
    form = client.get("/nodes/leaky/form").json()
    assert form["fields"][0]["choices"] == [{"value": "shop", "label": "shop"}]
    valid = client.post("/nodes/leaky/validate", {"values": {"login": "shop"}}).json()
    assert valid["valid"]


# Keys


@pytest.fixture
def keys(settings):
    """Run with these keys."""

    def use(*given):
        settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "CREDENTIAL_KEYS": list(given)}

    return use


def test_without_keys_nothing_is_stored(api, keys):
    keys()
    answer = api("editor").post("/credentials/", SHOP)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "credentials_closed")
    assert not Credential.objects.exists()
    with pytest.raises(CredentialsClosed, match="set ORCHESTRATOR_CREDENTIAL_KEYS"):
        credential_keys.check_at_start()


def test_with_other_keys_no_process_begins(api, keys):
    one, two = new_key(), new_key()
    keys(one)
    credential_keys.check_at_start()
    assert api("editor").post("/credentials/", SHOP).status_code == 201
    keys(two)
    with pytest.raises(CredentialsClosed, match="were sealed under other keys"):
        credential_keys.check_at_start()
    answer = api("editor").post("/credentials/", {**SHOP, "name": "other"})
    assert answer.status_code == 503
    keys(two, one)
    credential_keys.check_at_start()


def test_rotation_puts_everything_under_the_first_key(keys):
    one, two = new_key(), new_key()
    keys(one)
    for number in range(5):
        credentials.create(SYSTEM, f"c{number}", "bearer", {"token": f"{SECRET}-{number}"})
    before = Credential.objects.get(name="c3")
    keys(two, one)
    assert credential_keys.rotate(SYSTEM) == 5
    keys(two)
    credential_keys.check_at_start()
    after = Credential.objects.get(name="c3")
    assert Keyring([two]).open(str(after.pk), after.sealed) == {"token": f"{SECRET}-3"}
    assert (after.revision, after.updated_at) == (before.revision, before.updated_at)
    keys(one)
    with pytest.raises(CredentialsClosed):
        credential_keys.rotate(SYSTEM)
    assert KeyCanary.objects.count() == 1


def test_one_row_cannot_lend_its_secret_to_another():
    credentials.create(SYSTEM, "mine", "bearer", {"token": SECRET})
    credentials.create(SYSTEM, "other", "bearer", {"token": "something-else"})
    stolen = Credential.objects.get(name="mine").sealed
    Credential.objects.filter(name="other").update(sealed=stolen)
    vault = runtime.opened(runtime.sealed(SYSTEM, ["other"]))
    with pytest.raises(CredentialsClosed, match="for another credential"):
        vault.open("other")


def test_a_change_is_seen_by_its_revision():
    credentials.create(SYSTEM, "mine", "bearer", {"token": SECRET})
    order = runtime.sealed(SYSTEM, ["mine"])
    assert runtime.revisions_of(order) == runtime.revisions(["mine"]) == {"mine": 1}
    credentials.replace(SYSTEM, "mine", values={"token": SECRET})
    assert runtime.revisions(["mine"]) == {"mine": 2}
    workflows.create(SYSTEM, leaky("mine"))
