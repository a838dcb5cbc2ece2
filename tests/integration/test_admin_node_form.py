"""A node's form in the admin: shown, saved as a new version, and nothing else touched."""

import copy
import json

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from orchestrator.models import Workflow, WorkflowVersion
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.integration.pages import Form

pytestmark = pytest.mark.django_db

PLACE = {"country": "at", "state": "at-6", "size": "large", "city": "Graz", "target": "home"}
SINGLE = "{{ data.x }}"
TYPED = {
    "aggregate": {"count": 5, "seconds": "90 s"},
    "batch": {"size": 7, "timeout": "1h 30m"},
    "counter": {"start": "3", "stop": 9, "step": 2, "interval": 0.5},
    "data-transformer": {"fields": {"a": SINGLE, "b": 5, "c": "5", "d": None, "e": {"f": [1.0]}}},
    "debug": {"message": "a\nb {{ data.x }}", "level": "warning"},
    "deduplicate": {"key": " padded ", "remember": 12, "ttl": "90"},
    "dynamic-delay": {"seconds": "{{ data.retry_after }}"},
    "file-reader": {"path": "in.csv", "format": "csv", "delimiter": "\t", "has_header": False},
    "file-writer": {"path": "o.csv", "format": "csv", "columns": ["a", "b"], "delimiter": ";"},
    "filter": {"field": "a", "operator": "greater", "value": "{{ data.limit }}"},
    "for-each": {"field": "lines", "target": "parts"},
    "group": {
        "policy": "at_least_n",
        "n": 1,
        "timeout": "5 s",
        "members": [{"name": "m", "tool": "t", "arguments": {"n": 1}}],
    },
    "http-poll": {
        "url": "https://example.org/",
        "cursor": "items",
        "cursor_field": "id",
        "cursor_param": "after",
    },
    "http-request": {"url": "https://example.org/{{ data.id }}", "method": "POST", "retries": 2},
    "http-response": {"status": 201, "body": {"a": 1}},
    "if-condition": {"field": "a", "operator": "equals", "value": 5},
    "merge": {"key": "{{ data.id }}", "wait_for": "any", "timeout": "5 s"},
    "parse-json": {"field": "line", "target": ""},
    "parse-regex": {"field": "line", "pattern": "  (?P<a>\\d+)\t", "no_match": "pass"},
    "queue-reader": {"queue_name": "orders"},
    "queue-writer": {"queue_name": "orders"},
    "rate-limit": {"limit": 5, "seconds": 2, "too_early": "drop"},
    "redis-publish": {
        "address": "redis://redis.example.org:6379/0",
        "name": "news",
        "message": "a",
    },
    "schedule": {"cron": "*/5 * * * *", "timezone": "Europe/Berlin", "times": 3},
    "sql-poll": {"file": "a.sqlite3", "sql": "SELECT id FROM t WHERE id > :cursor ORDER BY id"},
    "sql-query": {"file": "a.sqlite3", "sql": "SELECT 1\n"},
    "static-delay": {"seconds": 2.5},
    "string-iterator": {"text": "\n\n a\r\nb \n", "skip_blank": False},
    "switch": {"value": "{{ data.kind }}", "cases": [{"key": "a", "value": "b"}]},
    "tool": {"tool": "t", "arguments": {"n": "{{ data.n }}"}, "target": "r"},
}
"""Values that are not the defaults, for each built-in node with a form."""
KINDS = {
    "text": '"><script>alert(1)</script>',
    "multiline": "\nfirst\n",
    "integer": "5",
    "number": 1.0,
    "flag": "true",
    "choice": 2,
    "several": [1, "3"],
    "value": [1, "two", None, True, 1.5, {"a": []}],
    "json": {"a": SINGLE, "b": [1.0, 1, True, None, "1"]},
    "pairs": {"one": "1", "two": 2, "three": {"x": "y\nz"}, "four": ""},
    "duration": "500 ms",
    "cron": "@hourly",
    "date": "2026-02-03",
    "datetime": "2026-02-03T04:05:06",
    "email": "a@example.org",
    "secret": "hunter2",
    "bare": "kept",
}
TEMPLATED = dict.fromkeys(("integer", "number", "flag", "choice", "several", "pairs"), SINGLE)
PRODUCERS = (
    "counter",
    "file-reader",
    "queue-reader",
    "schedule",
    "string-iterator",
    "http-poll",
    "sql-poll",
)


