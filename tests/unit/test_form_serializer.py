"""FormSerializer: what the API and the studio are told about a form."""

import json
from typing import ClassVar

import pytest
from django import forms

from forms.base import BaseForm
from forms.fields import (
    CodeField,
    CredentialField,
    CronField,
    JsonField,
    KeyValueField,
    SecondsField,
    ValueField,
)
from forms.serializer import FormSerializer
from nodes import files
from nodes.fields import FileField


@pytest.fixture(autouse=True)
def folder(tmp_path):
    """A files folder of this test's own."""
    before = files._folder
    files.configure(tmp_path)
    (tmp_path / "in.csv").touch()
    yield
    files._folder = before


MODELS = {"vw": [("golf", "Golf"), ("polo", "Polo")]}


class CarForm(BaseForm):
    template_fields = ("doors",)

    make = forms.ChoiceField(choices=[("vw", "Volkswagen")], help_text="Who built it.")
    model = forms.ChoiceField()
    doors = forms.IntegerField(min_value=1, max_value=5, initial=4)
    electric = forms.BooleanField(required=False)
    notes = forms.CharField(required=False, widget=forms.Textarea, max_length=50)
    colours = forms.MultipleChoiceField(
        required=False, choices=[("Warm", [("r", "Red")]), ("b", "Blue")]
    )
    price = forms.DecimalField(required=False)
    built = forms.DateField(required=False)
    key = forms.CharField(required=False, widget=forms.PasswordInput, initial="canary")
    site = forms.URLField(required=False, assume_scheme="https")
    wait = SecondsField(required=False)
    plan = CronField(required=False)
    extra = JsonField(required=False)
    rows = KeyValueField(required=False)
    left = ValueField(required=False)

    def get_field_dependencies(self):
        return {"model": ["make"]}

    def populate_field(self, name, parent_value, form_values):
        return MODELS[parent_value]


def fields(form):
    return {field["name"]: field for field in FormSerializer(form).data["fields"]}


def test_describes_every_field_of_a_class():
    found = fields(CarForm)
    assert list(found) == list(CarForm.base_fields)
    assert found["make"] == {
        "name": "make",
        "label": "Make",
        "help": "Who built it.",
        "kind": "choice",
        "required": True,
        "initial": None,
        "choices": [{"value": "vw", "label": "Volkswagen"}],
        "choices_error": None,
        "suggestions": None,
        "value": None,
        "errors": [],
        "template": False,
        "depends_on": [],
        "visible": True,
        "visible_when": None,
        "limits": {},
        "language": None,
    }
    assert found["model"]["depends_on"] == ["make"]
    assert found["model"]["choices"] == []
    assert found["doors"]["initial"] == 4
    assert found["doors"]["choices"] is None
    assert found["colours"]["choices"] == [
        {"value": "r", "label": "Red", "group": "Warm"},
        {"value": "b", "label": "Blue"},
    ]


def test_names_the_kind_of_each_field():
    assert {name: field["kind"] for name, field in fields(CarForm).items()} == {
        "make": "choice",
        "model": "choice",
        "doors": "integer",
        "electric": "boolean",
        "notes": "multiline",
        "colours": "multiple_choice",
        "price": "number",
        "built": "date",
        "key": "password",
        "site": "url",
        "wait": "duration",
        "plan": "cron",
        "extra": "json",
        "rows": "key_value",
        "left": "value",
    }


def test_says_which_fields_take_templates():
    taking = {name for name, field in fields(CarForm).items() if field["template"]}
    assert taking == {"doors", "notes", "key", "site", "wait", "extra", "rows", "left"}


def test_gives_values_choices_and_errors_of_a_bound_form():
    form = CarForm({"make": "vw", "model": "beetle", "doors": "{{ data.n }}", "notes": "{{ x }}"})
    found = fields(form)
    assert found["model"]["choices"] == [
        {"value": "golf", "label": "Golf"},
        {"value": "polo", "label": "Polo"},
    ]
    assert found["model"]["value"] == "beetle"
    assert len(found["model"]["errors"]) == 1
    assert found["doors"]["value"] == "{{ data.n }}"
    assert found["doors"]["errors"] == []
    assert found["notes"]["errors"][0].startswith("line 1, column 4")


