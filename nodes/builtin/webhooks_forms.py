"""The forms of webhook and http-response."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.validators import RegexValidator

from forms.base import BaseForm
from forms.fields import CredentialField, JsonField, LiteralField, SecondsField, ValueField
from nodes.builtin.common_forms import fixed
from storage.codec import MAX_BYTES

METHODS = ("POST", "PUT", "GET")
_PATH = RegexValidator(
    r"\A[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z",
    "Letters, digits, - and _, with single slashes between them: shop/orders",
)
_HEADER = RegexValidator(r"\A[A-Za-z0-9-]{1,100}\Z", "The name of a header: letters, digits, -.")
_TYPE = RegexValidator(
    r"\A[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}(; charset=utf-8)?\Z",
    "A content type such as text/csv.",
)


class WebhookForm(BaseForm):
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {
        "credential": {"check": ["token"]},
        "secret": {"check": ["hmac"]},
        "signature_header": {"check": ["hmac"]},
        "timestamp_header": {"check": ["hmac"]},
        "timeout": {"respond": ["workflow"]},
    }

    path = LiteralField(
        max_length=200,
        validators=[_PATH],
        help_text="What comes behind /webhooks/ in the address, such as shop/orders.",
    )
    methods = forms.MultipleChoiceField(
        choices=[(name, name) for name in METHODS], initial=["POST"]
    )
    check = forms.ChoiceField(
        choices=[
            ("token", "a login or token in a header"),
            ("hmac", "a signature of the body (HMAC-SHA256)"),
            ("none", "nothing: anybody may call it"),
        ],
        initial="token",
        help_text="What a request has to prove.",
    )
    credential = CredentialField(
        kinds=("bearer", "header", "http-basic"), help_text="What the caller has to send."
    )
    secret = CredentialField(
        kinds=("generic",), help_text="Its value named secret is the key of the signature."
    )
    signature_header = LiteralField(
        initial="X-Hub-Signature-256",
        validators=[_HEADER],
        help_text="Holds the signature in hex, with or without sha256= before it, or in base64.",
    )
    timestamp_header = LiteralField(
        required=False,
        validators=[_HEADER],
        help_text="Holds the time, in seconds since 1970; then the signature is that of the time, a"
        " dot and the body, and a request older than five minutes is refused.",
    )
    idempotency_header = LiteralField(
        required=False,
        initial="Idempotency-Key",
        validators=[_HEADER],
        help_text="Requests with the same value in it are taken once within 24 hours.",
    )
    max_bytes = fixed(
        forms.IntegerField(
            initial=128 * 1024, min_value=1, max_value=MAX_BYTES, label="Largest body"
        )
    )
    respond = forms.ChoiceField(
        choices=[
            ("accepted", "202 as soon as the request is stored"),
            ("workflow", "wait for an http-response node"),
        ],
        initial="accepted",
        label="Answer",
    )
    timeout = fixed(
        SecondsField(
            initial=30, min_value=0.1, max_value=60, help_text="Seconds to wait for the answer."
        )
    )
    sample = fixed(
        JsonField(required=False, help_text="The body that an item has on the bench, as JSON.")
    )


class HttpResponseForm(BaseForm):
    template_fields = ("status",)

    status = forms.IntegerField(initial=200, min_value=200, max_value=599)
    body = ValueField(
        required=False, help_text="A text, or any JSON; {{ data.total }} is what the item has."
    )
    content_type = LiteralField(
        required=False,
        validators=[_TYPE],
        help_text="Empty: text/plain for a text, application/json for anything else.",
    )

    def clean_status(self) -> int:
        status: int = self.cleaned_data["status"]
        if 300 <= status < 400:
            raise forms.ValidationError("An answer cannot lead anywhere else: use 2xx, 4xx or 5xx.")
        return status
