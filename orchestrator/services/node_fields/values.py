"""The values of a node's form as texts in a page, and back.

What nobody has changed in the page keeps the very value that is stored: `typed` of it equals
`posted`, and `value_of` is not asked. HTML has texts only, so that a changed text becomes a number,
a list or an object by the kind of its field, or because whoever typed it said that it is JSON.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload
from storage.codec import decode

MAX_ROWS = 100
"""An object with more members is edited as one JSON text."""

_LONG = 60
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,2})?")
_FALSE = ("", "0", "false", "off")
_TRUE = ("1", "true", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A named value; `is_json` says that its text is to be read as JSON."""

    key: str
    text: str
    is_json: bool

    @property
    def is_empty(self) -> bool:
        return not (self.key.strip() or self.text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What the controls of one field hold: a text, a tick, several choices, or named values.

    A text takes the place of the others when it is a template, or JSON that they cannot show.
    """

    text: str = ""
    is_json: bool = False
    ticked: bool | None = None
    many: tuple[str, ...] | None = None
    rows: tuple[Row, ...] | None = None


def control_name(name: str) -> str:
    """Return what the control of a field is called in the page."""
    return f"form-{name}"


def typed(kind: str, value: Json) -> Typed:
    """Return what the controls of a field show for a value."""
    own = _OWN.get(kind)
    shown = own(value) if own else None
    if shown is not None:
        return shown
    is_json = kind == "value" and not isinstance(value, str | None)
    text = as_text(value)
    if len(text) > _LONG:
        text = as_text(value, indent=2)
    return Typed(text=_lines(text), is_json=is_json)


def posted(kind: str, name: str, data: QueryDict) -> Typed | None:
    """Return what came back of a field; None when it was not in the page."""
    control = control_name(name)
    template = _lines(data.get(f"{control}-template", ""))
    if template.strip():
        return Typed(text=template)
    if kind == "key_value":
        return _posted_rows(control, data)
    if control not in data:
        return None
    if kind == "boolean":
        return Typed(ticked="on" in data.getlist(control))
    if kind == "multiple_choice":
        return Typed(many=tuple(text for text in data.getlist(control) if text))
    is_json = data.get(f"{control}-as") == "json"
    return Typed(text=_lines(data[control]), is_json=is_json)


def rows_of(control: str, data: QueryDict) -> tuple[Row, ...]:
    """Return every row of named values that was posted, the empty ones as well."""
    columns = (data.getlist(f"{control}-{part}") for part in ("key", "value", "as"))
    return tuple(
        Row(key=_lines(key), text=_lines(text), is_json=kind == "json")
        for key, text, kind in zip(*columns, strict=False)
    )


def value_of(field: Mapping[str, Any], given: Typed, stored: Json) -> Json:
    """Return the value of what was typed into a field that has another value now.

    Raises:
        InvalidPayload: a text that is said to be JSON is not.
    """
    if given.ticked is not None:
        return given.ticked
    if given.many is not None:
        return [_choice(field, text) for text in given.many]
    if given.rows is not None:
        return _named_values(given.rows, stored)
    if given.is_json:
        return _decoded(given.text)
    kind = field["kind"]
    if kind in ("integer", "number", "duration"):
        return _number(given.text)
    if kind in ("json", "key_value", "multiple_choice"):
        return _json_or_text(given.text)
    return _choice(field, given.text)


def as_text(value: Json, indent: int | None = None) -> str:
    """Return a text as it is, nothing as an empty one, and anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)


def _lines(text: str) -> str:
    """Browsers send every end of a line as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _typed_tick(value: Json) -> Typed | None:
    if value is None or isinstance(value, bool):
        return Typed(ticked=bool(value))
    if isinstance(value, str) and value.lower() in (*_FALSE, *_TRUE):
        return Typed(ticked=value.lower() in _TRUE)
    return None


def _typed_many(value: Json) -> Typed | None:
    if value in (None, ""):
        return Typed(many=())
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return Typed(many=tuple(as_text(each) for each in value))
    return None


def _typed_rows(value: Json) -> Typed | None:
    if isinstance(value, dict):
        value = [{"key": key, "value": inner} for key, inner in value.items()]
    if value in (None, ""):
        return Typed(rows=())
    if not isinstance(value, list) or len(value) > MAX_ROWS or not all(map(_is_row, value)):
        return None
    return Typed(rows=tuple(_typed_row(row) for row in value))


def _is_row(value: Json) -> bool:
    return (
        isinstance(value, dict) and {*value} == {"key", "value"} and isinstance(value["key"], str)
    )


def _typed_row(row: dict[str, Json]) -> Row:
    value = row["value"]
    text = "null" if value is None else as_text(value)
    return Row(key=_lines(row["key"]), text=_lines(text), is_json=not isinstance(value, str))


def _typed_secret(value: Json) -> Typed:
    return Typed()


_OWN: dict[str, Callable[[Json], Typed | None]] = {
    "boolean": _typed_tick,
    "key_value": _typed_rows,
    "multiple_choice": _typed_many,
    "password": _typed_secret,
}


def _posted_rows(control: str, data: QueryDict) -> Typed | None:
    if f"{control}-key" not in data:
        return None
    return Typed(rows=tuple(row for row in rows_of(control, data) if not row.is_empty))


def _named_values(rows: tuple[Row, ...], stored: Json) -> Json:
    before = _typed_rows(stored)
    kept = dict(zip(before.rows, _values(stored), strict=True)) if before and before.rows else {}
    pairs = [(row.key, kept[row] if row in kept else _value(row)) for row in rows]
    if isinstance(stored, list) or len({key for key, _ in pairs}) < len(pairs):
        return [{"key": key, "value": value} for key, value in pairs]
    return dict(pairs)


def _values(stored: Json) -> list[Json]:
    return [*stored.values()] if isinstance(stored, dict) else [row["value"] for row in stored]


def _value(row: Row) -> Json:
    try:
        return _decoded(row.text) if row.is_json else row.text
    except InvalidPayload as error:
        raise InvalidPayload(f"{row.key}: {error.message}") from None


def _decoded(text: str) -> Json:
    if not text.strip():
        return None
    try:
        return decode(text)
    except InvalidPayload:
        message = "Enter valid JSON, or say that it is a text."
        raise InvalidPayload(message) from None


def _number(text: str) -> Json:
    text = text.strip()
    if not text:
        return None
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _json_or_text(text: str) -> Json:
    """A template, or JSON with a mistake in it, stays the text; the form says what is wrong."""
    if not text.strip():
        return None
    try:
        value = decode(text)
    except InvalidPayload:
        return text
    return text if isinstance(value, str) else value


def _choice(field: Mapping[str, Any], text: str) -> Json:
    """A choice has the type it has in the form."""
    values = (choice["value"] for choice in field["choices"] or ())
    return next((value for value in values if as_text(value) == text), text)
