"""A form bound to settings: what is fixed is cleaned once, what holds a template for each item."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms.utils import ErrorDict

from forms.templating import CompiledTemplate, compile_template, is_template
from forms.values import to_json
from orchestrator.exceptions import NodeFailed, Problem, TemplateFailed

if TYPE_CHECKING:
    from forms.base import BaseForm

Compute = Callable[[Mapping[str, Any]], Any]

_TEMPORAL = (forms.DateField, forms.TimeField, forms.DateTimeField)
_BOOLEANS = frozenset(("true", "false", "on", "off", "1", "0", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dynamic:
    """One field that is cleaned for each item.

    single: its value is that of one expression, and so of any type.
    """

    name: str
    compute: Compute
    single: bool
    field: Any


class Bound:
    """The values of a form.

    static_values: the cleaned values that are the same for every item.
    templated: whether `render` has anything to do for an item.
    """

    __slots__ = ("_dynamic", "_form", "_plain", "static_values", "templated")

    def __init__(self, form: "BaseForm", dynamic: tuple[_Dynamic, ...]) -> None:
        self.static_values: Mapping[str, Any] = form.json_values
        self.templated = bool(dynamic)
        self._form = form
        self._dynamic = dynamic
        self._plain = not _has_hooks(form, dynamic)

    def render(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return all values for one item's data.

        Raises:
            TemplateFailed: a template cannot be rendered.
            NodeFailed: a rendered value is not valid for its field.
        """
        if not self.templated:
            return self.static_values
        return self._render_plain(data) if self._plain else self._render_form(data)

    def _render_plain(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        values = dict(self.static_values)
        for each in self._dynamic:
            try:
                values[each.name] = to_json(_cleaned(each.field, each.compute(data), each.single))
            except TemplateFailed as error:
                raise TemplateFailed(f"{each.name}: {error.message}") from None
            except (ValidationError, TypeError) as error:
                raise invalid({each.name: _messages(error)}) from None
        return values

    def _render_form(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        form = _copy(self._form)
        raw = form.get_all_field_values()
        dependent = form.get_field_dependencies()
        for each in self._dynamic:
            try:
                if each.name in form.visible_when and not form.show_or_hide(each.name, raw):
                    raw[each.name] = form.cleaned_data[each.name] = empty_value(each.field)
                    continue
                raw[each.name] = each.compute(data)
                if each.name in dependent:
                    form.fill_choices(each.name, raw)
                if each.name in form.choices_errors:
                    raise ValidationError(form.choices_errors[each.name])
                field = form.fields[each.name]
                form.cleaned_data[each.name] = _cleaned(field, raw[each.name], each.single)
                if hook := getattr(form, f"clean_{each.name}", None):
                    form.cleaned_data[each.name] = hook()
            except TemplateFailed as error:
                raise TemplateFailed(f"{each.name}: {error.message}") from None
            except ValidationError as error:
                form.add_error(each.name, error)
        if not form._errors:
            forms.Form._clean_form(form)
        if form._errors:
            raise invalid(form._errors)
        try:
            return {name: to_json(value) for name, value in form.cleaned_data.items()}
        except TypeError as error:
            raise invalid({NON_FIELD_ERRORS: [str(error)]}) from None


def bind_form(form: "BaseForm") -> Bound:
    """Compile the templates of a valid form."""
    return Bound(form, tuple(_dynamic(form, name) for name in form.dynamic_fields()))


def _dynamic(form: "BaseForm", name: str) -> _Dynamic:
    field = form.fields[name]
    raw = form.get_field_value(name)
    if isinstance(raw, str) and getattr(field, "strip", True):
        raw = raw.strip()
    compute = _compile(raw, form.advanced)
    single = isinstance(compute, CompiledTemplate) and compute.single
    return _Dynamic(name=name, compute=compute, single=single, field=field)


def _compile(raw: Any, advanced: bool) -> Compute:
    if is_template(raw):
        return compile_template(raw, advanced)
    if isinstance(raw, dict) and has_template(raw):
        members = [(key, _compile(value, advanced)) for key, value in raw.items()]
        return lambda data: {key: compute(data) for key, compute in members}
    if isinstance(raw, list) and has_template(raw):
        elements = [_compile(value, advanced) for value in raw]
        return lambda data: [compute(data) for compute in elements]
    return lambda data: raw


def find_templates(raw: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, source) of every template in a raw value: a text, or texts inside JSON."""
    if is_template(raw):
        yield path, raw
    elif isinstance(raw, dict):
        for key, value in raw.items():
            yield from find_templates(value, f"{path}.{key}".lstrip("."))
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from find_templates(value, f"{path}[{index}]")


def has_template(raw: Any) -> bool:
    """Whether a raw value holds a template."""
    return next(find_templates(raw), None) is not None


def check_type(field: Any, value: Any) -> None:
    """Refuse what Django's field would make something of by accident.

    Raises:
        ValidationError: an object or a list for a text, or anything but a truth value for one.
    """
    if isinstance(field, forms.BooleanField):
        if isinstance(value, str):
            value = value.lower() in _BOOLEANS or None
        elif value is None:
            return
        if not isinstance(value, bool):
            raise ValidationError("Enter true or false.")
    elif isinstance(field, forms.CharField) and isinstance(value, list | dict):
        raise ValidationError("Enter a text.")
    elif isinstance(field, _TEMPORAL) and not isinstance(value, str | None):
        raise ValidationError("Enter a text.")


def empty_value(field: Any) -> Any:
    """Return what a field that may be left empty makes of nothing."""
    optional = copy.copy(field)
    optional.required = False
    try:
        return optional.clean(None)
    except ValidationError:
        return None


def _cleaned(field: Any, value: Any, single: bool) -> Any:
    own = getattr(field, "clean_rendered", None)
    if own is not None:
        return own(value, single)
    if type(field) is forms.CharField and single and value is not None:
        # A text field made of one expression keeps the type, as `{{ data.count }}` means.
        return field.clean(value) if isinstance(value, str) else value
    check_type(field, value)
    return field.clean(value)


def _has_hooks(form: "BaseForm", dynamic: tuple[_Dynamic, ...]) -> bool:
    dependent = form.get_field_dependencies()
    return form.compares_fields() or any(
        each.name in dependent
        or each.name in form.visible_when
        or hasattr(form, f"clean_{each.name}")
        for each in dynamic
    )


def _copy(form: "BaseForm") -> "BaseForm":
    twin = copy.copy(form)
    dependent = form.get_field_dependencies()
    twin.fields = {
        name: copy.deepcopy(field) if name in dependent else field
        for name, field in form.fields.items()
    }
    twin.cleaned_data = dict(form.cleaned_data)
    twin._errors = ErrorDict()
    twin.hidden = set(form.hidden)
    twin.choices_errors = {}
    twin.templated_fields = {}  # What is rendered is data, whatever it looks like.
    return twin


def invalid(errors: Mapping[str, Any]) -> NodeFailed:
    """Return the error that says which fields are wrong, with all `problems`."""
    problems = tuple(Problem(name, str(text)) for name, texts in errors.items() for text in texts)
    text = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
    failed = NodeFailed(f"invalid settings: {text}", error_type="FormInvalid")
    failed.problems = problems
    return failed


def _messages(error: Exception) -> list[str]:
    return error.messages if isinstance(error, ValidationError) else [str(error)]
