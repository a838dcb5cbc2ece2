"""Fields that nodes need beside Django's. Their cleaned values are JSON types.

`template` says whether a field may hold a template, and `kind` how it is shown.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from croniter import CroniterError, croniter
from django import forms
from django.core.exceptions import ValidationError

from forms.choices import are_saved_values
from orchestrator.exceptions import InvalidPayload
from storage.codec import check, decode

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PARTS = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?(ms|s|m|h|d) ?")


class LiteralField(forms.CharField):  # type: ignore[misc]
    """A text that is never a template: a pattern, a path, a name."""

    template = False


class CodeField(LiteralField):
    """A program or a query. Its braces are its own, unless it is made a template.

    Args:
        language: what an editor colours: `python`, `sql`, `json`, ...
    """

    kind = "code"
    widget = forms.Textarea

    def __init__(self, *, language: str = "", template: bool = False, **kwargs: Any) -> None:
        self.language = language or None
        self.template = template
        super().__init__(**{"strip": False, **kwargs})


class CredentialField(forms.ChoiceField):  # type: ignore[misc]
    """The name of a credential, never its secret, and never a template.

    known: gives the kind of each credential by its name; whoever keeps credentials puts it here.

    Args:
        kinds: those that the node can use; none for every kind.
    """

    template = False
    kind = "credential"
    known: ClassVar[Callable[[], Mapping[str, str]]] = staticmethod(dict)
    default_error_messages: ClassVar[dict[str, str]] = {
        "invalid_choice": "There is no credential of this name.",
        "invalid_kind": "This credential is of the kind %(kind)s; use one of %(kinds)s.",
    }

    def __init__(self, *, kinds: Iterable[str] = (), **kwargs: Any) -> None:
        self.kinds = tuple(kinds)
        super().__init__(choices=self._fitting, **kwargs)

    def validate(self, value: str) -> None:
        """Compare with what there is; whoever runs a node has the credentials of its order only."""
        forms.Field.validate(self, value)
        if not value or are_saved_values():
            return
        kind = type(self).known().get(value)
        if kind is None:
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        if self.kinds and kind not in self.kinds:
            raise ValidationError(
                self.error_messages["invalid_kind"],
                code="invalid_kind",
                params={"kind": kind, "kinds": ", ".join(self.kinds)},
            )

    def _fitting(self) -> list[tuple[str, str]]:
        nothing = [] if self.required else [("", "None")]
        known = type(self).known().items()
        return nothing + [(n, n) for n, kind in known if not self.kinds or kind in self.kinds]


class ValueField(forms.Field):  # type: ignore[misc]
    """Any JSON value, as it is: a text stays a text, a number a number, an expression's value
    what it was."""

    template = True
    kind = "value"
    widget = forms.TextInput
    empty_values: ClassVar[list[Any]] = [None, ""]

    def to_python(self, value: Any) -> Any:
        try:
            check(value)
        except InvalidPayload as error:
            raise ValidationError(f"Enter valid JSON: {error.message}", code="invalid") from None
        return value

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, indent=2)


class JsonField(ValueField):
    """Any JSON value; a text is read as JSON. Texts inside it may be templates."""

    kind = "json"
    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        if not isinstance(value, str):
            return super().to_python(value)
        try:
            return decode(value)
        except InvalidPayload as error:
            raise ValidationError(f"Enter valid JSON: {error.message}", code="invalid") from None

    def clean_rendered(self, value: Any, single: bool) -> Any:
        """Clean what a template gave: a text that is an item's value is not read as JSON."""
        if single and isinstance(value, str):
            self.validate(value)
            self.run_validators(value)
            return value
        return self.clean(value)


class KeyValueField(JsonField):
    """Named values as an object. Given as an object or as rows: `[{"key": ..., "value": ...}]`."""

    kind = "key_value"

    def to_python(self, value: Any) -> dict[str, Any]:
        value = super().to_python(value)
        rows = value if isinstance(value, list) else self._rows(value)
        pairs: dict[str, Any] = {}
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("key"), str):
                raise ValidationError("Each row needs a key and a value.", code="invalid")
            key = row["key"].strip()
            if not key or key in pairs:
                raise ValidationError(
                    f"The key {key!r} is given twice." if key else "A key is empty.", code="invalid"
                )
            pairs[key] = row.get("value")
        return pairs

    def _rows(self, value: Any) -> list[dict[str, Any]]:
        if value is None:
            return []
        if not isinstance(value, Mapping):
            raise ValidationError("Enter an object or a list of rows.", code="invalid")
        return [{"key": key, "value": inner} for key, inner in value.items()]

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise ValidationError(self.error_messages["required"], code="required")

    def clean_rendered(self, value: Any, single: bool) -> Any:
        """Clean what a template gave; a text that is an item's value has no named values."""
        if single and isinstance(value, str):
            raise ValidationError("Enter an object or a list of rows.", code="invalid")
        return self.clean(value)


class SecondsField(forms.Field):  # type: ignore[misc]
    """A duration: seconds as a number, or a text such as `1.5`, `500ms`, `1h 30m`."""

    template = True
    kind = "duration"
    widget = forms.TextInput

    def __init__(self, *, min_value: float = 0.0, max_value: float | None = None, **kwargs: Any):
        self.min_value = min_value
        self.max_value = max_value
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> float | None:
        if value in self.empty_values:
            return None
        seconds = _seconds(value)
        if seconds is None:
            raise ValidationError("Enter seconds, or a duration such as 1h 30m.", code="invalid")
        return seconds

    def validate(self, value: float | None) -> None:
        super().validate(value)
        if value is not None and value < self.min_value:
            raise ValidationError(f"Enter at least {self.min_value:g} seconds.", code="min_value")
        if value is not None and self.max_value is not None and value > self.max_value:
            raise ValidationError(f"Enter at most {self.max_value:g} seconds.", code="max_value")


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        text = value.strip().lower()
        if text and not _PARTS.sub("", text):
            return sum(float(amount) * _UNITS[unit] for amount, unit in _PARTS.findall(text))
        value = text
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


class CronField(LiteralField):
    """A schedule of five cron fields, such as `*/5 * * * *`, or `@hourly` and the like."""

    kind = "cron"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, **kwargs)

    def to_python(self, value: Any) -> str:
        return " ".join(super().to_python(value).split())

    def validate(self, value: str) -> None:
        super().validate(value)
        if value and not _occurs(value):
            raise ValidationError("Enter five cron fields, such as */5 * * * *.", code="invalid")


def _occurs(expression: str) -> bool:
    # A random field (R) would give another schedule after every restart.
    if len(expression) > 200 or not (expression.startswith("@") or len(expression.split()) == 5):
        return False
    if re.search(r"(?<![a-z])[rh](?![a-z])", expression.lower()):
        return False
    try:
        croniter(expression, datetime.now(UTC)).get_next(datetime)
    except (CroniterError, ValueError, OverflowError):
        return False
    return True
