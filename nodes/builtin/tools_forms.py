"""The form of tool."""

from django import forms

from forms.base import BaseForm
from forms.fields import KeyValueField, LiteralField
from nodes.builtin.common_forms import fixed


class ToolForm(BaseForm):
    tool = LiteralField(max_length=200, help_text="The name it is registered by.")
    arguments = KeyValueField(
        required=False, help_text="A name and its value, such as {{ data.order_id }}"
    )
    target = LiteralField(
        max_length=200, initial="result", label="Result", help_text="The field for the result."
    )
    replace = fixed(
        forms.BooleanField(
            required=False, help_text="Let the result take the place of a field that is there."
        )
    )
