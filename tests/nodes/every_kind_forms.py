from django import forms

from forms.base import BaseForm
from forms.fields import CronField, JsonField, KeyValueField, SecondsField, ValueField

NUMBERS = [(1, "one"), (2, "two"), (3, "three")]


class EveryKindForm(BaseForm):
    template_fields = ("integer", "number", "flag", "choice", "several")

    text = forms.CharField(required=False)
    multiline = forms.CharField(required=False, widget=forms.Textarea)
    integer = forms.IntegerField(required=False)
    number = forms.FloatField(required=False)
    flag = forms.BooleanField(required=False)
    choice = forms.TypedChoiceField(required=False, choices=NUMBERS, coerce=int, empty_value=None)
    several = forms.MultipleChoiceField(required=False, choices=NUMBERS)
    value = ValueField(required=False)
    json = JsonField(required=False)
    pairs = KeyValueField(required=False)
    duration = SecondsField(required=False)
    cron = CronField(required=False)
    date = forms.DateField(required=False)
    datetime = forms.DateTimeField(required=False)
    email = forms.EmailField(required=False)
    secret = forms.CharField(required=False, widget=forms.PasswordInput)
    bare = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)


class OutOfReachForm(BaseForm):
    thing = forms.ChoiceField()
    note = forms.CharField()

    def get_field_dependencies(self):
        return {"thing": []}

    def populate_field(self, name, parent_value, form_values):
        raise OSError("nobody answers")


class BrokenForm(BaseForm):
    def __init__(self, *args, **kwargs):
        raise RuntimeError("as told")
