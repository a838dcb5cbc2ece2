"""BaseForm: the settings of a node as a Django form, with templates and cascades."""

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from forms.binding import Bound, bind_form, check_type, find_templates, has_template, invalid
from forms.cascades import Choices, Dependencies, descendants, ordered, pairs
from forms.templating import parse_template
from forms.values import to_json
from orchestrator.exceptions import InvalidRequest, TemplateInvalid

_configuring = threading.Lock()
_ABSENT: tuple[Any, ...] = (None, "", [], {})


def load_form_class(dotted: str) -> "type[BaseForm]":
    """Import the form class of a dotted path, such as `nodes.builtin.text_forms.ParseForm`.

    Django is configured minimally when nothing else configures it.

    Raises:
        ImportError: there is no such module or class.
        TypeError: it is not a BaseForm.
    """
    with _configuring:
        if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
            settings.configure(USE_I18N=False, USE_TZ=True)
    module, _, name = dotted.rpartition(".")
    found = getattr(import_module(module), name, None) if module else None
    if found is None:
        raise ImportError(f"there is no form {dotted!r}")
    if not (isinstance(found, type) and issubclass(found, BaseForm)):
        raise TypeError(f"{dotted} is not a BaseForm")
    return found


class BaseForm(forms.Form):  # type: ignore[misc]
    """A node's form. The data it is bound to is the JSON object `data.form`, or a posted form.

    In JSON a field that is absent has its `initial` value. A field whose raw value holds a
    template is only parsed by `is_valid()`; it is rendered and cleaned for each item by what
    `bind` returns. `clean()`, which compares fields, then runs for each item as well, and not at
    save time, because the values are not known.

    template_fields: names of fields that may hold a template although they are no text fields;
        text fields may, unless the field has `template = False`.
    """

    template_fields: ClassVar[Collection[str]] = ()
    fields: dict[str, Any]
    data: Any
    initial: dict[str, Any]
    cleaned_data: dict[str, Any]

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        self.initial = dict(self.initial)
        if self.is_bound:
            self.data = self._with_defaults(self.data)
        self.json_values: dict[str, Any] = {}
        self.templated_fields = {
            name: raw
            for name in self.fields
            if self.takes_template(name) and has_template(raw := self.get_field_value(name))
        }
        self._refill(ordered(self.get_field_dependencies()))

    @classmethod
    def problems(cls, raw: Any) -> list[tuple[str, str]]:
        """Return everything that is wrong as (field name or `__all__`, message)."""
        if not isinstance(raw, Mapping):
            return [(NON_FIELD_ERRORS, "the form must be an object")]
        form = cls(raw)
        found = [(name, "there is no such field") for name in raw if name not in form.fields]
        return found + form._messages()

    @classmethod
    def bind(cls, raw: Mapping[str, Any]) -> Bound:
        """Clean the settings once and compile their templates.

        Raises:
            NodeFailed: the settings are invalid; with all `problems`.
        """
        form = cls(raw)
        if form.errors:
            raise invalid(form.errors)
        return bind_form(form)

    def get_field_dependencies(self) -> Dependencies:
        """Return the fields whose choices depend on others: `{child: [parents]}`."""
        return {}

    def populate_field(self, name: str, parent_value: Any, form_values: Mapping[str, Any]) -> Any:
        """Return the choices of a field: (value, label) pairs or bare values.

        It is asked only when the first parent has a valid value, which is `parent_value`; the
        other parents' are in `form_values`, unchecked.
        """
        return []

    def update_field(self, name: str, value: Any) -> dict[str, Choices]:
        """Set a field, clear the fields that depend on it, and return their new choices.

        Raises:
            InvalidRequest: there is no such field.
        """
        if name not in self.fields:
            raise InvalidRequest(f"there is no field {name!r}")
        changed = descendants(self.get_field_dependencies(), [name])
        for each, new in ((name, value), *((child, None) for child in changed)):
            self._store(each, new)
        self._errors = None
        self._refill(changed)
        return {child: pairs(getattr(self.fields[child], "choices", ())) for child in changed}

    def get_field_value(self, name: str) -> Any:
        """Return the raw value of a field, as it was given or its `initial`."""
        field = self.fields[name]
        if not self.is_bound:
            return self.get_initial_for_field(field, name)
        key = self.add_prefix(name)
        if isinstance(field, forms.MultipleChoiceField) and hasattr(self.data, "getlist"):
            return self.data.getlist(key)
        return self.data.get(key)

    def get_all_field_values(self) -> dict[str, Any]:
        """Return the raw values of all fields."""
        return {name: self.get_field_value(name) for name in self.fields}

    def takes_template(self, name: str) -> bool:
        """Whether the field may hold a template."""
        field = self.fields[name]
        allowed = getattr(field, "template", isinstance(field, forms.CharField))
        return bool(allowed) or name in self.template_fields

    def dynamic_fields(self) -> list[str]:
        """Return the fields that are cleaned for each item: those that hold a template, and
        those whose choices depend on one of them."""
        below = descendants(self.get_field_dependencies(), self.templated_fields)
        return list(dict.fromkeys((*self.templated_fields, *below)))

    def compares_fields(self) -> bool:
        """Whether the class has a `clean` of its own."""
        return type(self).clean is not forms.Form.clean

    def full_clean(self) -> None:
        """Clean what holds no template, and parse the templates."""
        dynamic = self.dynamic_fields()
        every = self.fields
        self.fields = {name: field for name, field in every.items() if name not in dynamic}
        try:
            super().full_clean()
        finally:
            self.fields = every
        if self.is_bound:
            self._check_types([name for name in every if name not in dynamic])
            self._parse_templates()
            self._convert()

    def _clean_form(self) -> None:
        if not self.dynamic_fields():
            super()._clean_form()

    def _check_types(self, names: Sequence[str]) -> None:
        if hasattr(self.data, "getlist"):
            return  # A posted form has texts only.
        for name in names:
            try:
                check_type(self.fields[name], self.get_field_value(name))
            except ValidationError as error:
                self.add_error(name, error)

    def _parse_templates(self) -> None:
        for name, raw in self.templated_fields.items():
            for path, source in find_templates(raw):
                try:
                    parse_template(source)
                except TemplateInvalid as error:
                    where = f"{path} line {error.line}, column {error.column}".strip()
                    self.add_error(name, f"{where}: {error.message}")

    def _convert(self) -> None:
        self.json_values = {}
        for name, value in list(self.cleaned_data.items()):
            try:
                self.json_values[name] = to_json(value)
            except (TypeError, ValueError, OverflowError) as error:
                self.add_error(name if name in self.fields else None, str(error))

    def _messages(self) -> list[tuple[str, str]]:
        return [(name, str(text)) for name, texts in self.errors.items() for text in texts]

    def _with_defaults(self, data: Any) -> Any:
        if hasattr(data, "getlist"):
            return data.copy()  # In a posted form an absent box is not ticked.
        initial = {
            self.add_prefix(name): value
            for name, field in self.fields.items()
            if (value := self.get_initial_for_field(field, name)) is not None
        }
        return {**initial, **data}

    def _store(self, name: str, value: Any) -> None:
        if not self.is_bound:
            self.initial[name] = value
        elif isinstance(value, list) and hasattr(self.data, "setlist"):
            self.data.setlist(self.add_prefix(name), value)
        else:
            self.data[self.add_prefix(name)] = value
        self.templated_fields.pop(name, None)
        if self.takes_template(name) and has_template(value):
            self.templated_fields[name] = value

    def _refill(self, names: Sequence[str]) -> None:
        values = self.get_all_field_values()
        for name in names:
            self.fill_choices(name, values)

    def fill_choices(self, name: str, values: Mapping[str, Any]) -> None:
        """Give a dependent field the choices that go with the values."""
        parent = self.get_field_dependencies()[name][0]
        value = self._valid(parent, values.get(parent))
        choices = [] if value in _ABSENT else self.populate_field(name, value, values)
        if hasattr(self.fields[name], "choices"):
            self.fields[name].choices = pairs(choices)

    def _valid(self, name: str, value: Any) -> Any:
        if self.takes_template(name) and name in self.templated_fields and has_template(value):
            return None
        try:
            return to_json(self.fields[name].clean(value))
        except (ValidationError, TypeError):
            return None
