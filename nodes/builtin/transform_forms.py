"""The forms of data-transformer, parse-json and parse-regex."""

import re

from django import forms

from forms.base import BaseForm
from forms.fields import KeyValueField, LiteralField
from nodes.builtin.common_forms import field_name


class DataTransformerForm(BaseForm):
    fields = KeyValueField(
        label="New fields", help_text="A name and its value, such as {{ data.price * data.count }}"
    )


class ParseJsonForm(BaseForm):
    field = field_name(initial="line")
    target = LiteralField(
        required=False,
        max_length=200,
        help_text="A field for the whole value; empty: an object's fields are added to the item.",
    )


class ParseRegexForm(BaseForm):
    field = field_name(initial="line")
    pattern = LiteralField(
        strip=False,
        max_length=1000,
        help_text=r"With named groups: (?P<status>\d{3}). Do not nest repeats, as (a+)+ does.",
    )
    no_match = forms.ChoiceField(
        choices=[("fail", "fail"), ("pass", "pass on, with matched = false")],
        initial="fail",
        label="No match",
    )

    def clean_pattern(self) -> str:
        pattern: str = self.cleaned_data["pattern"]
        try:
            groups = re.compile(pattern).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            raise forms.ValidationError(f"Not a regular expression: {error}") from None
        if not groups:
            raise forms.ValidationError("Name at least one group: (?P<name>...)")
        return pattern
