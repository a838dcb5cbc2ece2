from django import forms

from forms.base import BaseForm


class FaultyForm(BaseForm):
    value = forms.IntegerField()
    action = forms.ChoiceField(choices=[(a, a) for a in ("block", "spin", "exit", "kill", "raise")])
    seconds = forms.FloatField(required=False, initial=5)
