from django import forms

from forms.base import BaseForm

ACTIONS = ("wait", "block", "hold", "spin", "exit", "kill", "raise")


class FaultyForm(BaseForm):
    value = forms.IntegerField()
    action = forms.ChoiceField(choices=[(a, a) for a in ACTIONS])
    seconds = forms.FloatField(required=False, initial=5)
