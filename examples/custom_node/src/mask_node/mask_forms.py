"""The settings of mask-field."""

from django import forms

from forms.base import BaseForm
from forms.fields import LiteralField


class MaskFieldForm(BaseForm):
    field = LiteralField(max_length=200, help_text="The name of the field to mask.")
    keep = forms.IntegerField(
        min_value=0, max_value=100, initial=4, help_text="How many characters stay readable."
    )
