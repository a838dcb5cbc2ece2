"""The forms of counter and string-iterator."""

from django import forms

from forms.base import BaseForm
from forms.fields import LiteralField, SecondsField
from nodes.builtin.common_forms import LARGEST, fixed


class CounterForm(BaseForm):
    start = forms.IntegerField(initial=0, min_value=-LARGEST, max_value=LARGEST)
    stop = forms.IntegerField(
        required=False,
        min_value=-LARGEST,
        max_value=LARGEST,
        help_text="The count ends before this number; empty: it never ends.",
    )
    step = forms.IntegerField(
        initial=1, min_value=-LARGEST, max_value=LARGEST, help_text="Negative to count down."
    )
    interval = fixed(SecondsField(required=False, help_text="Pause between two items."))

    def clean_step(self) -> int:
        step: int = self.cleaned_data["step"]
        if step == 0:
            raise forms.ValidationError("A step of 0 leads nowhere.")
        return step


class StringIteratorForm(BaseForm):
    text = LiteralField(strip=False, widget=forms.Textarea, help_text="One item for each line.")
    skip_blank = forms.BooleanField(required=False, initial=True, label="Skip blank lines")
