"""What a field is: its kind, choices, limits and schema, read from Django's field and widget."""

from typing import Any

from django import forms
from django.core.validators import RegexValidator

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
    "choice": {},
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
_LIMITS = {
    "minimum": "min_value",
    "maximum": "max_value",
    "minLength": "min_length",
    "maxLength": "max_length",
}


def kind_of(field: forms.Field) -> str:
    """Return the kind: the field's own, or what its widget or class says."""
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


def choices_of(field: forms.Field) -> list[dict[str, Any]] | None:
    """Return `{value, label}` of each choice, with its `group`; None for a field without."""
    if not hasattr(field, "choices"):
        return None
    found: list[dict[str, Any]] = []
    for value, label in field.choices:
        if isinstance(label, list | tuple):
            found.extend(_choice(inner, text) | {"group": str(value)} for inner, text in label)
        else:
            found.append(_choice(value, label))
    return found


def suggestions_of(field: forms.Field) -> list[str] | None:
    """Return values that a field without choices proposes; None for one that proposes none."""
    suggest = getattr(field, "suggestions", None)
    return None if suggest is None else [str(value) for value in suggest()]


def limits_of(field: forms.Field) -> dict[str, Any]:
    """Return the field's limits in the words of JSON Schema: `minimum`, `maxLength`, ..."""
    limits = {word: plain(getattr(field, name, None)) for word, name in _LIMITS.items()}
    limits["pattern"] = _pattern(field)
    return {word: limit for word, limit in limits.items() if limit is not None}


def _pattern(field: forms.Field) -> str | None:
    for validator in field.validators:
        # Others, such as those of addresses, check more than their pattern.
        if type(validator) is RegexValidator and not (validator.inverse_match or validator.flags):
            found = str(validator.regex.pattern)
            return found.replace(r"\A", "^").replace(r"\Z", "$")
    return None


def schema_of(field: forms.Field) -> dict[str, Any]:
    """Return a JSON Schema of the field's raw values, but for choices."""
    return dict(_SCHEMAS.get(kind_of(field), {"type": "string"})) | limits_of(field)


def plain(value: Any) -> Any:
    """Return a value as JSON, or else as text."""
    try:
        return to_json(value)
    except (TypeError, ValueError):
        return str(value)


def _choice(value: Any, label: Any) -> dict[str, Any]:
    return {"value": plain(value), "label": str(label)}
