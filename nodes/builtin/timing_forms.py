"""The forms of the delays and of rate-limit."""

from django import forms

from forms.base import BaseForm
from forms.fields import SecondsField
from nodes.builtin.common_forms import SubjectField, fixed

LONGEST = 24 * 3600.0


class StaticDelayForm(BaseForm):
    seconds = fixed(SecondsField(max_value=LONGEST, initial=1))


class DynamicDelayForm(BaseForm):
    seconds = SecondsField(max_value=LONGEST, help_text="Such as {{ data.retry_after }}")


class RateLimitForm(BaseForm):
    limit = fixed(forms.IntegerField(min_value=1, max_value=1_000_000, label="Items"))
    seconds = fixed(
        SecondsField(
            min_value=0.001,
            max_value=LONGEST,
            initial=1,
            label="In",
            help_text="The time in which so many may pass: 1, 1m, 1h",
        )
    )
    burst = fixed(
        forms.IntegerField(
            min_value=1, max_value=1000, initial=1, help_text="How many may pass at once."
        )
    )
    key = SubjectField(
        required=False,
        help_text="What is limited by itself: the name of a field, or a template; empty: all.",
    )
    too_early = forms.ChoiceField(
        choices=[("wait", "waits"), ("drop", "is dropped")],
        initial="wait",
        label="What is too early",
    )
