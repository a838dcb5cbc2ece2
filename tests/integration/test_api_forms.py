"""`/nodes/<type>/form` and `/nodes/<type>/validate`: a form by HTTP."""

import json

import pytest

from examples.places.place import Place
from examples.places.place_forms import PlaceForm
from forms.choices import cache
from nodes.testing import driven
from orchestrator.runtime.engine import flow_engine

pytestmark = pytest.mark.django_db

HOME = {"country": "us", "state": "us-ca", "size": "small", "city": "Berkeley"}


@pytest.fixture
def viewer(api):
    cache.clear()
    yield api("viewer")
    cache.clear()


def post(client, values, changed=None, node_type="place"):
    answer = client.post(f"/nodes/{node_type}/form", {"values": values, "changed": changed})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return {field["name"]: field for field in body["fields"]}, body["errors"]


def choices(field):
    return [choice["value"] for choice in field["choices"]]


def values_of(fields):
    return {name: field["value"] for name, field in fields.items()}


def test_country_state_and_city_by_the_api(viewer):
    form = viewer.get("/nodes/place/form").json()
    fields = {field["name"]: field for field in form["fields"]}
    assert fields["state"]["depends_on"] == ["country"]
    assert fields["city"]["depends_on"] == ["state", "size"]
    assert choices(fields["country"]) == ["at", "ca", "us"]
    assert (choices(fields["state"]), choices(fields["city"])) == ([], [])

    fields, _ = post(viewer, values_of(fields) | {"country": "us"}, "country")
    assert choices(fields["state"]) == ["us-ca", "us-or", "us-tx"]
    assert choices(fields["city"]) == []
    fields, _ = post(viewer, values_of(fields) | {"state": "us-ca"}, "state")
    assert choices(fields["city"]) == ["Los Angeles", "San Francisco"]
    fields, _ = post(viewer, values_of(fields) | {"city": "San Francisco"}, "city")
    assert fields["city"]["value"] == "San Francisco"
    # The second parent: another size empties and refills the city, and leaves the state alone.
    fields, _ = post(viewer, values_of(fields) | {"size": "small"}, "size")
    assert (fields["state"]["value"], fields["city"]["value"]) == ("us-ca", None)
    assert choices(fields["city"]) == ["Berkeley"]
    fields, _ = post(viewer, values_of(fields) | {"city": "Berkeley"}, "city")
    # The root: everything below is emptied.
    fields, _ = post(viewer, values_of(fields) | {"country": "at"}, "country")
    assert (fields["state"]["value"], fields["city"]["value"]) == (None, None)
    assert choices(fields["state"]) == ["at-5", "at-6", "at-9"]
    assert choices(fields["city"]) == []


def test_after_a_change_only_what_is_filled_in_has_errors(viewer):
    fields, _ = post(viewer, {"country": "us", "size": "huge"}, "country")
    assert {name for name, field in fields.items() if field["errors"]} == {"size"}
    fields, _ = post(viewer, {"country": "us", "size": "huge"})
    assert {name for name, field in fields.items() if field["errors"]} == {"size", "state", "city"}


def test_a_form_with_saved_values_is_filled_again(viewer):
    fields, errors = post(viewer, HOME)
    assert choices(fields["city"]) == ["Berkeley"]
    assert errors == []
    assert not any(field["errors"] for field in fields.values())
    fields, _ = post(viewer, {**HOME, "city": "Atlantis"})
    assert fields["city"]["value"] == "Atlantis"
    assert "Atlantis" in fields["city"]["errors"][0]


def test_fields_come_and_go_with_the_value_they_depend_on(viewer):
    fields, _ = post(viewer, HOME)
    assert not fields["population_field"]["visible"]
    assert fields["population_field"]["visible_when"] == {"with_population": [True]}
    fields, _ = post(viewer, {**HOME, "with_population": True, "population_field": ""})
    assert fields["population_field"]["visible"]
    assert fields["population_field"]["errors"] == ["This field is required."]


def validate(client, values, node_type="place"):
    answer = client.post(f"/nodes/{node_type}/validate", {"values": values})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_valid_values_come_back_cleaned(viewer):
    assert validate(viewer, HOME) == {
        "valid": True,
        "problems": [],
        "values": {
            **HOME, "target": "place", "with_population": False, "population_field": "",
        },
    }  # fmt: skip
    assert validate(viewer, {"seconds": "1h 30m"}, "static-delay")["values"] == {"seconds": 5400}
    assert validate(viewer, {}, "queue-reader")["valid"]


