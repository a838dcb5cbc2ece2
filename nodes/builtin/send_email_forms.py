"""The form of send-email."""

from email.utils import formataddr, getaddresses, parseaddr
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from forms.base import BaseForm
from forms.fields import CredentialField, SecondsField
from nodes.builtin.common_forms import fixed

MAX_RECEIVERS = 100


class AddressesField(forms.CharField):  # type: ignore[misc]
    """Addresses of mail, with commas between them; a template may give a list."""

    def to_python(self, value: Any) -> list[str]:
        given = value if isinstance(value, list) else [super().to_python(value)]
        texts = [str(text) for text in given]
        if any(not text.isprintable() for text in texts):
            raise ValidationError("An address has no line breaks.")
        found = [address for _, address in getaddresses([text for text in texts if text.strip()])]
        for address in found:
            _check(address)
        if len(found) > MAX_RECEIVERS:
            raise ValidationError(f"A mail has at most {MAX_RECEIVERS} receivers.")
        return found

    def clean_rendered(self, value: Any, single: bool) -> list[str]:
        cleaned: list[str] = self.clean(value)
        return cleaned

    def validate(self, value: list[str]) -> None:
        if self.required and not value:
            raise ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: list[str]) -> None:
        """The length is that of the list, which is checked."""


class SenderField(forms.CharField):  # type: ignore[misc]
    """One address, with a name or without: `Shop <shop@example.com>`."""

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        if not text:
            return ""
        if not text.isprintable():
            raise ValidationError("An address has no line breaks.")
        name, address = parseaddr(text)
        _check(address)
        return formataddr((name, address))


class SubjectLineField(forms.CharField):  # type: ignore[misc]
    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        if not text.isprintable():
            raise ValidationError("A subject has no line breaks.")
        return text


def _check(address: str) -> None:
    try:
        validate_email(address)
    except ValidationError:
        raise ValidationError(f"{address[:100]!r} is no address of mail.") from None


class SendEmailForm(BaseForm):
    credential = CredentialField(
        kinds=("smtp",), label="Server", help_text="A credential with host, user and password."
    )
    sender = SenderField(max_length=500, label="From", help_text="Shop <shop@example.com>")
    to = AddressesField(help_text="{{ data.email }}, or several with commas.")
    cc = AddressesField(required=False, label="Copy to")
    bcc = AddressesField(required=False, label="Hidden copy to")
    reply_to = SenderField(required=False, max_length=500, label="Answers to")
    subject = SubjectLineField(max_length=500)
    text = forms.CharField(widget=forms.Textarea, strip=False)
    timeout = fixed(SecondsField(initial=30, min_value=0.1, max_value=300))
