"""The controls of a node's form, for the template."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.services.node_fields.values import Row, Typed, as_text, control_name

EMPTY_ROWS = 2
"""Without JavaScript there is room for so many more named values."""

_INPUT_MODES = {"integer": "text", "number": "decimal", "email": "email", "url": "url"}
_PLACEHOLDERS = {
    "cron": "*/5 * * * *",
    "date": "YYYY-MM-DD",
    "datetime": "YYYY-MM-DD HH:MM:SS",
    "duration": "1h 30m",
    "time": "HH:MM",
}
_AREAS = frozenset(("code", "json", "multiline"))
_WIDGETS = {"boolean": "tick", "multiple_choice": "many", "key_value": "rows", "hidden": "hidden"}
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice. `group` is the heading it stands under, or empty."""

    value: str
    label: str
    chosen: bool
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One field in the page.

    widget: which part of the template draws it: line, area, choice, many, tick, rows, date,
        secret or hidden.
    template: what stands in the line for a template, beside a control that can hold none; None
        for no such line.
    kept: whether it is a secret that has a value, which is not shown.
    """

    field: Mapping[str, Any]
    name: str
    widget: str
    typed: Typed
    options: tuple[Option, ...]
    rows: tuple[Row, ...]
    template: str | None
    errors: Sequence[str]
    placeholder: str
    input_mode: str
    described_by: str
    shown: str
    lines: int
    kept: bool

    @property
    def holds_template(self) -> str:
        """Which of its controls may hold a template: `own`, `line` for the one beside it, or
        `rows` for the values of named ones; empty for none."""
        if not self.field["template"]:
            return ""
        if self.widget in ("line", "area"):
            return "own"
        return "rows" if self.widget == "rows" else "line"

    @property
    def is_group(self) -> bool:
        """Whether it has several controls, which need a common heading."""
        return self.widget in ("many", "rows")


def make_control(
    field: Mapping[str, Any],
    typed: Typed,
    errors: Sequence[str],
    *,
    kept: bool = False,
    rows: tuple[Row, ...] = (),
) -> Control:
    """Return the control of a field of FormSerializer.

    Args:
        kept: whether it is a secret that has a value.
        rows: those that are in the page already, where each of them stays in its place.
    """
    widget, name = _widget(field, typed), control_name(field["name"])
    options = _options(field, typed, widget)
    return Control(
        field=field,
        name=name,
        widget=widget,
        typed=typed,
        options=options,
        rows=_rows(typed, rows) if widget == "rows" else (),
        template=_template(field, typed, widget),
        errors=errors,
        placeholder=_PLACEHOLDERS.get(field["kind"], ""),
        input_mode=_INPUT_MODES.get(field["kind"], "text"),
        described_by=f"{name}-help {name}-errors",
        shown=_shown(field, typed, options),
        lines=min(max(4, typed.text.count("\n") + 2), 24),
        kept=kept,
    )


def _widget(field: Mapping[str, Any], typed: Typed) -> str:
    kind = field["kind"]
    if kind in _WIDGETS:
        return _WIDGETS[kind]
    if kind == "password":
        return "secret"
    if field["choices"] is not None:
        return "choice"
    if kind in _AREAS or "\n" in typed.text:
        return "area"
    if kind == "date" and not field["template"] and _DATE.fullmatch(typed.text):
        return "date"
    return "line"


def _options(field: Mapping[str, Any], typed: Typed, widget: str) -> tuple[Option, ...]:
    chosen = _chosen(field, typed, widget)
    found = [
        Option(value=value, label=choice["label"], chosen=value in chosen, group=_group(choice))
        for choice in field["choices"] or ()
        for value in [as_text(choice["value"])]
    ]
    known = {option.value for option in found}
    # What is stored and no longer offered stays until somebody chooses anything else.
    lost = [
        Option(value=value, label=f"{value} (not one of the choices)", chosen=True)
        for value in chosen
        if value not in known
    ]
    if widget == "choice" and "" not in known:
        lost.insert(0, Option(value="", label="---------", chosen=not chosen))
    return (*lost, *found)


def _chosen(field: Mapping[str, Any], typed: Typed, widget: str) -> list[str]:
    if widget == "many":
        return list(typed.many or ())
    if widget != "choice" or not typed.text or is_template(field, typed):
        return []
    return [typed.text]


def is_template(field: Mapping[str, Any], typed: Typed) -> bool:
    """Whether a choice holds a template, which goes into a line of its own."""
    values = [as_text(choice["value"]) for choice in field["choices"] or ()]
    return "{{" in typed.text or "{%" in typed.text if typed.text not in values else False


def _template(field: Mapping[str, Any], typed: Typed, widget: str) -> str | None:
    if widget == "choice":
        text = typed.text if is_template(field, typed) else ""
    elif widget in ("tick", "many", "rows"):
        text = typed.text
    else:
        return None
    return text if text or field["template"] else None


def _rows(typed: Typed, shown: tuple[Row, ...]) -> tuple[Row, ...]:
    empty = Row(key="", text="", is_json=False)
    if tuple(row for row in shown if not row.is_empty) != (typed.rows or ()) or not shown:
        return (*(typed.rows or ()), *[empty] * EMPTY_ROWS)
    return shown if shown[-1].is_empty else (*shown, empty)


def _shown(field: Mapping[str, Any], typed: Typed, options: Sequence[Option]) -> str:
    """Return the value for somebody who may only look at it."""
    if field["kind"] == "password":
        return "••••••"
    if typed.ticked is not None:
        return "yes" if typed.ticked else "no"
    if typed.rows is not None:
        return "\n".join(f"{row.key}: {row.text}" for row in typed.rows)
    chosen = [option.label for option in options if option.chosen and option.value]
    return ", ".join(chosen) if chosen else typed.text


def _group(choice: Mapping[str, Any]) -> str:
    return str(choice.get("group", ""))
