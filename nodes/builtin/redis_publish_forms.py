"""The form of redis-publish."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from forms.base import BaseForm
from forms.fields import CredentialField, LiteralField, SecondsField, ValueField
from nodes.builtin.common_forms import fixed
from nodes.builtin.resp import parse_redis
from orchestrator.exceptions import InvalidRequest


class MessageField(ValueField):
    """A text, or any JSON, whose texts may be templates."""

    widget = forms.Textarea


class RedisPublishForm(BaseForm):
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {"keep": {"kind": ["stream"]}}

    address = LiteralField(
        required=False,
        max_length=500,
        help_text="redis://host:6379/0, for a server without a password.",
    )
    credential = CredentialField(
        required=False,
        kinds=("database-url",),
        help_text="In place of an address, one with a password: redis://user:password@host/0",
    )
    kind = forms.ChoiceField(
        choices=[("channel", "a channel"), ("stream", "a stream")], initial="channel", label="To"
    )
    name = forms.CharField(max_length=500, help_text="Of the channel or the stream: orders")
    message = MessageField(help_text="A text or JSON: {{ data.order | tojson }}")
    keep = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000_000,
        help_text="About how many messages the stream keeps; empty: all.",
    )
    target = LiteralField(
        required=False,
        max_length=200,
        label="Result",
        help_text="The field for the number of listeners, or the id; empty: none.",
    )
    timeout = fixed(SecondsField(initial=10, min_value=0.1, max_value=300))

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        if address:
            try:
                place = parse_redis(address)
            except InvalidRequest as error:
                raise forms.ValidationError(f"{error.message}.") from None
            if place.user or place.password:
                raise forms.ValidationError("A password belongs into a credential.")
        return address

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound or {"address", "credential"} & self.errors.keys():
            return
        given = [name for name in ("address", "credential") if self.get_field_value(name)]
        if len(given) != 1:
            self.add_error("address", "Give an address or a credential: one of them.")
