"""FormSerializer: a form as JSON, for the API, the studio and the admin."""

from collections.abc import Mapping
from typing import Any

from django import forms

from forms.base import BaseForm
from forms.kinds import choices_of, kind_of, limits_of, plain, schema_of, suggestions_of

_TEMPLATE = {"type": "string", "pattern": r"\{[{%]"}


class FormSerializer:
    """Says what fields a form has and, for a form that is bound, their values and errors.

    data: `{"fields": [...], "errors": [...]}`. Each field has

        name, label, help, kind, required, initial, value, errors;
        choices         `[{value, label, group?}]`, None for a field without;
        choices_error   why there are no choices, or None;
        suggestions     values proposed for a field without choices, or None;
        template        whether it may hold a template;
        depends_on      the fields that its choices depend on;
        visible         whether it is shown with these values;
        visible_when    `{parent: values}` by which that is decided, or None;
        limits          `minimum`, `maximum`, `minLength`, `maxLength`, `pattern`;
        language        of a field for code, or None.

    A secret is never given back.
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

    @property
    def values(self) -> dict[str, Any]:
        """The raw values as JSON, such as another form of the class can be made of."""
        return {name: self._value(name) for name in self.form.fields if not self._is_secret(name)}

    @property
    def cleaned(self) -> dict[str, Any]:
        """The cleaned values of a valid form as JSON; of what is cleaned for each item, the raw."""
        self.form.full_clean()
        dynamic = self.form.dynamic_fields()
        values = {**self.form.json_values, **{name: self._value(name) for name in dynamic}}
        return {name: values.get(name) for name in self.form.fields if not self._is_secret(name)}

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
        conditions = self.form.visible_when.get(name)
        return {
            "name": name,
            "label": str(self.form[name].label),
            "help": str(field.help_text or ""),
            "kind": kind_of(field),
            "required": field.required,
            "initial": None if self._is_secret(name) else self._initial(name),
            "choices": choices_of(field),
            "choices_error": self.form.choices_errors.get(name),
            "suggestions": suggestions_of(field),
            "value": None if self._is_secret(name) else self._value(name),
            "errors": self._errors(name),
            "template": self.form.takes_template(name),
            "depends_on": list(self.form.get_field_dependencies().get(name, ())),
            "visible": self.form.is_visible(name),
            "visible_when": None if conditions is None else _lists(conditions),
            "limits": limits_of(field),
            "language": getattr(field, "language", None),
        }

    def _is_secret(self, name: str) -> bool:
        return kind_of(self.form.fields[name]) == "password"

    def _value(self, name: str) -> Any:
        return plain(self.form.get_field_value(name))

    def _initial(self, name: str) -> Any:
        value = self.form.fields[name].initial
        return plain(value() if callable(value) else value)

    def _errors(self, name: str) -> list[str]:
        if not self.form.is_bound:
            return []
        return [str(text) for text in self.form.errors.get(name, ())]

    def _must_be_given(self, name: str) -> bool:
        field = self.form.fields[name]
        conditional = name in self.form.visible_when
        return field.required and not conditional and self._initial(name) is None

    def _schema(self, name: str) -> dict[str, Any]:
        field = self.form.fields[name]
        schema = schema_of(field)
        # The choices of a dependent field are not known before its parents' values.
        if name not in self.form.get_field_dependencies():
            schema |= _enumeration(field)
        if schema and self.form.takes_template(name):
            schema = {"anyOf": [schema, _TEMPLATE]}
        if schema and not field.required:
            schema = _or_empty(schema)
        return {"title": str(self.form[name].label), **schema, **self._notes(name)}

    def _notes(self, name: str) -> dict[str, Any]:
        notes = {"description": str(self.form.fields[name].help_text or "")}
        initial = self._initial(name)
        if initial is not None and not self._is_secret(name):
            return {**notes, "default": initial}
        return notes


def _lists(conditions: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {parent: plain(list(values)) for parent, values in conditions.items()}


def _enumeration(field: forms.Field) -> dict[str, Any]:
    values = [choice["value"] for choice in choices_of(field) or ()]
    if not values:
        return {}
    if isinstance(field, forms.MultipleChoiceField):
        return {"items": {"enum": values}}
    return {"enum": values}


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        nullable = {"type": [schema["type"], "null"]} if "type" in schema else {}
        return {**schema, **nullable, "enum": [*dict.fromkeys((*schema["enum"], "", None))]}
    if schema.keys() <= {"type", "maxLength"} and schema["type"] in ("boolean", "string"):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"enum": ["", None]}]}
