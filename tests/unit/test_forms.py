"""BaseForm: validation, templates, cascades and the fields of our own."""

import datetime
import decimal
import json
import os
import subprocess
import sys
import uuid

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from forms import binding
from forms.base import BaseForm, load_form_class
from forms.fields import (
    CodeField,
    CredentialField,
    CronField,
    JsonField,
    KeyValueField,
    LiteralField,
    SecondsField,
    ValueField,
)
from forms.values import to_json
from orchestrator.exceptions import InvalidRequest, NodeFailed, TemplateFailed


class RequestForm(BaseForm):
    template_fields = ("retries", "method", "follow")

    url = forms.URLField(assume_scheme="https")
    method = forms.ChoiceField(choices=[("get", "GET"), ("post", "POST")], initial="get")
    retries = forms.IntegerField(min_value=0, max_value=5, initial=1)
    follow = forms.BooleanField(required=False, initial=True)
    limit = forms.IntegerField(required=False)
    body = forms.CharField(required=False)
    headers = KeyValueField(required=False)


PLACES = {"fr": ["Paris", "Lyon"], "de": ["Berlin"]}
STREETS = {"Paris": [("r1", "Rivoli")], "Lyon": ["Mercière"], "Berlin": ["Allee"]}


class PlaceForm(BaseForm):
    template_fields = ("country",)

    country = forms.ChoiceField(choices=[("fr", "France"), ("de", "Germany")])
    city = forms.ChoiceField()
    street = forms.ChoiceField(required=False)

    def get_field_dependencies(self):
        return {"street": ["city"], "city": ["country"]}

    def populate_field(self, name, parent_value, form_values):
        return (PLACES if name == "city" else STREETS)[parent_value]


class SpanForm(BaseForm):
    template_fields = ("low", "high")

    low = forms.IntegerField()
    high = forms.IntegerField()
    day = forms.DateField(required=False)

    def clean_low(self):
        if self.cleaned_data["low"] == 13:
            raise ValidationError("unlucky")
        return self.cleaned_data["low"] * 10

    def clean(self):
        values = super().clean()
        if values.get("low", 0) > values.get("high", 0):
            raise ValidationError("low is above high")
        return values


GOOD = {"url": "https://example.org"}


def test_valid_settings_have_no_problems():
    assert RequestForm.problems(GOOD) == []


def test_all_problems_are_reported_at_once():
    found = RequestForm.problems(
        {
            "url": "nowhere at all",
            "retries": 9,
            "follow": "banana",
            "body": ["a"],
            "headers": 5,
            "limit": "{{ data.x }}",
            "metod": "get",
        }
    )
    names = ["metod", "url", "retries", "limit", "headers", "follow", "body"]
    assert sorted(name for name, _ in found) == sorted(names)
    assert dict(found)["metod"] == "there is no such field"
    assert dict(found)["follow"] == "Enter true or false."


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_settings_that_are_no_object_are_a_problem(raw):
    assert [name for name, _ in RequestForm.problems(raw)] == ["__all__"]


def test_templates_are_only_parsed_at_save():
    raw = {"url": "{{ data.url }}", "retries": "{{ data.n }}", "headers": {"a": "{{ data.b }}"}}
    assert RequestForm.problems(raw) == []


def test_a_bad_template_is_reported_with_its_place():
    found = dict(
        RequestForm.problems(
            {
                "url": "{{ foo }}",
                "body": "a\n{{ data.x|format }}",
                "headers": {"rows": ["{{ data.__class__ }}"]},
            }
        )
    )
    assert found["url"].startswith("line 1, column 4: there is no 'foo'")
    assert found["body"].startswith("line 2, column 11: the filter 'format'")
    assert found["headers"].startswith("rows[0] line 1, column 8")


def test_absent_fields_have_their_initial_value():
    bound = RequestForm.bind(GOOD)
    assert bound.static_values == {
        "url": "https://example.org",
        "method": "get",
        "retries": 1,
        "follow": True,
        "limit": None,
        "body": "",
        "headers": {},
    }
    assert not bound.templated
    assert bound.render({}) is bound.static_values


def test_false_is_not_absent():
    assert RequestForm.bind({**GOOD, "follow": False}).static_values["follow"] is False


