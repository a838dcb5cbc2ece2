"""The form of debug."""

from django import forms

from forms.base import BaseForm


class DebugForm(BaseForm):
    message = forms.CharField(
        required=False, help_text="What to log; empty: the whole item. May be a template."
    )
    level = forms.ChoiceField(
        choices=[("debug", "debug"), ("info", "info"), ("warning", "warning")], initial="info"
    )
