"""What a webhook is sent, as JSON. Nothing here is recursive, and each reader is strict."""

from email.message import Message
from urllib.parse import parse_qsl

from rest_framework.exceptions import UnsupportedMediaType

from nodes.contract import Json
from orchestrator.api.parsers import parse_json
from orchestrator.exceptions import InvalidPayload

MAX_FIELDS = 1000


def body_of(content_type: str, raw: bytes) -> Json:
    """Return a body as JSON: an object for a form, a text for a text, None for nothing.

    Raises:
        InvalidPayload: it is not what its type says, or not strict JSON.
        UnsupportedMediaType: the type is none of JSON, form and text, or not in UTF-8.
    """
    if not raw:
        return None
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_content_type() if content_type else ""
    if str(header.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(content_type[:100])
    if kind == "application/json" or kind.endswith("+json"):
        return parse_json(raw)
    try:
        if kind == "application/x-www-form-urlencoded":
            return _form(raw.decode("utf-8"))
        if kind.startswith("text/"):
            return raw.decode("utf-8")
    except ValueError as error:
        raise InvalidPayload(f"the body is no {kind} in UTF-8: {error}") from None
    raise UnsupportedMediaType(content_type[:100])


def _form(text: str) -> dict[str, Json]:
    """Return the fields of a form; one that is there several times is a list."""
    found: dict[str, list[str]] = {}
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