def test_binding_invalid_settings_names_every_problem():
    with pytest.raises(NodeFailed, match="url: This field is required") as caught:
        RequestForm.bind({"retries": "x"})
    assert caught.value.error_type == "FormInvalid"
    assert {problem.path for problem in caught.value.problems} == {"url", "retries"}


def test_templated_fields_are_rendered_and_cleaned():
    bound = RequestForm.bind(
        {
            "url": "https://example.org/{{ data.id }}",
            "retries": "{{ data.n }}",
            "method": "{% if data.write %}post{% else %}get{% endif %}",
            "follow": "{{ data.write }}",
            "headers": [{"key": "X", "value": "{{ data.n }}"}, {"key": "Y", "value": 1}],
        }
    )
    assert bound.templated
    assert set(bound.static_values) == {"limit", "body"}
    values = bound.render({"id": 7, "n": 3, "write": True})
    assert values["url"] == "https://example.org/7"
    assert values["retries"] == 3
    assert values["method"] == "post"
    assert values["follow"] is True
    assert values["headers"] == {"X": 3, "Y": 1}
    assert values["body"] == ""
    assert bound.render({"id": 8, "n": 0, "write": False})["method"] == "get"


@pytest.mark.parametrize(
    ("raw", "data", "name"),
    [
        ({"retries": "{{ data.x }}"}, {"x": 9}, "retries"),
        ({"retries": "{{ data.x }}"}, {"x": "many"}, "retries"),
        ({"method": "{{ data.x }}"}, {"x": "delete"}, "method"),
        ({"follow": "{{ data.x }}"}, {"x": [1]}, "follow"),
        ({"url": "{{ data.x }}"}, {"x": "not a url"}, "url"),
        ({"url": "{{ data.x }}"}, {"x": ""}, "url"),
        ({"url": "{{ data.x }}"}, {"x": None}, "url"),
        ({"url": "{{ data.x }}"}, {"x": ["https://example.org"]}, "url"),
        ({"headers": "{{ data.x }}"}, {"x": '{"a": 1}'}, "headers"),
    ],
)
def test_a_rendered_value_must_be_valid_for_its_field(raw, data, name):
    bound = RequestForm.bind({**GOOD, **raw})
    with pytest.raises(NodeFailed, match=f"{name}: ") as caught:
        bound.render(data)
    assert [problem.path for problem in caught.value.problems] == [name]


def test_what_cannot_be_rendered_names_the_field():
    with pytest.raises(TemplateFailed, match="url: 'x' is missing"):
        RequestForm.bind({"url": "{{ data.x }}"}).render({})


@pytest.mark.parametrize("value", [5, 2.5, True, [1, "a"], {"a": None}, "text"])
def test_a_text_field_of_one_expression_keeps_the_type(value):
    bound = RequestForm.bind({**GOOD, "body": "  {{ data.x }}\n"})
    assert bound.render({"x": value})["body"] == value
    assert type(bound.render({"x": value})["body"]) is type(value)
    assert RequestForm.bind({**GOOD, "body": "{{ data.x }}!"}).render({"x": 5})["body"] == "5!"


@pytest.mark.parametrize("hostile", ["{{ 7 * 7 }}", "{% raw %}", "{{ data.secret }}"])
@pytest.mark.parametrize("field", ["body", "headers"])
def test_a_rendered_value_is_never_a_template(hostile, field):
    raw = {"body": "{{ data.x }}", "headers": {"h": "<{{ data.x }}>"}}[field]
    values = RequestForm.bind({**GOOD, field: raw}).render({"x": hostile, "secret": "canary"})
    assert values[field] == (hostile if field == "body" else {"h": f"<{hostile}>"})


def test_templates_are_compiled_once_and_only_templated_fields_are_cleaned(monkeypatch):
    compiled = []
    cleaned = []
    compile_template = binding.compile_template
    clean = forms.Field.clean

    def compiling(source, advanced):
        compiled.append(source)
        return compile_template(source)

    def cleaning(self, value):
        cleaned.append(value)
        return clean(self, value)

    monkeypatch.setattr(binding, "compile_template", compiling)
    bound = RequestForm.bind({**GOOD, "retries": "{{ data.n }}"})
    monkeypatch.setattr(forms.Field, "clean", cleaning)
    for n in range(3):
        assert bound.render({"n": n})["retries"] == n
    assert compiled == ["{{ data.n }}"]
    assert cleaned == [0, 1, 2]


