"""The form of merge."""

from django import forms

from forms.base import BaseForm
from forms.fields import SecondsField
from nodes.builtin.common_forms import SubjectField, fixed


class MergeForm(BaseForm):
    key = SubjectField(help_text="What items that belong together have in common: order_id")
    wait_for = forms.ChoiceField(
        choices=[
            ("all", "all of them: they become one item"),
            ("any", "any of them: the first is passed on, the others are dropped"),
        ],
        initial="all",
    )
    count = fixed(
        forms.IntegerField(
            min_value=2, max_value=1000, initial=2, help_text="How many belong together."
        )
    )
    part = SubjectField(
        required=False,
        help_text="Which of them an item is: the name of a field, or a template; empty: any.",
    )
    timeout = fixed(
        SecondsField(
            required=False,
            min_value=0.01,
            help_text="Pass on what there is after this time; empty: wait for ever.",
        )
    )
