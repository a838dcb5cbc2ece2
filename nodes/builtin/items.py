"""What the built-in nodes do with the data of an item: add fields to it, look fields up."""

from collections.abc import Callable, Collection, Mapping

from nodes.base import BaseNode
from nodes.contract import Json
from orchestrator.exceptions import NodeFailed

Reader = Callable[[Mapping[str, Json]], Json]

MAX_SCANNED = 64 * 1024
"""Characters that a regular expression is run over at most."""


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, or `name_2`, `name_3` and so on when it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def add_fields(data: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, Json]:
    """Return the data with the new fields; one whose name is taken is renamed, not lost."""
    if data.keys().isdisjoint(new):
        return {**data, **new}
    result = dict(data)
    for name, value in new.items():
        result[free_name(name, result)] = value
    return result


def field_reader(path: str) -> Reader:
    """Return a function that looks a field up; dots go deeper: `order.lines.0.price`.

    What is not there is None.
    """
    if "." not in path:
        return lambda data: data.get(path)
    parts = path.split(".")

    def read(data: Mapping[str, Json]) -> Json:
        if path in data:
            return data[path]
        value: Json = data
        for part in parts:
            value = _step(value, part)
        return value

    return read


def value_reader(node: BaseNode, name: str) -> Reader:
    """Return a reader for a setting that holds the name of a field, or a template for the value."""
    if is_template(node.config.form.get(name)):
        return lambda data: node.values[name]
    return field_reader(str(node.values[name]))


def optional_reader(node: BaseNode, name: str) -> Reader | None:
    """Return what `value_reader` does, or None when the setting is empty."""
    return value_reader(node, name) if node.config.form.get(name) else None


def text_field(node: BaseNode, path: str, value: Json, limit: int | None = None) -> str:
    """Return the value of a field that has to be text.

    Raises:
        NodeFailed: it is missing, another type, or longer than the limit.
    """
    if isinstance(value, str):
        if limit is not None and len(value) > limit:
            raise NodeFailed(
                f"the field {path!r} has {len(value)} characters, {limit} are allowed",
                node_id=node.id,
                error_type="TooLong",
            )
        return value
    found = "missing" if value is None else f"{type(value).__name__}, not text"
    raise NodeFailed(f"the field {path!r} is {found}", node_id=node.id, error_type="NoText")


def is_template(text: Json) -> bool:
    """Tell whether a setting is rendered for each item."""
    return isinstance(text, str) and ("{{" in text or "{%" in text)


def _step(value: Json, part: str) -> Json:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return None