def test_the_items_data_is_not_changed():
    data = {"x": [1, {"a": 2}]}
    RequestForm.bind({**GOOD, "body": "{{ data.x + [3] }}"}).render(data)
    assert data == {"x": [1, {"a": 2}]}


def test_a_field_can_refuse_templates():
    class PatternForm(BaseForm):
        pattern = LiteralField()

    bound = PatternForm.bind({"pattern": "a{{2}}"})
    assert bound.static_values == {"pattern": "a{{2}}"}
    assert not bound.templated


# Hooks


def test_clean_hooks_run_for_rendered_values():
    bound = SpanForm.bind({"low": "{{ data.n }}", "high": 100, "day": "2026-01-31"})
    assert bound.render({"n": 2}) == {"low": 20, "high": 100, "day": "2026-01-31"}
    with pytest.raises(NodeFailed, match="low: unlucky"):
        bound.render({"n": 13})
    with pytest.raises(NodeFailed, match="low is above high"):
        bound.render({"n": 11})
    assert bound.render({"n": 3})["low"] == 30


def test_fields_are_compared_at_save_only_when_all_are_known():
    assert SpanForm.problems({"low": 2, "high": 1}) == [("__all__", "low is above high")]
    assert SpanForm.problems({"low": 2, "high": "{{ data.n }}"}) == []


# Cascades


def test_choices_follow_the_parents():
    assert PlaceForm.problems({"country": "fr", "city": "Lyon", "street": "Mercière"}) == []
    found = PlaceForm.problems({"country": "de", "city": "Lyon"})
    assert [name for name, _ in found] == ["city"]


@pytest.mark.parametrize("country", [None, "", "xx", {}, [], ["fr"], 5])
def test_an_invalid_parent_gives_no_choices(country):
    found = PlaceForm.problems({"country": country, "city": "Lyon"})
    assert sorted(name for name, _ in found) == ["city", "country"]


@pytest.mark.parametrize("bound", [True, False])
def test_changing_a_parent_clears_and_refills_its_descendants(bound):
    values = {"country": "fr", "city": "Paris", "street": "r1"}
    form = PlaceForm(values) if bound else PlaceForm(initial=values)
    changed = form.update_field("country", "de")
    assert changed == {"city": [("Berlin", "Berlin")], "street": []}
    assert form.get_all_field_values() == {"country": "de", "city": None, "street": None}
    assert form.update_field("city", "Berlin") == {"street": [("Allee", "Allee")]}
    assert form.get_field_value("city") == "Berlin"
    assert values == {"country": "fr", "city": "Paris", "street": "r1"}


def test_changing_an_unknown_field_is_refused():
    with pytest.raises(InvalidRequest):
        PlaceForm({}).update_field("planet", "Mars")


def test_a_posted_form_can_be_changed():
    form = PlaceForm(QueryDict("country=fr&city=Paris"))
    assert form.is_valid()
    form.update_field("country", "de")
    assert not form.is_valid()
    assert set(form.errors) == {"city"}


def test_children_of_a_templated_parent_are_checked_for_each_item():
    raw = {"country": "{{ data.c }}", "city": "Lyon"}
    assert PlaceForm.problems(raw) == []
    bound = PlaceForm.bind(raw)
    assert bound.render({"c": "fr"}) == {"country": "fr", "city": "Lyon", "street": ""}
    with pytest.raises(NodeFailed, match="city: "):
        bound.render({"c": "de"})
    assert bound.render({"c": "fr"})["city"] == "Lyon"


def test_in_a_posted_form_an_absent_box_is_not_ticked():
    form = RequestForm(QueryDict("url=https://example.org&method=get&retries=2"))
    assert form.is_valid()
    assert form.json_values["follow"] is False


# Fields


