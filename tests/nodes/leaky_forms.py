from django import forms

from forms.base import BaseForm
from forms.fields import CredentialField
from tests.nodes.leaky import WAYS


class LeakyForm(BaseForm):
    login = CredentialField()
    way = forms.ChoiceField(choices=[(way, way) for way in WAYS], required=False)