@pytest.mark.parametrize(
    ("node_type", "values", "path", "message"),
    [
        ("place", {**HOME, "city": "Graz"}, "form.city", "Select a valid choice"),
        ("place", {**HOME, "planet": "Mars"}, "form.planet", "there is no such field"),
        ("place", {**HOME, "with_population": "banana"}, "form.with_population", "true or false"),
        ("place", {**HOME, "target": ["a"]}, "form.target", "Enter a text"),
        ("place", {**HOME, "country": {"a": 1}}, "form.country", "Select a valid choice"),
        ("counter", {"start": [1]}, "form.start", "whole number"),
        ("counter", {"step": 10**15 * 9}, None, ""),
        ("debug", {"message": "a\n{{ data.x | nope }}"}, "form.message", "line 2, column 13"),
        ("debug", {"message": "{{ "}, "form.message", "line 1, column"),
        ("tool", {"tool": "t", "arguments": {"a": ["{{ a.b }}"]}}, "form.arguments", "a[0] line 1"),
        ("schedule", {}, "form.interval", "Give an interval"),
        ("switch", {"value": "x", "cases": "{"}, "form.cases", "valid JSON"),
        ("file-reader", {"path": "../secret_key"}, "form.path", "inside the files folder"),
    ],
)
def test_each_problem_has_its_place(viewer, node_type, values, path, message):
    found = validate(viewer, values, node_type)
    if path is None:
        assert found["valid"]
        return
    assert not found["valid"]
    assert found["values"] is None
    assert message in {p["path"]: p["message"] for p in found["problems"]}[path]
    fields, errors = post(viewer, values, node_type=node_type)
    name = path.removeprefix("form.")
    texts = fields[name]["errors"] if name in fields else errors
    assert message in " ".join(texts)


@pytest.mark.parametrize("door", ["form", "validate"])
@pytest.mark.parametrize("method", ["post"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"values": []}', 400),
        (b'{"values": null}', 400),
        (b'{"values": "x"}', 400),
        (b'{"values": {}, "change": "x"}', 400),
        (b'{"values": {"a": NaN}}', 400),
        (b'{"values": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}", 400),
        (b'{"values": {"target": "' + b"x" * 3_000_000 + b'"}}', 413),
    ],
    ids=range(11),
)
def test_a_body_that_cannot_be_used_is_refused(viewer, door, method, body, status):
    answer = viewer.post(f"/nodes/place/{door}", body, content_type="application/json")
    assert answer.status_code == status, answer.content
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("changed", ["planet", "", 5, ["country"], "x" * 300])
def test_a_change_of_no_field_is_refused(viewer, changed):
    answer = viewer.post("/nodes/place/form", {"values": HOME, "changed": changed})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == "changed"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "form", None),
        ("post", "form", {"values": HOME}),
        ("post", "form", {"values": HOME, "changed": "country"}),
        ("post", "validate", {"values": HOME}),
    ],
)
@pytest.mark.parametrize("hook", ["get_field_dependencies", "__init__", "get_all_field_values"])
def test_a_form_that_raises_is_named_and_nothing_else_breaks(
    viewer, monkeypatch, method, path, body, hook
):
    def fail(self, *args, **kwargs):
        raise LookupError("out of order")

    monkeypatch.setattr(PlaceForm, hook, fail)
    answer = getattr(viewer, method)(f"/nodes/place/{path}", body)
    assert answer.status_code == (200 if path == "validate" else 422)
    told = json.dumps(answer.json())
    assert "examples.places.place_forms.PlaceForm failed: LookupError: out of order" in told
    assert "trace" not in told.lower()


def test_a_form_that_cannot_be_loaded_is_named(viewer, monkeypatch):
    monkeypatch.setattr(Place, "form_class", "examples.places.no_forms.Form")
    for answer in (
        viewer.get("/nodes/place/form"),
        viewer.post("/nodes/place/form", {"values": {}}),
        viewer.post("/nodes/place/validate", {"values": {}}),
    ):
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "form_failed"
        assert "examples.places.no_forms" in answer.json()["error"]["message"]