def workflow_of(node_type, form):
    """Return a workflow with one node of a type, and keys that only a studio knows."""
    node = {"id": "n", "type": node_type, "position": {"x": 1, "y": 2.0}, "data": {"form": form}}
    node["data"]["note"] = "kept"
    start = {"id": "s", "type": "counter", "data": {"label": "Start"}}
    edges = [{"id": "e", "source": "s", "target": "n"}]
    if node_type in PRODUCERS:
        return {"name": "One", "nodes": [node], "viewport": {"zoom": 1}}
    return {"name": "One", "nodes": [start, node], "edges": edges, "viewport": {"zoom": 1}}


def stored(node_type, form):
    workflows.create(SYSTEM, workflow_of(node_type, form))


def url(node="n", workflow="one"):
    return reverse("admin:orchestrator_workflow_node", args=[workflow, node])


def form_of(client, node="n"):
    answer = client.get(url(node))
    assert answer.status_code == 200
    return Form(answer.content.decode(), "node-form")


def newest():
    return WorkflowVersion.objects.filter(workflow="one").first()


def saved_form():
    return newest().definition["nodes"][-1]["data"]["form"]


def same(one, other):
    """Whether two JSON values are the same, types included; PostgreSQL keeps no order of keys."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.fixture
def editor(client, make_user):
    return login(client, make_user("editor"))


def login(client, user):
    user.is_staff = True
    user.save()
    user.user_permissions.add(*Permission.objects.filter(codename="view_workflow"))
    client.force_login(user)
    return client


def test_the_workflow_leads_to_its_nodes(editor):
    stored("place", PLACE)
    page = editor.get(reverse("admin:orchestrator_workflow_change", args=["one"])).content.decode()
    assert f'href="{url("s")}"' in page and f'href="{url("n")}"' in page
    assert ">Start<" in page and ">Place<" in page


def test_staff_without_a_role_see_no_nodes(client, make_user):
    stored("place", PLACE)
    staff = login(client, make_user())
    page = staff.get(reverse("admin:orchestrator_workflow_change", args=["one"]))
    assert page.status_code == 200 and url("n") not in page.content.decode()
    assert staff.get(url()).status_code == 403 and staff.post(url()).status_code == 403


def test_a_form_is_shown_with_its_saved_values(editor):
    stored("place", PLACE)
    form = form_of(editor)
    posted = form.data()
    assert {name: posted[f"form-{name}"] for name in PLACE} == {n: [v] for n, v in PLACE.items()}
    assert "Styria" in form.text and "Of this state, and of this size." in form.text
    assert "Texas" not in form.text


def test_saving_makes_a_version_with_other_settings_of_this_node_only(editor):
    stored("place", PLACE)
    before = copy.deepcopy(newest().definition)
    answer = editor.post(url(), form_of(editor).data(city="Graz", target="address"))
    assert answer.status_code == 302 and answer["Location"] == url()
    assert [str(m) for m in get_messages(answer.wsgi_request)] == ["Saved as version 2."]
    version = newest()
    assert (version.number, version.created_by.username) == (2, "editor")
    before["nodes"][1]["data"]["form"]["target"] = "address"
    assert same(version.definition, before)


CASES = [*TYPED.items(), ("every-kind", KINDS), ("every-kind", TEMPLATED), ("place", PLACE)]


@pytest.mark.parametrize(("node_type", "form"), CASES, ids=lambda case: str(case)[:40])
@pytest.mark.parametrize("given", [True, False], ids=["saved", "defaults"])
def test_what_nobody_changed_stays_as_it_is(editor, node_type, form, given):
    form = form if given else {name: form[name] for name in form if _is_needed(node_type, name)}
    stored(node_type, form)
    answer = editor.post(url(), form_of(editor).data())
    assert [str(m) for m in get_messages(answer.wsgi_request)] == ["Nothing was changed."]
    assert newest().number == 1 and same(saved_form(), form)


def _is_needed(node_type, name):
    form = workflow_of(
        node_type, {key: v for key, v in dict(CASES)[node_type].items() if key != name}
    )
    try:
        workflows.check(SYSTEM, form)
    except Exception:
        return True
    return node_type == "queue-reader"


def test_every_built_in_node_with_a_form_was_tried():
    from orchestrator.runtime.engine import flow_engine

    nodes = [n for n in flow_engine().registry if n.__module__.startswith("nodes.builtin.")]
    chosen = {"send-email", "sub-workflow", "webhook"}  # from rows that their own tests make
    assert {node.identifier for node in nodes if node.form_class} == set(TYPED) | chosen


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("text", "5", "5"),
        ("text", "{{ data.a }}\r\nb", "{{ data.a }}\nb"),
        ("integer", "6", 6),
        ("integer", "", None),
        ("number", "2", 2),
        ("number", "2.50", 2.5),
        ("integer", SINGLE, SINGLE),
        ("flag", ["", "on"], True),
        ("flag-template", SINGLE, SINGLE),
        ("choice", "3", 3),
        ("choice-template", SINGLE, SINGLE),
        ("several", ["", "1", "3"], [1, 3]),
        ("several", [""], []),
        ("value", "5", "5"),
        ("json", '{"a": 1.0, "b": "{{ data.x }}"}', {"a": 1.0, "b": SINGLE}),
        ("json", SINGLE, SINGLE),
        ("json", '"text"', '"text"'),
        ("pairs-template", SINGLE, SINGLE),
        ("duration", "30", 30),
        ("duration", "5m", "5m"),
        ("date", "2027-01-01", "2027-01-01"),
        ("secret", "new", "new"),
    ],
)
def test_a_changed_text_becomes_a_value_of_its_kind(editor, name, typed, value):
    before = {"integer": 5, "several": [2], "choice": 1}
    stored("every-kind", before)
    editor.post(url(), form_of(editor).data(**{name: typed}))
    assert newest().number == 2
    assert same({**saved_form()}, {**before, name.removesuffix("-template"): value})


@pytest.mark.parametrize(("typed", "value"), [("5", 5), ("[1, null]", [1, None]), ('"5"', "5")])
def test_a_value_that_is_said_to_be_json_is_read_as_such(editor, typed, value):
    stored("every-kind", {"value": "old"})
    editor.post(url(), form_of(editor).data(**{"value": typed, "value-as": "json"}))
    assert same(saved_form(), {"value": value})


def test_named_values_are_changed_one_by_one(editor):
    kept = {"a": 1.0, "b": "x\r\ny"}
    stored("every-kind", {"pairs": {**kept, "changed": "a", "gone": 3}})
    changes = {
        "pairs-key": ["a", "b", "changed", "", "new", "text"],
        "pairs-value": ["1.0", "x\r\ny", "b", "", "[2]", "2"],
        "pairs-as": ["json", "text", "text", "text", "json", "text"],
    }
    editor.post(url(), form_of(editor).data(**changes))
    wanted = {**kept, "changed": "b", "new": [2], "text": "2"}
    assert same(saved_form(), {"pairs": wanted})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"integer": "six"}, "Enter a whole number."),
        ({"integer": "9" * 400}, "too large"),
        ({"text": "a\r\n{{ data. }}"}, "line 2, column 10"),
        ({"text": "{{ open('x') }}"}, "line 1, column 4"),
        ({"value": "{", "value-as": "json"}, "Enter valid JSON"),
        ({"json": "{"}, "Enter valid JSON"),
        ({"pairs-key": ["a", "a"], "pairs-value": ["1", "2"], "pairs-as": ["text"] * 2}, "twice"),
        ({"pairs-key": ["a"], "pairs-value": ["{"], "pairs-as": ["json"]}, "a: Enter valid JSON"),
        ({"several": ["", "9"]}, "Select a valid choice"),
        ({"date": "soon"}, "Enter a valid date."),
    ],
)
def test_an_error_stands_at_its_field_and_nothing_is_stored(editor, changes, message):
    stored("every-kind", KINDS)
    answer = editor.post(url(), form_of(editor).data(**changes))
    page = answer.content.decode()
    assert answer.status_code == 422 and newest().number == 1
    name = next(iter(changes)).partition("-")[0]
    place = page.split(f'id="form-{name}-errors"')[1].split("</ul>")[0]
    assert message in Form(place, "").text
    posted = Form(page, "node-form").data()
    for control, value in changes.items():
        wanted = value if isinstance(value, list) else [value]
        assert posted[f"form-{control}"][: len(wanted)] == wanted


def test_without_javascript_another_parent_has_other_choices(editor):
    stored("place", PLACE)
    answer = editor.post(url(), form_of(editor).data(country="us"))
    page = Form(answer.content.decode(), "node-form")
    assert answer.status_code == 422 and "Texas" in page.text and "Vienna" not in page.text
    assert "at-6 (not one of the choices)" in page.text
    answer = editor.post(url(), page.data(state="us-tx", city="Houston"))
    assert answer.status_code == 302
    assert same(saved_form(), {**PLACE, "country": "us", "state": "us-tx", "city": "Houston"})


def test_two_people_do_not_overwrite_each_other(editor):
    stored("place", PLACE)
    mine = form_of(editor)
    other = workflow_of("place", {**PLACE, "target": "theirs"})
    workflows.save(SYSTEM, "one", other)
    answer = editor.post(url(), mine.data(target="mine"))
    page = Form(answer.content.decode(), "node-form")
    assert answer.status_code == 409 and newest().number == 2
    assert "there is a newer version, 2, by the system" in page.text and "Reload" in page.text
    assert page.data()["form-target"] == ["mine"]
    assert editor.post(url(), page.data()).status_code == 409
    assert editor.post(url(), form_of(editor).data(target="mine")).status_code == 302
    assert saved_form()["target"] == "mine"


def test_a_version_that_is_made_while_another_is_checked_is_not_overwritten(editor, monkeypatch):
    stored("place", PLACE)
    mine, digest = form_of(editor), workflows.digest

    def slow_digest(spec):
        monkeypatch.setattr(workflows, "digest", digest)
        workflows.save(SYSTEM, "one", workflow_of("place", {**PLACE, "target": "theirs"}))
        return digest(spec)

    monkeypatch.setattr(workflows, "digest", slow_digest)
    assert editor.post(url(), mine.data(target="mine")).status_code == 409
    assert newest().number == 2 and saved_form()["target"] == "theirs"


@pytest.mark.parametrize("version", ["", "x", "-1", "1" * 5000, "\u0663"])
def test_a_page_without_its_version_cannot_be_saved(editor, version):
    stored("place", PLACE)
    data = {**form_of(editor).data(target="mine"), "version": [version]}
    assert editor.post(url(), data).status_code == 409
    assert newest().number == 1


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_staff_who_may_not_save_only_look(client, make_user, role):
    stored("every-kind", {**KINDS, "flag": True})
    looking = login(client, make_user(role))
    answer = looking.get(url())
    page = answer.content.decode()
    form = Form(page, "node-form")
    assert answer.status_code == 200 and form.controls == [] and "node_form_page.js" not in page
    assert "a@example.org" in form.text and "hunter2" not in page and "Save" not in form.text
    answer = looking.post(url(), {"version": "1", "form-text": "x"})
    assert answer.status_code == 403 and newest().number == 1


def test_people_without_the_admin_see_nothing(client, make_user):
    stored("place", PLACE)
    assert client.get(url()).status_code == 302
    user = make_user("editor")
    client.force_login(user)
    assert client.get(url()).status_code == 302
    user.is_staff = True
    user.save()
    assert client.get(url()).status_code == 403


def test_csrf_is_asked_for(make_user):
    from django.test import Client

    stored("place", PLACE)
    strict = login(Client(enforce_csrf_checks=True), make_user("editor"))
    assert strict.post(url(), {"version": "1", "form-target": "x"}).status_code == 403
    assert newest().number == 1


def test_nodes_that_are_not_there(editor):
    stored("place", PLACE)
    for missing in (url("m"), url("n", "two"), url("..."), url('"><b>')):
        assert editor.get(missing).status_code == 404
        assert editor.post(missing, {"version": "1"}).status_code == 404


def test_a_node_without_a_form_says_so(editor):
    stored("background", {})
    form = form_of(editor)
    assert "This node has no settings." in form.text and form.controls == []
    assert editor.post(url(), {"version": "1"}).status_code == 302
    assert newest().number == 1


def test_a_type_that_is_not_installed_says_so(editor):
    stored("place", PLACE)
    set_node("plaice", PLACE)
    form = form_of(editor)
    assert "no node has the type 'plaice'; did you mean 'place'?" in form.text
    answer = editor.post(url("s"), form_of(editor, "s").data(stop="5"))
    assert answer.status_code == 422 and "nodes[1].type" in answer.content.decode()
    assert Workflow.objects.get().versions.count() == 1


def test_a_secret_is_kept_and_never_shown(editor):
    stored("every-kind", {"secret": "hunter2"})
    page = editor.get(url()).content.decode()
    assert "hunter2" not in page
    editor.post(url(), Form(page, "node-form").data(text="x"))
    assert saved_form() == {"secret": "hunter2", "text": "x"}


HOSTILE = [
    "{{ 7*7 }}", "{{ data.__class__ }}", "{% for x in data %}{% endfor %}", "{{", "{%", "\x00",
    "{{ " + "(" * 3000, "\ud800".encode("utf-8", "surrogatepass"), "\u202e", "<script>", "[" * 5000,
    '{"a":' * 200, "1e999", "NaN", "-", "9" * 5000, '"\\ud800"', "\r", "\x1b[0m", "{# x", "${x}",
]  # fmt: skip
FREE = ("form-text", "form-multiline", "form-value", "form-pairs-value")
"""Fields that take almost any text."""


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_text_in_any_field_breaks_the_page_or_is_rendered(editor, text):
    stored("every-kind", {})
    form = form_of(editor)
    names = {name for name, _ in form.controls} - {"version", "csrfmiddlewaretoken"}
    texts = [name for name in names if not name.endswith(("-as", "-template"))]
    templates = [name for name in names if name.endswith("-template")]
    for given in (texts, templates, FREE):
        for kind in ("text", "json"):
            kinds = {name: [kind] for name in names if name.endswith("-as")}
            data = {**form.data(), **kinds, "version": [newest().number]}
            answer = editor.post(url(), {**data, **{name: [text] for name in given}})
            assert answer.status_code in (302, 422), given
            if answer.status_code == 302:
                answer = editor.get(url())
            page = answer.content.decode()
            assert '<script>"' not in page and ">49<" not in page and '"49"' not in page


def test_what_looks_like_a_template_is_stored_as_it_is(editor):
    stored("every-kind", {})
    editor.post(url(), form_of(editor).data(text="{{ 7*7 }}", duration="{{ 6*7 }}"))
    assert saved_form() == {"text": "{{ 7*7 }}", "duration": "{{ 6*7 }}"}
    assert form_of(editor).data()["form-text"] == ["{{ 7*7 }}"]


def test_a_source_of_choices_that_is_away_says_so_and_nothing_is_lost(editor):
    stored("place", PLACE)
    set_node("out-of-reach", {"thing": "kept", "note": "a"})
    form = form_of(editor)
    assert "kept (not one of the choices)" in form.text and "nobody answers" in form.text
    assert form.data()["form-thing"] == ["kept"]
    answer = editor.post(url(), form.data(note="b"))
    page = Form(answer.content.decode(), "node-form")
    assert answer.status_code == 422 and page.data()["form-note"] == ["b"]


def test_a_form_that_fails_says_so(editor):
    stored("place", PLACE)
    set_node("broken-form", {"a": 1})
    form = form_of(editor)
    assert "RuntimeError: as told" in form.text and form.controls == []
    assert editor.post(url(), {"version": "1"}).status_code == 422
    assert newest().number == 1


def set_node(node_type, form):
    """Store what could not be saved now, as of a node that was changed since."""
    version = newest()
    version.definition["nodes"][1].update(type=node_type, data={"form": form})
    WorkflowVersion.objects.filter(pk=version.pk).update(definition=version.definition)


def test_an_error_of_a_field_that_is_not_shown_is_seen(editor):
    stored("every-kind", {})
    answer = editor.post(url(), form_of(editor).data(bare="x" * 50))
    assert answer.status_code == 422
    assert "Bare: Ensure this value has at most 20" in Form(answer.content.decode(), "").text


LOOP = "{% for x in data.items %}{{ x }}{% endfor %}"


def test_loops_are_for_those_who_may_have_them(client, make_user):
    node = workflow_of("every-kind", {"text": LOOP})
    node["nodes"][1]["data"]["config"] = {"advanced_templates": True, "pool": "process"}
    workflows.create(SYSTEM, node)
    staff = login(client, make_user("editor"))
    form = form_of(staff)
    assert form.data()["form-text"] == [LOOP] and "not allowed" not in form.text
    assert staff.post(url(), form.data(email="a@example.org")).status_code == 403
    assert newest().number == 1
    staff = login(client, make_user("admin"))
    assert staff.post(url(), form.data(email="a@example.org")).status_code == 302
    assert saved_form() == {"text": LOOP, "email": "a@example.org"}
