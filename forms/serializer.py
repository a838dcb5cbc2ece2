"""FormSerializer: a form as JSON, for the API, the studio and the admin."""

from collections.abc import Mapping
from typing import Any

from django import forms

from forms.base import BaseForm
from forms.values import to_json

_KINDS: tuple[tuple[type, str], ...] = (
    (forms.NullBooleanField, "boolean"),
    (forms.BooleanField, "boolean"),
    (forms.FloatField, "number"),
    (forms.DecimalField, "number"),
    (forms.IntegerField, "integer"),
    (forms.EmailField, "email"),
    (forms.URLField, "url"),
    (forms.MultipleChoiceField, "multiple_choice"),
    (forms.ChoiceField, "choice"),
    (forms.DateTimeField, "datetime"),
    (forms.DateField, "date"),
    (forms.TimeField, "time"),
    (forms.DurationField, "duration"),
    (forms.JSONField, "json"),
)
_WIDGETS: tuple[tuple[type, str], ...] = (
    (forms.HiddenInput, "hidden"),
    (forms.PasswordInput, "password"),
)
_SCHEMAS: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "cron": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "duration": {"type": ["number", "string"]},
    "email": {"type": "string", "format": "email"},
    "integer": {"type": "integer"},
    "json": {},
    "key_value": {"type": ["object", "array"]},
    "multiple_choice": {"type": "array"},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "time"},
    "url": {"type": "string", "format": "uri"},
    "value": {},
}
_TEMPLATE = {"type": "string", "pattern": r"\{[{%]"}


class FormSerializer:
    """Says what fields a form has and, for a form that is bound, their values and errors.

    data: `{"fields": [{name, label, help, kind, required, initial, choices, value, errors,
    template, depends_on}], "errors": [...]}`; `choices` is None for a field without, and a secret
    is never given back.
    """

    def __init__(self, form: type[BaseForm] | BaseForm) -> None:
        self.form: Any = form() if isinstance(form, type) else form

    @property
    def data(self) -> dict[str, Any]:
        errors = self.form.errors if self.form.is_bound else {}
        return {
            "fields": [self._field(name) for name in self.form.fields],
            "errors": [str(text) for text in errors.get("__all__", ())],
        }

    def json_schema(self) -> dict[str, Any]:
        """Return a JSON Schema of the raw form values."""
        return {
            "type": "object",
            "properties": {name: self._schema(name) for name in self.form.fields},
            "required": [name for name in self.form.fields if self._must_be_given(name)],
            "additionalProperties": False,
        }

    def _field(self, name: str) -> dict[str, Any]:
        field = self.form.fields[name]
        kind = _kind(field)
        secret = kind == "password"
        return {
            "name": name,
            "label": str(self.form[name].label),
            "help": str(field.help_text or ""),
            "kind": kind,
            "required": field.required,
            "initial": None if secret else self._initial(name),
            "choices": _choices(field),
            "value": None if secret else _plain(self.form.get_field_value(name)),
            "errors": self._errors(name),
            "template": self.form.takes_template(name),
            "depends_on": list(self.form.get_field_dependencies().get(name, ())),
        }

    def _initial(self, name: str) -> Any:
        value = self.form.fields[name].initial
        return _plain(value() if callable(value) else value)

    def _errors(self, name: str) -> list[str]:
        if not self.form.is_bound:
            return []
        return [str(text) for text in self.form.errors.get(name, ())]

    def _must_be_given(self, name: str) -> bool:
        return self.form.fields[name].required and self._initial(name) is None

    def _schema(self, name: str) -> dict[str, Any]:
        field = self.form.fields[name]
        schema = dict(_SCHEMAS.get(_kind(field), {"type": "string"})) | _limits(field)
        # The choices of a dependent field are not known before its parents' values.
        if name not in self.form.get_field_dependencies():
            schema |= _enumeration(field)
        if schema and self.form.takes_template(name):
            schema = {"anyOf": [schema, _TEMPLATE]}
        return {"title": str(self.form[name].label), **schema, **self._notes(name)}

    def _notes(self, name: str) -> dict[str, Any]:
        notes = {"description": str(self.form.fields[name].help_text or "")}
        initial = self._initial(name)
        if initial is not None and _kind(self.form.fields[name]) != "password":
            return {**notes, "default": initial}
        return notes


def _kind(field: forms.Field) -> str:
    own = getattr(field, "kind", None)
    if own:
        return str(own)
    for widget, kind in _WIDGETS:
        if isinstance(field.widget, widget):
            return kind
    for cls, kind in _KINDS:
        if isinstance(field, cls):
            return kind
    return "multiline" if isinstance(field.widget, forms.Textarea) else "text"


def _choices(field: forms.Field) -> list[dict[str, Any]] | None:
    if not hasattr(field, "choices"):
        return None
    found: list[dict[str, Any]] = []
    for value, label in field.choices:
        if isinstance(label, list | tuple):
            found.extend(_choice(inner, text) | {"group": str(value)} for inner, text in label)
        else:
            found.append(_choice(value, label))
    return found


def _choice(value: Any, label: Any) -> dict[str, Any]:
    return {"value": _plain(value), "label": str(label)}


def _enumeration(field: forms.Field) -> dict[str, Any]:
    values = [choice["value"] for choice in _choices(field) or ()]
    if not values:
        return {}
    if isinstance(field, forms.MultipleChoiceField):
        return {"items": {"enum": values}}
    return {"enum": values if field.required else [*dict.fromkeys((*values, "", None))]}


def _limits(field: forms.Field) -> dict[str, Any]:
    names = {
        "min_value": "minimum",
        "max_value": "maximum",
        "min_length": "minLength",
        "max_length": "maxLength",
    }
    limits: Mapping[str, Any] = {word: getattr(field, name, None) for name, word in names.items()}
    return {word: _plain(limit) for word, limit in limits.items() if limit is not None}


def _plain(value: Any) -> Any:
    try:
        return to_json(value)
    except (TypeError, ValueError):
        return str(value)
