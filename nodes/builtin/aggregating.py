"""The aggregate node: figures over many items."""

import re
from collections.abc import Callable, Mapping

from nodes.base import BlockingNode
from nodes.builtin.comparing import as_number, as_text
from nodes.builtin.items import Reader, field_reader, optional_reader
from nodes.contract import Json, NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from storage.codec import encode

MAX_HELD = 48 * 1024
"""Bytes of JSON that the groups of a window may have; a state may have 64 KB."""
FIGURE = re.compile(r"\s*([a-z]+)\s*(?:\(\s*(.*?)\s*\))?\s*")

Step = Callable[[Json, Json], Json]
"""Takes what a figure is so far, None at first, and the next value."""
_NOTHING: Mapping[str, Json] = {"groups": {}, "bytes": 0}


def _mean(so_far: Json, value: Json) -> Json:
    total, count = so_far or (0, 0)
    return [total + value, count + 1]


NUMBERS: dict[str, Step] = {
    "sum": lambda so_far, value: (so_far or 0) + value,
    "average": _mean,
    "min": lambda so_far, value: value if so_far is None else min(so_far, value),
    "max": lambda so_far, value: value if so_far is None else max(so_far, value),
}
ANY: dict[str, Step] = {
    "count": lambda so_far, value: (so_far or 0) + 1,
    "first": lambda so_far, value: value if so_far is None else so_far,
    "last": lambda so_far, value: value,
}
STEPS = NUMBERS | ANY


class Aggregate(BlockingNode):
    """Keeps figures for each key, and passes them on when the window ends: after so many items of a
    key, or after so many seconds for all keys; the rest comes at the end of the source.

    Values that are missing are left out. The figures are committed as state with every item, so
    that none is lost or counted twice.
    """

    identifier = "aggregate"
    label = "Aggregate"
    description = "Counts, sums up and compares items by a key, over a number of them or a time."
    icon = "sigma"
    category = "grouping"
    form_class = "nodes.builtin.aggregating_forms.AggregateForm"
    stateful = True
    flushes_many = True

    async def setup(self) -> None:
        values = self.values
        self._key = optional_reader(self, "key")
        self._size: int | None = values["count"]
        self.flush_after = values["seconds"]
        self._figures: dict[str, tuple[str, Reader | None]] = {}
        for name, text in values["figures"].items():
            kind, field = parse_figure(text)
            self._figures[name] = kind, field_reader(field) if field else None

    async def execute(self, item: NodeOutput) -> NodeOutput | None:
        key = None if self._key is None else self._key(item.data)
        if self._key is not None and (key is None or key == ""):
            raise NodeFailed("the item has no key", node_id=self.id, error_type="NoKey")
        window = self.state or _NOTHING
        name = as_text(key)
        before = window["groups"].get(name)
        group = self._added(before or {"key": key, "count": 0, "figures": {}}, item.data)
        if self._size is not None and group["count"] >= self._size:
            self.state = _without(window, name)
            return item.with_data(self._result(group))
        total = window["bytes"] + len(encode(group)) - (len(encode(before)) if before else 0)
        if before is None:
            total += len(name) + 4
        if total > MAX_HELD:
            raise NodeFailed(
                f"there is no room for more keys: a window holds {len(window['groups'])} already",
                node_id=self.id,
                error_type="WindowFull",
            )
        self.state = {"groups": {**window["groups"], name: group}, "bytes": total}
        return None

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        window = self.state or _NOTHING
        if not window["groups"]:
            return None
        name, group = next(iter(window["groups"].items()))
        self.state = _without(window, name)
        return context.new_item(self._result(group))

    def _added(self, group: Mapping[str, Json], data: Mapping[str, Json]) -> dict[str, Json]:
        figures = dict(group["figures"])
        for name, (kind, read) in self._figures.items():
            value = True if read is None else read(data)
            if value is None:
                continue
            if kind in NUMBERS:
                number = as_number(value)
                if number is None:
                    raise NodeFailed(
                        f"{name}: {as_text(value)[:100]!r} is no number",
                        node_id=self.id,
                        error_type="NoNumber",
                    )
                value = number
            figures[name] = STEPS[kind](figures.get(name), value)
        return {"key": group["key"], "count": group["count"] + 1, "figures": figures}

    def _result(self, group: Mapping[str, Json]) -> dict[str, Json]:
        found: dict[str, Json] = {} if self._key is None else {"key": group["key"]}
        found["count"] = group["count"]
        for name, (kind, _) in self._figures.items():
            value = group["figures"].get(name)
            if kind == "count":
                value = value or 0
            elif kind == "average" and value is not None:
                value = value[0] / value[1]
            found[name] = value
        return found


def parse_figure(text: Json) -> tuple[str, str]:
    """Return kind and field of a figure such as `sum(order.total)`.

    Raises:
        ValueError: it is none; the message is for people.
    """
    match = FIGURE.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1] not in STEPS:
        raise ValueError(f"{str(text)[:100]!r} is none of {', '.join(STEPS)} with a field")
    if not match[2] and match[1] != "count":
        raise ValueError(f"{match[1]} needs a field: {match[1]}(price)")
    return match[1], match[2] or ""


def _without(window: Mapping[str, Json], name: str) -> dict[str, Json]:
    groups = dict(window["groups"])
    group = groups.pop(name, None)
    if group is None:
        return {"groups": groups, "bytes": window["bytes"]}
    return {"groups": groups, "bytes": window["bytes"] - len(encode(group)) - len(name) - 4}