def clean(field, value):
    return to_json(field.clean(value))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (SecondsField(), 5, 5.0),
        (SecondsField(), "1.5", 1.5),
        (SecondsField(), "500ms", 0.5),
        (SecondsField(), "1h 30m", 5400.0),
        (SecondsField(), "2d", 172800.0),
        (SecondsField(required=False), "", None),
        (CodeField(), "  if x:\n", "  if x:\n"),
        (CredentialField(required=False), None, ""),
        (CronField(), " */5  * * * * ", "*/5 * * * *"),
        (CronField(), "0 9 * * mon-fri", "0 9 * * mon-fri"),
        (CronField(), "@hourly", "@hourly"),
        (CronField(required=False), "", ""),
        (JsonField(), '{"a": [1]}', {"a": [1]}),
        (JsonField(), [], []),
        (JsonField(required=False), None, None),
        (ValueField(), "5", "5"),
        (ValueField(), 5, 5),
        (ValueField(), False, False),
        (KeyValueField(), {"a": 1, "b": None}, {"a": 1, "b": None}),
        (KeyValueField(), [{"key": " a ", "value": [1]}], {"a": [1]}),
        (KeyValueField(), '{"a": "x"}', {"a": "x"}),
        (KeyValueField(required=False), None, {}),
        (forms.DecimalField(), "2.50", 2.5),
        (forms.DecimalField(), "2", 2),
        (forms.DateField(), "2026-01-31", "2026-01-31"),
        (forms.DurationField(), "00:01:30", 90.0),
        (forms.UUIDField(), "0" * 32, str(uuid.UUID(int=0))),
    ],
)
def test_cleaned_values_are_json(field, value, expected):
    cleaned = clean(field, value)
    assert cleaned == expected
    assert type(cleaned) is type(expected)
    json.dumps(cleaned, allow_nan=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (SecondsField(), -1),
        (SecondsField(), True),
        (SecondsField(), "soon"),
        (SecondsField(), "nan"),
        (SecondsField(), "1e999"),
        (SecondsField(), [1]),
        (SecondsField(), 10**400),
        (SecondsField(max_value=10), 11),
        (SecondsField(), None),
        (CredentialField(), "shop"),
        (CronField(), "* * * *"),
        (CronField(), "*/5 * * * * *"),
        (CronField(), "61 * * * *"),
        (CronField(), "0 0 31 2 *"),
        (CronField(), "R R * * *"),
        (CronField(), "h * * * *"),
        (CronField(), "* " * 3000),
        (CronField(), "@never"),
        (JsonField(), "{"),
        (JsonField(), "[NaN]"),
        (JsonField(), float("nan")),
        (JsonField(), "[" * 100 + "]" * 100),
        (ValueField(), "a\0b"),
        (ValueField(), ""),
        (KeyValueField(), {}),
        (KeyValueField(), 5),
        (KeyValueField(), "[1]"),
        (KeyValueField(), {"": 1}),
        (KeyValueField(), [{"key": "a"}, {"key": "a"}]),
        (KeyValueField(), [{"value": 1}]),
    ],
)
def test_fields_refuse(field, value):
    with pytest.raises(ValidationError):
        field.clean(value)


def test_an_items_text_in_a_json_field_is_not_read_as_json():
    class AnyForm(BaseForm):
        value = JsonField()

    assert AnyForm.bind({"value": "{{ data.x }}"}).render({"x": "[1]"}) == {"value": "[1]"}
    assert AnyForm.bind({"value": "{{ data.x }}"}).render({"x": [1]}) == {"value": [1]}
    assert AnyForm.bind({"value": '{"a": {{ data.x|tojson }}}'}).render({"x": "b"}) == {
        "value": {"a": "b"}
    }
    assert AnyForm.bind({"value": ["{{ data.x }}", 1]}).render({"x": None}) == {"value": [None, 1]}


@pytest.mark.parametrize(
    "value", [decimal.Decimal("NaN"), float("inf"), 2**53 + 1, 1j, b"x"], ids=str
)
def test_what_is_not_json_is_refused(value):
    with pytest.raises(TypeError):
        to_json(value)


def test_to_json_converts_what_django_cleans():
    moment = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert to_json({"a": (moment, {1})}) == {"a": ["2026-01-02T00:00:00+00:00", [1]]}


def test_a_number_too_large_for_json_is_a_problem():
    assert [name for name, _ in RequestForm.problems({**GOOD, "limit": 10**30})] == ["limit"]