def test_a_source_that_is_away_is_an_error_in_place(viewer, monkeypatch):
    async def fail(self, name, parent_value, form_values):
        if name == "state":
            raise ConnectionError("no route to the atlas")
        return ["at", "us"] if name == "country" else []

    monkeypatch.setattr(PlaceForm, "populate_field", fail)
    fields, _ = post(viewer, HOME)
    assert choices(fields["country"]) == ["at", "us"]
    assert "no route to the atlas" in fields["state"]["choices_error"]
    assert fields["state"]["errors"] == [fields["state"]["choices_error"]]
    assert fields["state"]["value"] == "us-ca"
    problems = validate(viewer, HOME)["problems"]
    assert {problem["path"] for problem in problems} == {"form.state", "form.city"}


@pytest.mark.parametrize("advanced", [False, True])
def test_loops_in_templates_are_an_error_unless_the_node_may_have_them(viewer, advanced):
    body = {"values": {"message": "{% for x in data.l %}{{ x }}{% endfor %}"}, "advanced": advanced}
    form = viewer.post("/nodes/debug/form", body).json()
    assert bool(form["fields"][0]["errors"]) is not advanced
    assert viewer.post("/nodes/debug/validate", body).json()["valid"] is advanced


def test_a_node_without_settings_has_an_empty_form(viewer, monkeypatch):
    monkeypatch.setattr(Place, "form_class", None)
    assert viewer.get("/nodes/place/form").json()["fields"] == []
    assert post(viewer, {}) == ({}, [])
    assert validate(viewer, {}) == {"valid": True, "problems": [], "values": {}}


@pytest.mark.parametrize("door", ["form", "validate"])
def test_an_unknown_type_is_not_found(viewer, door):
    answer = viewer.post(f"/nodes/nothing/{door}", {"values": {}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_node_type")


def test_who_has_no_role_is_refused(api):
    for door in ("form", "validate"):
        assert api(None).post(f"/nodes/place/{door}", {"values": {}}).status_code == 403


def test_a_secret_is_not_given_back(viewer, monkeypatch):
    from django import forms

    monkeypatch.setitem(
        PlaceForm.base_fields, "target", forms.CharField(widget=forms.PasswordInput)
    )
    values = {**HOME, "target": "canary"}
    for door in ("form", "validate"):
        answer = viewer.post(f"/nodes/place/{door}", {"values": values})
        assert answer.status_code == 200
        assert b"canary" not in answer.content


def test_the_schema_describes_the_forms(api):
    schema = json.loads(api("viewer").get("/schema/?format=json").content)
    shapes = schema["components"]["schemas"]
    assert set(shapes["FormRequest"]["properties"]) == {"values", "changed", "advanced"}
    assert set(shapes["ValidateAnswer"]["properties"]) == {"valid", "problems", "values"}
    form = api("viewer").get("/nodes/place/form").json()
    assert set(shapes["FieldShape"]["properties"]) == set(form["fields"][0])
    assert set(shapes["FormAnswer"]["properties"]) == set(form)


WORKFLOW = {
    "name": "Places",
    "nodes": [
        {"id": "1", "type": "counter", "data": {"form": {"stop": 3}}},
        {"id": "2", "type": "place", "data": {"form": {**HOME, "target": "home"}}},
    ],
    "edges": [{"id": "a", "source": "1", "target": "2"}],
}


def test_while_a_source_is_away_what_was_saved_starts_and_nothing_else_is_saved(api, monkeypatch):
    async def fail(self, name, parent_value, form_values):
        raise ConnectionError("no route to the atlas")

    editor = api("editor")
    assert editor.post("/workflows/", WORKFLOW).status_code == 201
    cache.clear()
    monkeypatch.setattr(PlaceForm, "populate_field", fail)
    answer = editor.put("/workflows/places/", {**WORKFLOW, "name": "Other"})
    assert answer.status_code == 400
    told = {d["path"]: d["message"] for d in answer.json()["error"]["details"]}
    assert "no route to the atlas" in told["nodes[1].data.form.country"]
    answer = editor.post("/prod/start", {"workflow_id": "places"})
    assert answer.status_code == 202, answer.content
    assert flow_engine().load_saved(WORKFLOW).graph.nodes["2"]


async def test_the_node_adds_the_place():
    async with driven(Place, {**HOME, "with_population": True}) as run:
        assert await run.data({"id": 1}) == {
            "id": 1,
            "place": {
                "city": "Berkeley", "state": "California", "country": "United States",
                "population": 119_000,
            },
        }  # fmt: skip
