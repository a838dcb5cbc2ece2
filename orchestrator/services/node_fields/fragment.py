"""A node's form as it is while somebody fills it in: what was typed, and what follows from it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from forms.cascades import is_absent
from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload
from orchestrator.security.actors import Actor
from orchestrator.services import nodes
from orchestrator.services.node_fields.controls import Control, make_control
from orchestrator.services.node_fields.values import (
    Typed,
    control_name,
    posted,
    rows_of,
    typed,
    value_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """The controls of a form, and what they mean.

    values: of the node's `data.form`, with what was typed; None where the page is not to have
        them. others: errors of no field that is shown. news: what has changed besides, for
        whoever does not see it.
    """

    type: str
    controls: tuple[Control, ...]
    values: dict[str, Json] | None
    others: tuple[str, ...]
    news: str = ""

    @property
    def json(self) -> str:
        return json.dumps(self.values, ensure_ascii=False)

    @property
    def invalid(self) -> bool:
        return bool(self.others) or any(control.errors for control in self.controls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came back of the controls.

    values: with what was typed. given: what those controls hold that were changed.
    errors: of what is no value at all.
    """

    values: dict[str, Json]
    given: dict[str, Typed]
    errors: dict[str, list[str]]


def read(
    fields: Sequence[Mapping[str, Any]], values: Mapping[str, Json], data: QueryDict
) -> Reading:
    """Tell what was typed into the controls of fields that had these values.

    What nobody has changed keeps its exact JSON value.
    """
    found = Reading(values=dict(values), given={}, errors={})
    for field in fields:
        name, kind = field["name"], field["kind"]
        now, before = posted(kind, name, data), values.get(name, field["initial"])
        if now is None or now == typed(kind, before):
            continue
        found.given[name] = now
        try:
            found.values[name] = value_of(field, now, before)
        except InvalidPayload as error:
            found.errors[name] = [error.message]
    return found


def fill(
    actor: Actor,
    node_type: str,
    values: Mapping[str, Json],
    data: QueryDict,
    changed: Sequence[str] = (),
    advanced: bool = False,
) -> Fragment:
    """Return the form after what was typed into it; nothing is stored.

    What depends on a changed field is empty then, and is not blamed for that.

    Args:
        values: of the node before. data: the controls; none for a form that is opened.
        changed: the fields that somebody has set since the form was answered last.
        advanced: whether its templates may have loops.

    Raises:
        UnknownNodeType: there is no such type.
        FormFailed: its form cannot be loaded, or raises.
    """
    fields = nodes.filled(actor, node_type, values, (), advanced)["fields"]
    names = {field["name"] for field in fields}
    known = [name for name in dict.fromkeys(changed) if name in names]
    reading = read(fields, values, data)
    state = nodes.filled(actor, node_type, reading.values, known, advanced)
    cleared = _below(state["fields"], known)
    for field in state["fields"]:
        if field["name"] in cleared:
            _settle(field, reading)
    controls = tuple(_control(field, reading, data) for field in state["fields"])
    return Fragment(
        type=node_type,
        controls=controls,
        values=reading.values,
        others=(*state["errors"], *unseen(controls)),
        news=_news(state["fields"], cleared),
    )


def unseen(controls: Sequence[Control]) -> list[str]:
    """Return the errors of fields that are not shown."""
    return [
        f"{control.field['label']}: {text}"
        for control in controls
        if control.widget == "hidden" or not control.field["visible"]
        for text in control.errors
    ]


def _below(fields: Sequence[Mapping[str, Any]], changed: Sequence[str]) -> set[str]:
    """Return the fields that depend on a changed one, at any distance; they may be changed, too."""
    found: set[str] = set()
    size = -1
    while size < len(found):
        size = len(found)
        above = found.union(changed)
        found |= {field["name"] for field in fields if above & {*field["depends_on"]}}
    return found


def _settle(field: dict[str, Any], reading: Reading) -> None:
    """Take over what a change of a parent has left of a field."""
    name, value = field["name"], field["value"]
    reading.given.pop(name, None)
    reading.errors.pop(name, None)
    if is_absent(value):
        reading.values.pop(name, None)
        field["errors"] = []
    else:
        reading.values[name] = value


def _control(field: Mapping[str, Any], reading: Reading, data: QueryDict) -> Control:
    name = field["name"]
    kept = field["kind"] == "password" and _is_kept(name, reading.values, data)
    errors = reading.errors.get(name) or ([] if kept and _is_empty(name, data) else field["errors"])
    shown = reading.given.get(name)
    if shown is None:
        shown = typed(field["kind"], reading.values.get(name, field["initial"]))
    return make_control(field, shown, errors, kept=kept, rows=rows_of(control_name(name), data))


def _is_kept(name: str, values: Mapping[str, Json], data: QueryDict) -> bool:
    """Tell whether a secret has a value; the admin's page says only that it has."""
    return not is_absent(values.get(name)) or f"{control_name(name)}-kept" in data


def _is_empty(name: str, data: QueryDict) -> bool:
    return not data.get(control_name(name), "")


def _news(fields: Sequence[Mapping[str, Any]], cleared: Collection[str]) -> str:
    labels = [
        field["label"]
        for field in fields
        if field["name"] in cleared and field["visible"] and field["choices"] is not None
    ]
    return f"{', '.join(labels)}: new choices." if labels else ""