def test_a_credential_is_one_of_the_names_there_are_and_no_template(monkeypatch):
    class LoginForm(BaseForm):
        template_fields = ("login",)
        login = CredentialField()
        web = CredentialField(required=False, kinds=("bearer", "header"))

    assert LoginForm.problems({"login": "hunter2"}) == [
        ("login", "There is no credential of this name.")
    ]
    known = {"shop": "bearer", "mail": "smtp"}
    monkeypatch.setattr(CredentialField, "known", staticmethod(lambda: known))
    assert LoginForm.problems({"login": "shop", "web": "shop"}) == []
    assert LoginForm.problems({"login": "mail", "web": "mail"}) == [
        ("web", "This credential is of the kind smtp; use one of bearer, header.")
    ]
    assert list(LoginForm().fields["web"].choices) == [("", "None"), ("shop", "shop")]
    assert LoginForm.credential_names({"login": "shop", "web": ""}) == {"login": "shop"}
    bound = LoginForm.bind({"login": "bank"})  # whoever runs it has the credentials of its order
    assert bound.static_values == {"login": "bank", "web": ""}
    for other in ("bank", "{{ data.login }}"):
        assert [name for name, _ in LoginForm.problems({"login": other})] == ["login"]


def test_code_is_a_template_only_when_it_says_so():
    class CodeForm(BaseForm):
        template_fields = ("query",)
        literal_fields = ("text",)
        query = CodeField(language="sql")
        script = CodeField(template=True)
        text = forms.CharField()

    raw = {"query": "{{ a", "script": "print({{ data.x }})", "text": "{{ b"}
    values = CodeForm.bind(raw).render({"x": 1})
    assert values == {"query": "{{ a", "script": "print(1)", "text": "{{ b"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (forms.DateField(), 20261121, "Enter a text."),
        (forms.DateField(), {"day": 1}, "Enter a text."),
        (forms.TimeField(), 12, "Enter a text."),
        (forms.DateTimeField(), [], "Enter a text."),
        (forms.NullBooleanField(), [True], "Enter true or false."),
        (forms.CharField(), {"a": 1}, "Enter a text."),
    ],
)
def test_a_value_of_another_type_is_told_at_its_field(field, value, message):
    form_class = type("TypedForm", (BaseForm,), {"value": field})
    assert form_class.problems({"value": value}) == [("value", message)]


def test_a_form_that_raises_is_a_problem_that_names_it():
    class HastyForm(BaseForm):
        count = forms.IntegerField(required=False)

        def clean(self):
            return 1 / 0

    assert HastyForm.problems({}) == [
        ("__all__", f"the form {__name__}.{HastyForm.__qualname__} failed: "
         "ZeroDivisionError: division by zero")
    ]  # fmt: skip


# Loading


def test_loads_a_form_class():
    assert load_form_class(f"{__name__}.PlaceForm") is PlaceForm


@pytest.mark.parametrize("dotted", ["nothing", "forms.base.Absent", "no.such.module.Form"])
def test_an_absent_form_class_is_an_import_error(dotted):
    with pytest.raises(ImportError):
        load_form_class(dotted)


def test_another_class_is_a_type_error():
    with pytest.raises(TypeError):
        load_form_class("pathlib.Path")


PROGRAM = """
import sys
import nodes.base, nodes.contract
assert "django" not in sys.modules
from forms.base import load_form_class
from django.conf import settings
form = load_form_class("settings_free.SizeForm")
assert settings.configured
assert load_form_class("settings_free.SizeForm") is form
bound = form.bind({"size": "{{ data.n }}", "when": "2026-01-31"})
assert bound.render({"n": 3}) == {"size": 3, "when": "2026-01-31", "wait": 1.0}
assert form.problems({"size": 9, "when": "never"}) != []
from forms.serializer import FormSerializer
assert len(FormSerializer(form).data["fields"]) == 3
print("done")
"""
MODULE = """
from django import forms
from forms.base import BaseForm
from forms.fields import SecondsField

class SizeForm(BaseForm):
    template_fields = ("size",)
    size = forms.IntegerField(max_value=5)
    when = forms.DateField()
    wait = SecondsField(initial=1)
"""


def test_forms_work_without_django_settings(tmp_path):
    (tmp_path / "settings_free.py").write_text(MODULE)
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == "done\n"
