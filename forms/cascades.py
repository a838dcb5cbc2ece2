"""Fields that depend on other fields: their choices, and whether they are shown."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from graphlib import TopologicalSorter
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from forms.binding import check_type, has_template
from forms.choices import Choices, ChoicesUnavailable, are_saved_values, cache, pairs
from forms.values import to_json
from orchestrator.exceptions import InvalidRequest

Dependencies = Mapping[str, Sequence[str]]

_ABSENT: tuple[Any, ...] = (None, "", [], {})


def ordered(dependencies: Dependencies) -> list[str]:
    """Return the dependent fields, each after those it depends on.

    Raises:
        graphlib.CycleError: fields depend on each other in a circle.
    """
    order = TopologicalSorter(dependencies).static_order()
    return [name for name in order if name in dependencies]


def descendants(dependencies: Dependencies, roots: Iterable[str]) -> list[str]:
    """Return the fields that depend on one of the roots, directly or not, parents first."""
    reached = set(roots)
    found = []
    for name in ordered(dependencies):
        if reached.intersection(dependencies[name]):
            reached.add(name)
            found.append(name)
    return found


def is_absent(value: Any) -> bool:
    """Whether a raw or cleaned value is none at all; 0 and False are values."""
    return value in _ABSENT


class CascadingForm(forms.Form):  # type: ignore[misc]
    """A form whose fields may depend on other fields.

    template_fields: names of fields that may hold a template although they are no text fields.
    literal_fields: names of text fields that may not.
    visible_when: `{field: {parent: values}}`; a field is hidden unless each of its parents is
        shown and has one of the values. What is hidden is not required, not checked and not
        rendered; its cleaned value is the empty one.
    choices_timeout: seconds to wait for `populate_field`.
    choices_ttl: seconds for which this process keeps its answer.
    """

    template_fields: ClassVar[Collection[str]] = ()
    literal_fields: ClassVar[Collection[str]] = ()
    visible_when: ClassVar[Mapping[str, Mapping[str, Collection[Any]]]] = {}
    choices_timeout: ClassVar[float] = 5.0
    choices_ttl: ClassVar[float] = 60.0
    fields: dict[str, Any]
    data: Any
    initial: dict[str, Any]

    def _cascade(self) -> None:
        """Find out what is shown, and fill in choices; called once the data is known."""
        self.hidden: set[str] = set()
        self.choices_errors: dict[str, str] = {}
        self.templated_fields: dict[str, Any] = {}
        self._above = self._parents()
        self._order = ordered(self._above)
        for name in self.fields:
            self._note_template(name)
        self._refill(self._order)

    def get_field_dependencies(self) -> Dependencies:
        """Return the fields whose choices `populate_field` gives: `{child: [parents]}`.

        A field without parents has an empty list.
        """
        return {}

    def populate_field(self, name: str, parent_value: Any, form_values: Mapping[str, Any]) -> Any:
        """Return the choices of a field: (value, label) pairs or bare values.

        It may take its time and may be `async def`. It is asked when every parent has a valid
        value, in a thread of its own, and the answer is kept for `choices_ttl` seconds: it must
        depend on nothing but its arguments.

        Args:
            parent_value: the cleaned value of the first parent; None without parents.
            form_values: the cleaned values of all parents, by name.
        """
        return []

    def update_field(self, name: str, value: Any) -> dict[str, Choices]:
        """Set a field, clear the fields that depend on it, and return their new choices.

        Raises:
            InvalidRequest: there is no such field.
        """
        if name not in self.fields:
            raise InvalidRequest(f"there is no field {name!r}")
        cleared = descendants(self.get_field_dependencies(), [name])
        for each, new in ((name, value), *((child, None) for child in cleared)):
            self._store(each, new)
            self._note_template(each)
        self._errors = None
        self._refill(descendants(self._above, [name]))
        return {child: pairs(getattr(self.fields[child], "choices", ())) for child in cleared}

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
        """Whether the field may hold a template. A field that says `template = False` never may."""
        own = getattr(self.fields[name], "template", None)
        if own is False or name in self.literal_fields:
            return False
        text = isinstance(self.fields[name], forms.CharField)
        return bool(own) or name in self.template_fields or (own is None and text)

    def is_visible(self, name: str) -> bool:
        """Whether the field is shown with the present values."""
        return name not in self.hidden

    def dynamic_fields(self) -> list[str]:
        """Return the fields that are cleaned for each item, parents first: those that hold a
        template, and those that depend on one of them."""
        dynamic = dict.fromkeys(name for name in self.templated_fields if name not in self._above)
        for name in self._order:
            if name in self.templated_fields or not dynamic.keys().isdisjoint(self._above[name]):
                dynamic[name] = None
        return list(dynamic)

    def fill_choices(self, name: str, values: Mapping[str, Any]) -> None:
        """Give a dependent field the choices that go with the values."""
        self.choices_errors.pop(name, None)
        choices = self._ask(name, values) if self.is_visible(name) else []
        if hasattr(self.fields[name], "choices"):
            self.fields[name].choices = choices

    def show_or_hide(self, name: str, values: Mapping[str, Any]) -> bool:
        """Decide whether a field is shown with these values."""
        if self._shows(name, values):
            self.hidden.discard(name)
        else:
            self.hidden.add(name)
        return self.is_visible(name)

    def _shows(self, name: str, values: Mapping[str, Any]) -> bool:
        # A field is shown until an item tells what its parent's value is.
        dynamic = self.dynamic_fields()
        for parent, allowed in self.visible_when.get(name, {}).items():
            if parent in self.hidden:
                return False
            if parent not in dynamic and not _matches(
                self._valid(parent, values.get(parent)), allowed
            ):
                return False
        return True

    def _parents(self) -> dict[str, list[str]]:
        """Return what each field depends on, for its choices or for being shown."""
        parents = {name: list(above) for name, above in self.get_field_dependencies().items()}
        for name, conditions in self.visible_when.items():
            parents.setdefault(name, []).extend(conditions)
        return parents

    def _refill(self, names: Sequence[str]) -> None:
        values = self.get_all_field_values()
        for name in names:
            if name in self.visible_when:
                self.show_or_hide(name, values)
                self._note_template(name)
            if name in self.get_field_dependencies():
                self.fill_choices(name, values)

    def _ask(self, name: str, values: Mapping[str, Any]) -> Choices:
        parents = self.get_field_dependencies()[name]
        given = {parent: self._valid(parent, values.get(parent)) for parent in parents}
        try:
            for parent in parents:
                if parent in self.choices_errors:
                    raise ChoicesUnavailable(f"The choices of {parent} are not there to ask with.")
            if any(map(is_absent, given.values())):
                return []
            return cache.get(
                (type(self), name, _digest(given)),
                partial(self.populate_field, name, given[parents[0]] if parents else None, given),
                timeout=self.choices_timeout,
                ttl=self.choices_ttl,
            )
        except ChoicesUnavailable as error:
            if not are_saved_values():
                self.choices_errors[name] = str(error)
                return []
            value = values.get(name)
            return pairs(value if isinstance(value, list) else [value])

    def _valid(self, name: str, value: Any) -> Any:
        if name in self.hidden or name in self.templated_fields:
            return None
        field = self.fields[name]
        try:
            if not hasattr(self.data, "getlist"):
                check_type(field, value)
            return to_json(field.clean(value))
        except (ValidationError, TypeError, ValueError, OverflowError):
            return None

    def _note_template(self, name: str) -> None:
        raw = self.get_field_value(name)
        if self.is_visible(name) and self.takes_template(name) and has_template(raw):
            self.templated_fields[name] = raw
        else:
            self.templated_fields.pop(name, None)

    def _store(self, name: str, value: Any) -> None:
        if not self.is_bound:
            self.initial[name] = value
        elif isinstance(value, list) and hasattr(self.data, "setlist"):
            self.data.setlist(self.add_prefix(name), value)
        else:
            self.data[self.add_prefix(name)] = value


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _matches(value: Any, allowed: Collection[Any]) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(each == wanted for each in values for wanted in allowed)
