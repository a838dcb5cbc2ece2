"""The forms of batch and deduplicate."""

from django import forms

from forms.base import BaseForm
from forms.fields import SecondsField
from nodes.builtin.common_forms import SubjectField, fixed


class BatchForm(BaseForm):
    size = forms.IntegerField(min_value=1, max_value=1000, initial=100)
    timeout = fixed(
        SecondsField(
            required=False,
            min_value=0.01,
            help_text="Pass on what there is after this time; empty: wait for the whole batch.",
        )
    )


class DeduplicateForm(BaseForm):
    key = SubjectField(
        help_text="The name of a field, or a template: {{ data.shop }}-{{ data.order }}"
    )
    remember = forms.IntegerField(
        min_value=1, max_value=2000, initial=1000, help_text="How many keys are remembered."
    )
    ttl = fixed(
        SecondsField(
            required=False,
            min_value=1,
            label="Forget after",
            help_text="Time after which a key counts as new; empty: never.",
        )
    )
