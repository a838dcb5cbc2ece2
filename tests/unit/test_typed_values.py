"""A field that holds exactly one expression keeps the value's type, and is cleaned again."""

import pytest
from django import forms

from forms.base import BaseForm
from forms.fields import JsonField, KeyValueField, SecondsField, ValueField
from orchestrator.exceptions import NodeFailed

COLOURS = [("r", "red"), ("g", "green")]


class EveryForm(BaseForm):
    template_fields = (
        "whole",
        "real",
        "exact",
        "flag",
        "maybe",
        "choice",
        "coerced",
        "several",
        "day",
        "moment",
        "span",
    )

    text = forms.CharField(required=False)
    mail = forms.EmailField(required=False)
    whole = forms.IntegerField(required=False, min_value=0, max_value=100)
    real = forms.FloatField(required=False)
    exact = forms.DecimalField(required=False, max_digits=5, decimal_places=2)
    flag = forms.BooleanField(required=False)
    maybe = forms.NullBooleanField(required=False)
    choice = forms.ChoiceField(required=False, choices=COLOURS)
    coerced = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, choices=[(1, "one"), (2, "two")]
    )
    several = forms.MultipleChoiceField(required=False, choices=COLOURS)
    day = forms.DateField(required=False)
    moment = forms.DateTimeField(required=False)
    span = forms.DurationField(required=False)
    value = ValueField(required=False)
    json = JsonField(required=False)
    pairs = KeyValueField(required=False)
    seconds = SecondsField(required=False, max_value=60)


def rendered(name, value, source="{{ data.x }}"):
    return EveryForm.bind({name: source}).render({"x": value})[name]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("text", 5, 5),
        ("text", 2.5, 2.5),
        ("text", True, True),
        ("text", [1, "a"], [1, "a"]),
        ("text", {"a": None}, {"a": None}),
        ("text", "5", "5"),
        ("mail", "ada@example.org", "ada@example.org"),
        ("whole", 5, 5),
        ("whole", "5", 5),
        ("whole", 5.0, 5),
        ("real", 2.5, 2.5),
        ("real", 2, 2.0),
        ("real", "2.5", 2.5),
        ("exact", 2.5, 2.5),
        ("exact", "2.25", 2.25),
        ("flag", True, True),
        ("flag", False, False),
        ("flag", "false", False),
        ("flag", None, False),
        ("maybe", True, True),
        ("maybe", None, None),
        ("choice", "r", "r"),
        ("coerced", 2, 2),
        ("coerced", "2", 2),
        ("several", ["r", "g"], ["r", "g"]),
        ("several", [], []),
        ("day", "2026-01-31", "2026-01-31"),
        ("moment", "2026-01-31 10:00", "2026-01-31T10:00:00+00:00"),
        ("span", "00:01:30", 90.0),
        ("value", 5, 5),
        ("value", "5", "5"),
        ("value", "[1]", "[1]"),
        ("value", [1], [1]),
        ("value", None, None),
        ("json", {"a": [1]}, {"a": [1]}),
        ("json", "[1]", "[1]"),
        ("json", 5, 5),
        ("pairs", {"a": 1}, {"a": 1}),
        ("pairs", [{"key": "a", "value": True}], {"a": True}),
        ("seconds", 5, 5.0),
        ("seconds", 0.5, 0.5),
        ("seconds", "1m", 60.0),
    ],
)
def test_each_kind_of_field_keeps_or_makes_its_type(name, value, expected):
    found = rendered(name, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail", "nobody"),
        ("mail", 5),
        ("whole", 101),
        ("whole", -1),
        ("whole", 2.5),
        ("whole", True),
        ("whole", [1]),
        ("whole", "1 + 1"),
        ("whole", "five"),
        ("real", "nan"),
        ("real", [1]),
        ("exact", 2.125),
        ("exact", True),
        ("flag", "maybe"),
        ("flag", 2),
        ("flag", [True]),
        ("choice", "blue"),
        ("choice", ["r"]),
        ("coerced", 3),
        ("several", "r"),
        ("several", "['r']"),
        ("several", ["r", "blue"]),
        ("several", {"r": 1}),
        ("day", "yesterday"),
        ("day", 5),
        ("day", [2026, 1, 31]),
        ("moment", 5),
        ("moment", {}),
        ("span", "soon"),
        ("span", [1]),
        ("pairs", "a"),
        ("pairs", '{"a": 1}'),
        ("pairs", 5),
        ("pairs", [1]),
        ("seconds", 61),
        ("seconds", -1),
        ("seconds", True),
        ("seconds", "soon"),
        ("seconds", [1]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, value):
    with pytest.raises(NodeFailed, match=rf"invalid settings: {name}: "):
        rendered(name, value)


@pytest.mark.parametrize("name", EveryForm.base_fields)
@pytest.mark.parametrize(
    "text", ["[1]", "None", "1 + 1", "__import__('os')", "{{ 1 }}", "{'a': 1}"]
)
def test_no_text_is_evaluated(name, text):
    try:
        value = rendered(name, text)
    except NodeFailed:
        return
    assert value == text


@pytest.mark.parametrize("name", ["whole", "real", "exact", "seconds", "flag", "json"])
def test_a_template_with_more_than_an_expression_is_read_as_its_text(name):
    source, wanted = {
        "whole": ("{{ data.x }}0", 40),
        "real": ("{{ data.x }}.5", 4.5),
        "exact": ("{{ data.x }}.5", 4.5),
        "seconds": ("{{ data.x }}s", 4.0),
        "flag": ("{% if data.x %}true{% endif %}", True),
        "json": ('{"a": {{ data.x }}}', {"a": 4}),
    }[name]
    assert rendered(name, 4, source) == wanted