def test_never_gives_a_secret_back():
    form = CarForm({"make": "vw", "model": "golf", "key": "canary"})
    assert "canary" not in json.dumps(
        [FormSerializer(form).data, FormSerializer(form).json_schema()]
    )


def test_gives_errors_of_the_whole_form():
    class SpanForm(BaseForm):
        low = forms.IntegerField()

        def clean(self):
            raise forms.ValidationError("never")

    assert FormSerializer(SpanForm({"low": 1})).data["errors"] == ["never"]


def test_is_json():
    for form in (CarForm, CarForm({"price": "2.5", "extra": {"a": 1}})):
        json.dumps(FormSerializer(form).data, allow_nan=False)


def test_makes_a_json_schema():
    schema = FormSerializer(CarForm).json_schema()
    json.dumps(schema, allow_nan=False)
    properties = schema["properties"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["make", "model"]
    assert properties["make"]["enum"] == ["vw"]
    assert "enum" not in properties["model"]
    assert properties["electric"]["type"] == ["boolean", "null"]
    assert properties["notes"]["anyOf"][0] == {"type": "string", "maxLength": 50}
    integer, template = properties["doors"]["anyOf"]
    assert integer == {"type": "integer", "minimum": 1, "maximum": 5}
    assert template["type"] == "string"
    assert properties["doors"]["default"] == 4


class LimitsForm(BaseForm):
    template_fields = ("port",)
    literal_fields = ("plain",)
    visible_when: ClassVar = {"port": {"kind": {"tcp", "udp"}}}

    kind = forms.ChoiceField(choices=[("tcp", "TCP"), ("udp", "UDP"), ("pipe", "Pipe")])
    port = forms.IntegerField(min_value=1, max_value=65535)
    name = forms.RegexField(r"\A[a-z]+\Z", min_length=2, max_length=9)
    plain = forms.CharField(required=False)
    query = CodeField(required=False, language="sql")
    script = CodeField(required=False, language="python", template=True)
    login = CredentialField(required=False)
    path = FileField(required=False)


def test_tells_limits_kinds_languages_and_visibility():
    found = fields(LimitsForm({"kind": "pipe"}))
    assert found["port"]["limits"] == {"minimum": 1, "maximum": 65535}
    assert found["name"]["limits"] == {"minLength": 2, "maxLength": 9, "pattern": "^[a-z]+$"}
    assert (found["query"]["kind"], found["query"]["language"]) == ("code", "sql")
    assert (found["login"]["kind"], found["path"]["kind"]) == ("credential", "file")
    assert found["login"]["choices"] == [{"value": "", "label": "None"}]
    assert (found["path"]["choices"], found["path"]["suggestions"]) == (None, files.existing())
    assert sorted(found["port"]["visible_when"]["kind"]) == ["tcp", "udp"]
    assert (found["port"]["visible"], found["kind"]["visible"]) == (False, True)
    assert fields(LimitsForm({"kind": "udp"}))["port"]["visible"]
    assert {name for name, field in found.items() if field["template"]} == {
        "port", "name", "script"
    }  # fmt: skip


def test_files_that_exist_are_proposed_but_for_hidden_ones_and_links(tmp_path):
    (tmp_path / "logs" / "old").mkdir(parents=True)
    (tmp_path / "logs" / "old" / "access.log").touch()
    (tmp_path / "logs" / "access.log").touch()
    (tmp_path / ".secret").touch()
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "etc").symlink_to("/etc")
    assert FileField().suggestions() == ["in.csv", "logs/access.log", "logs/old/access.log"]
    assert len(files.existing(2)) == 2


def test_a_field_that_may_be_hidden_need_not_be_given():
    assert FormSerializer(LimitsForm).json_schema()["required"] == ["kind", "name"]
