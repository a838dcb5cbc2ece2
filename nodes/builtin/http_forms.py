"""The forms of http-request and http-poll."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from forms.base import BaseForm
from forms.fields import (
    CredentialField,
    JsonField,
    KeyValueField,
    LiteralField,
    SecondsField,
    ValueField,
)
from nodes.builtin.common_forms import field_name, fixed
from nodes.builtin.http_auth import KINDS
from nodes.builtin.items import is_template
from nodes.fields import FileField
from orchestrator.exceptions import InvalidRequest
from orchestrator.security.egress import MAX_BODY, parse_url

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
RESPONSES = [
    ("auto", "by its content type"),
    ("json", "JSON"),
    ("text", "text"),
    ("base64", "base64, for files"),
]
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_RESERVED = frozenset(
    "accept-encoding connection content-length expect host keep-alive proxy-authorization"
    " proxy-connection te trailer transfer-encoding upgrade".split()
)


class UrlField(forms.CharField):  # type: ignore[misc]
    """An address of http or https, or a template for one."""

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        if text:
            try:
                parse_url(text)
            except InvalidRequest as error:
                raise forms.ValidationError(error.message) from None
        return text


class QueryField(KeyValueField):
    """Named values for the end of an address; a list stands for a name that is there again."""

    def to_python(self, value: Any) -> dict[str, Any]:
        pairs = super().to_python(value)
        for name, inner in pairs.items():
            each = inner if isinstance(inner, list) else [inner]
            if any(isinstance(one, list | dict) for one in each):
                raise forms.ValidationError(f"{name!r} must be a text, a number or a list of them.")
        return pairs


class HeadersField(KeyValueField):
    """Headers of a request. Their values become texts."""

    def to_python(self, value: Any) -> dict[str, str]:
        return {name: _header(name, inner) for name, inner in super().to_python(value).items()}


def _header(name: str, value: Any) -> str:
    if not _TOKEN.fullmatch(name):
        raise forms.ValidationError(f"{name[:100]!r} is no name of a header.")
    if name.lower() in _RESERVED:
        raise forms.ValidationError(f"The header {name} is set by the node itself.")
    if isinstance(value, list | dict):
        raise forms.ValidationError(f"The header {name} must be a text.")
    text = "" if value is None else str(value).strip()
    text = text.lower() if isinstance(value, bool) else text
    if not (text.isascii() and (text.isprintable() or not text)):
        raise forms.ValidationError(f"The header {name} may hold plain characters only.")
    return text


class StatusesField(ValueField):
    """Statuses of HTTP: a list, or a text with commas."""

    template = False

    def to_python(self, value: Any) -> list[int]:
        given = value.split(",") if isinstance(value, str) else value or []
        if not isinstance(given, list):
            raise forms.ValidationError("Enter statuses, with commas between them.")
        texts = [str(one).strip() for one in given]
        wrong = [text for text in texts if text and not re.fullmatch("[1-5][0-9][0-9]", text)]
        if wrong:
            raise forms.ValidationError(f"{wrong[0][:20]!r} is no status between 100 and 599.")
        return [int(text) for text in texts if text]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class UploadField(FileField):
    """A file to send; its path may be a template."""

    template = True


def _timeout() -> SecondsField:
    return fixed(
        SecondsField(
            initial=30, min_value=0.1, max_value=300, help_text="Seconds for one whole answer."
        )
    )


def _credential() -> CredentialField:
    return CredentialField(
        kinds=KINDS, required=False, help_text="What it logs in with, at this host only."
    )


def _largest() -> forms.IntegerField:
    return forms.IntegerField(
        initial=1024 * 1024,
        min_value=1,
        max_value=MAX_BODY,
        label="Largest answer",
        help_text="Bytes, unpacked; a longer answer is an error.",
    )


class HttpRequestForm(BaseForm):
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {
        "json": {"body": ["json"]},
        "fields": {"body": ["form", "file"]},
        "text": {"body": ["text"]},
        "file": {"body": ["file"]},
        "upload_as": {"body": ["file"]},
        "content_type": {"body": ["text", "file"]},
        "page_field": {"pages": ["url", "cursor"]},
        "page_param": {"pages": ["cursor", "number"]},
        "items_field": {"pages": ["link", "url", "cursor", "number"]},
        "max_pages": {"pages": ["link", "url", "cursor", "number"]},
    }

    method = forms.ChoiceField(choices=[(name, name) for name in METHODS], initial="GET")
    url = UrlField(label="Address", help_text="https://api.example.com/orders/{{ data.id }}")
    query = QueryField(required=False, help_text="What is added behind the ? of the address.")
    headers = HeadersField(required=False)
    credential = _credential()
    body = forms.ChoiceField(
        choices=[
            ("none", "none"),
            ("json", "JSON"),
            ("form", "the fields of a form"),
            ("text", "text"),
            ("file", "a file"),
        ],
        initial="none",
    )
    json = JsonField(label="JSON", help_text="Texts inside it may be templates.")
    fields = QueryField(required=False, label="Form fields")
    text = forms.CharField(widget=forms.Textarea, strip=False)
    file = UploadField(help_text="Inside the files folder: out/report.pdf")
    upload_as = LiteralField(
        required=False,
        max_length=200,
        help_text="The form field of the file; empty: the file is the whole body.",
    )
    content_type = LiteralField(
        required=False, max_length=200, help_text="Of the text or the file, such as application/xml"
    )
    target = LiteralField(
        max_length=200,
        initial="response",
        label="Result",
        help_text="The field for status, headers and body.",
    )
    response = forms.ChoiceField(choices=RESPONSES, initial="auto", label="Read the answer as")
    max_bytes = _largest()
    fail_on_status = forms.BooleanField(
        required=False, initial=True, help_text="A status of 400 and above is an error."
    )
    timeout = _timeout()
    retries = forms.IntegerField(
        initial=0,
        min_value=0,
        max_value=10,
        help_text="How often it is sent again; waits 1, 2, 4 s, or as Retry-After says.",
    )
    retry_statuses = StatusesField(
        required=False, initial="429, 502, 503, 504", help_text="Send again for these statuses."
    )
    idempotency_key = forms.BooleanField(
        required=False,
        label="Send an Idempotency-Key",
        help_text="The same for an item whenever it is sent, also after a crash.",
    )
    pages = forms.ChoiceField(
        choices=[
            ("none", "one answer"),
            ("link", "follow the Link header"),
            ("url", "follow an address in the answer"),
            ("cursor", "send a cursor of the answer back"),
            ("number", "count pages"),
        ],
        initial="none",
    )
    page_field = field_name(
        label="Next page", help_text="The field of the answer with the address or the cursor."
    )
    page_param = LiteralField(
        max_length=200,
        label="Page parameter",
        help_text="The query parameter for the cursor or the number, such as page.",
    )
    items_field = field_name(
        required=False, help_text="The field of the answer with the list; empty: it is the list."
    )
    max_pages = forms.IntegerField(initial=10, min_value=1, max_value=1000)

    def clean_content_type(self) -> str:
        return _header("Content-Type", self.cleaned_data["content_type"])


class HttpPollForm(BaseForm):
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {
        "cursor_field": {"cursor": ["items", "answer"]},
        "cursor_param": {"cursor": ["items", "answer"]},
    }

    url = fixed(UrlField(label="Address", help_text="https://api.example.com/orders"))
    interval = fixed(
        SecondsField(initial=60, min_value=0.01, help_text="Seconds between two requests: 30, 5m")
    )
    query = fixed(QueryField(required=False, help_text="What is added behind the ?"))
    headers = fixed(HeadersField(required=False))
    credential = _credential()
    items_field = field_name(
        required=False,
        help_text="The field with the list of items; empty: the answer is a list, or one item.",
    )
    cursor = forms.ChoiceField(
        choices=[
            ("none", "none"),
            ("items", "the greatest value of a field of the items"),
            ("answer", "the value of a field of the answer"),
        ],
        initial="none",
        help_text="What is sent with the next request, so that only what is new is answered.",
    )
    cursor_field = field_name()
    cursor_param = LiteralField(
        max_length=200, help_text="The query parameter that takes the cursor, such as since."
    )
    response = forms.ChoiceField(choices=RESPONSES, initial="auto", label="Read the answer as")
    max_bytes = _largest()
    timeout = _timeout()
    times = forms.IntegerField(
        required=False, min_value=1, help_text="End after so many requests; empty: never."
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if is_template(url):
            raise forms.ValidationError("Nothing is there yet that a template could show.")
        return url
