"""The form of aggregate."""

from typing import Any

from django import forms

from forms.base import BaseForm
from forms.fields import KeyValueField, SecondsField
from nodes.builtin.aggregating import parse_figure
from nodes.builtin.common_forms import SubjectField, fixed

_TAKEN = ("key", "count")


class FiguresField(KeyValueField):
    """Names of new fields, and how each is made: `sum(price)`."""

    template = False

    def to_python(self, value: Any) -> dict[str, str]:
        figures = super().to_python(value)
        for name, text in figures.items():
            if name in _TAKEN:
                raise forms.ValidationError(f"The name {name!r} is taken: it is always there.")
            try:
                parse_figure(text)
            except ValueError as error:
                raise forms.ValidationError(f"{name}: {error}.") from None
        return figures


class AggregateForm(BaseForm):
    key = SubjectField(
        required=False,
        help_text="What is counted together: the name of a field, or a template; empty: all.",
    )
    figures = FiguresField(
        required=False,
        help_text="total: sum(price). There are count, sum, average, min, max, first and last.",
    )
    count = fixed(
        forms.IntegerField(
            required=False,
            min_value=1,
            max_value=1_000_000,
            label="After items",
            help_text="Pass a key's figures on after so many items of it.",
        )
    )
    seconds = fixed(
        SecondsField(
            required=False,
            min_value=0.01,
            label="After time",
            help_text="Pass all figures on every so many seconds: 30, 5m",
        )
    )
