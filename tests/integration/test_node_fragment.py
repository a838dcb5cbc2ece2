"""A node's form as a part of a page: what was typed comes back, with what follows from it."""

import json
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.integration.pages import Form

pytestmark = pytest.mark.django_db

PLACE = {"country": "at", "state": "at-6", "size": "large", "city": "Graz"}


class Root(HTMLParser):
    """The attributes of the fragment's first element, and of each control by its name."""

    def __init__(self, page):
        super().__init__()
        self.attributes, self.controls = {}, {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.attributes = self.attributes or attrs
        if "name" in attrs:
            self.controls[attrs["name"]] = attrs


class Fragment:
    """The answer to a form that was posted."""

    def __init__(self, answer):
        self.status = answer.status_code
        self.page = answer.content.decode()
        self.form = Form(f"<form id='f'>{self.page}</form>", "f")
        self.root = Root(self.page)

    @property
    def values(self):
        return json.loads(self.root.attributes["data-values"])

    def errors(self, name):
        place = self.page.split(f'id="form-{name}-errors"')[1].split("</ul>")[0]
        return " ".join(Form(place, "").text.split(">")[-1].split())

    def data(self, **changes):
        return {**self.form.data(**changes), "values": [json.dumps(self.values)]}


@pytest.fixture
def editor(client, make_user):
    client.force_login(make_user("editor"))
    return client


def opened(client, node_type, values):
    body = {"values": values}
    return Fragment(
        client.post(f"/studio/forms/{node_type}/", body, content_type="application/json")
    )


def post(client, node_type, data):
    kind = "application/x-www-form-urlencoded"
    path, body = f"/studio/forms/{node_type}/", urlencode(data, doseq=True)
    return client.post(path, body, kind, headers={"Accept": "text/html"})


def typed(client, node_type, before, changed=(), **changes):
    return Fragment(post(client, node_type, {**before.data(**changes), "changed": list(changed)}))


def test_a_form_opens_with_the_values_of_its_node(editor):
    form = opened(editor, "place", PLACE)
    assert form.status == 200 and form.values == PLACE
    assert form.form.data()["form-city"] == ["Graz"]
    assert "Texas" not in form.form.text and "Styria" in form.form.text


def test_what_was_typed_comes_back_as_values_of_its_kind(editor):
    form = opened(editor, "every-kind", {"integer": 5, "bare": "kept"})
    form = typed(editor, "every-kind", form, ["integer"], integer="6", value="[1]")
    assert form.values == {"integer": 6, "bare": "kept", "value": "[1]"}
    form = typed(editor, "every-kind", form, ["value"], **{"value-as": "json"})
    assert form.values["value"] == [1]


def test_a_change_clears_what_depends_on_it_and_nothing_else(editor):
    form = opened(editor, "place", {**PLACE, "target": "home"})
    form = typed(editor, "place", form, ["country"], country="ca")
    assert form.values == {"country": "ca", "size": "large", "target": "home"}
    assert form.errors("state") == form.errors("city") == ""
    assert form.form.data()["form-state"] == [""] and "Ontario" in form.form.text
    assert "State, City: new choices." in form.form.text
    form = typed(editor, "place", form, ["state"], state="ca-bc")
    assert form.values["state"] == "ca-bc" and "Vancouver" in form.form.text


def test_a_child_that_changed_together_with_its_parent_is_cleared(editor):
    form = opened(editor, "place", PLACE)
    form = typed(editor, "place", form, ["state", "country"], state="at-9", country="us")
    assert form.values == {"country": "us", "size": "large"}


def test_an_error_stands_at_its_field_and_what_was_typed_is_kept(editor):
    form = opened(editor, "debug", {"message": "{{ data.a }}"})
    form = typed(editor, "debug", form, ["message"], message="{{ data. }}")
    assert form.status == 422
    assert "line 1, column 10" in form.errors("message")
    assert form.root.controls["form-message"]["aria-invalid"] == "true"
    assert form.values == {"message": "{{ data. }}"}


def test_what_is_no_json_keeps_the_value_and_says_so(editor):
    form = opened(editor, "every-kind", {"value": [1]})
    form = typed(editor, "every-kind", form, ["value"], **{"value": "[1", "value-as": "json"})
    assert form.status == 422 and "Enter valid JSON" in form.errors("value")
    assert form.values == {"value": [1]} and form.form.data()["form-value"] == ["[1"]


def test_rows_stay_in_their_places(editor):
    form = opened(editor, "data-transformer", {"fields": {"a": 1}})
    posted = form.form.data()["form-fields-key"]
    assert posted == ["a", "", ""]
    columns = {"fields-key": ["a", "", "b"], "fields-value": ["1", "", "x"]}
    columns["fields-as"] = ["json", "text", "text"]
    form = typed(editor, "data-transformer", form, ["fields"], **columns)
    assert form.values == {"fields": {"a": 1, "b": "x"}}
    assert form.form.data()["form-fields-key"] == ["a", "", "b", ""]


def test_a_field_appears_with_the_tick_it_hangs_on(editor):
    form = opened(editor, "place", PLACE)
    hidden = 'data-name="population_field"'
    row = form.page.split(hidden)[1].split(">")[0]
    assert "hidden" in row
    form = typed(editor, "place", form, ["with_population"], with_population=["", "on"])
    assert "hidden" not in form.page.split(hidden)[1].split(">")[0]
    assert form.values == {**PLACE, "with_population": True}


def test_a_secret_stays_and_is_in_no_control(editor):
    form = opened(editor, "every-kind", {"secret": "hunter2"})
    form = typed(editor, "every-kind", form, ["text"], text="x")
    assert form.values == {"secret": "hunter2", "text": "x"}
    assert form.root.controls["form-secret"].get("value", "") == ""
    form = typed(editor, "every-kind", form, ["secret"], secret="new")
    assert form.values["secret"] == "new"


def test_loops_in_templates_need_the_option(editor):
    loop = {"message": "{% for x in data.l %}{{ x }}{% endfor %}"}
    form = opened(editor, "debug", loop)
    assert form.status == 422
    answer = post(editor, "debug", {"values": json.dumps(loop), "advanced": "true"})
    assert answer.status_code == 200


def test_unknown_values_are_told_and_kept(editor):
    form = opened(editor, "counter", {"stop": 1, "<b>": 2})
    assert form.status == 422 and form.values == {"stop": 1, "<b>": 2}
    assert "&lt;b&gt;: there is no such field" in form.page and "<b>" not in form.page


@pytest.mark.parametrize(
    ("node_type", "body", "status"),
    [
        ("no-such", {"form-x": "1"}, 404),
        ("counter", {"values": "[]"}, 400),
        ("counter", {"values": "{"}, 400),
        ("counter", {"values": '{"a": NaN}'}, 400),
        ("counter", {"values": "{" * 200}, 400),
        ("counter", {"advanced": "x"}, 400),
        ("counter", {"changed": ["no-such", ""], "form-stop": "3"}, 400),
        ("counter", {"changed": "no-such", "form-stop": "3"}, 200),
        ("counter", {"form-stop": "\x00"}, 422),
        ("counter", {"form-stop": "9" * 5000}, 422),
    ],
)
def test_bad_input(editor, node_type, body, status):
    answer = post(editor, node_type, body)
    assert answer.status_code == status
    if status in (400, 404):
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
def test_whoever_may_read_node_types_may_see_their_forms(client, make_user, role):
    client.force_login(make_user(role))
    assert opened(client, "counter", {}).status == 200


def test_the_csrf_token_is_asked_for(make_user):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("editor"))
    assert post(strict, "counter", {"form-stop": "1"}).status_code == 403
