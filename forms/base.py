"""BaseForm: the settings of a node as a Django form, with templates and cascades."""

import logging
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from forms.binding import Bound, bind_form, check_type, empty_value, find_templates, invalid
from forms.cascades import CascadingForm, is_absent
from forms.choices import saved_values
from forms.fields import CredentialField
from forms.templating import parse_template
from forms.values import to_json
from orchestrator.exceptions import TemplateInvalid

logger = logging.getLogger(__name__)

_configuring = threading.Lock()


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


def form_failure(dotted: str, error: Exception) -> str:
    """Return what is told of a form class that raised."""
    return f"the form {dotted} failed: {type(error).__name__}: {str(error)[:500]}"


class BaseForm(CascadingForm):
    """A node's form. The data it is bound to is the JSON object `data.form`, or a posted form.

    In JSON a field that is absent has its `initial` value. A field whose raw value holds a
    template is only parsed by `is_valid()`; it is rendered and cleaned for each item by what
    `bind` returns. `clean()`, which compares fields, then runs for each item as well, and not at
    save time, because the values are not known.
    """

    cleaned_data: dict[str, Any]
    advanced = False
    """Whether its templates may have loops."""

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        self.initial = dict(self.initial)
        if self.is_bound:
            self.data = self._with_defaults(self.data)
        self.json_values: dict[str, Any] = {}
        self._cascade()

    @classmethod
    def problems(cls, raw: Any, advanced: bool = False) -> list[tuple[str, str]]:
        """Return everything that is wrong as (field name or `__all__`, message)."""
        if not isinstance(raw, Mapping):
            return [(NON_FIELD_ERRORS, "the form must be an object")]
        try:
            form = cls(raw)
            form.advanced = advanced
            found = [(name, "there is no such field") for name in raw if name not in form.fields]
            return found + form._messages()
        except Exception as error:  # a form is anybody's code
            logger.warning("the form %s failed", cls.__qualname__, exc_info=True)
            return [(NON_FIELD_ERRORS, form_failure(f"{cls.__module__}.{cls.__qualname__}", error))]

    @classmethod
    def bind(cls, raw: Mapping[str, Any], advanced: bool = False) -> Bound:
        """Clean the settings once and compile their templates.

        Raises:
            NodeFailed: the settings are invalid; with all `problems`.
        """
        with saved_values():
            form = cls(raw)
            form.advanced = advanced
            if form.errors:
                raise invalid(form.errors)
        return bind_form(form)

    @classmethod
    def credential_names(cls, raw: Mapping[str, Any]) -> dict[str, str]:
        """Return the names of credentials in these settings, by the fields that are shown."""
        names = [n for n, field in cls.base_fields.items() if isinstance(field, CredentialField)]
        given = {name: raw[name] for name in names if isinstance(raw.get(name), str) and raw[name]}
        if not given:
            return {}
        with saved_values():
            form = cls(raw)
        return {name: value for name, value in given.items() if form.is_visible(name)}

    def compares_fields(self) -> bool:
        """Whether the class has a `clean` of its own."""
        return type(self).clean is not forms.Form.clean

    def full_clean(self) -> None:
        """Clean what is shown and holds no template, and parse the templates."""
        left_out = {*self.dynamic_fields(), *self.hidden}
        every = self.fields
        wrong = self._wrong_types([name for name in every if name not in left_out])
        self._empty = {name: empty_value(every[name]) for name in self.hidden}
        skipped = left_out | wrong.keys()
        self.fields = {name: field for name, field in every.items() if name not in skipped}
        try:
            super().full_clean()
        finally:
            self.fields = every
        if self.is_bound:
            for name, error in wrong.items():
                self.add_error(name, error)
            self._check_choices(left_out)
            self._parse_templates()
            self._convert()

    def _clean_fields(self) -> None:
        self.cleaned_data.update(self._empty)
        super()._clean_fields()

    def _clean_form(self) -> None:
        if not self.dynamic_fields():
            super()._clean_form()

    def _wrong_types(self, names: Sequence[str]) -> dict[str, ValidationError]:
        """Return what is wrong with values that Django's fields would misread, or fail on."""
        if not self.is_bound or hasattr(self.data, "getlist"):
            return {}  # A posted form has texts only.
        wrong = {}
        for name in names:
            try:
                check_type(self.fields[name], self.get_field_value(name))
            except ValidationError as error:
                wrong[name] = error
        return wrong

    def _check_choices(self, left_out: Collection[str]) -> None:
        """Say of a value that nothing could be compared with why that is, and no more."""
        for name, message in self.choices_errors.items():
            if name not in left_out and not is_absent(self.get_field_value(name)):
                self._errors.pop(name, None)
                self.add_error(name, message)

    def _parse_templates(self) -> None:
        for name, raw in self.templated_fields.items():
            for path, source in find_templates(raw):
                try:
                    parse_template(source, self.advanced)
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
