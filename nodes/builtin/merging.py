"""The merge node: items that belong together become one."""

import time
from collections.abc import Mapping

from nodes.base import BlockingNode
from nodes.builtin.comparing import as_text
from nodes.builtin.items import Reader, add_fields, optional_reader, value_reader
from nodes.contract import Json, NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from storage.codec import encode

MAX_HELD = 48 * 1024
"""Bytes of JSON that wait for others; a state may have 64 KB."""


class Merge(BlockingNode):
    """Waits for all items with the same key and passes them on as one, or passes the first of them
    on and drops the others.

    With a part, an item's fields come under the name of its part, and a newer item of a part takes
    the place of the older; without, the fields are put together, and a name that is taken becomes
    `name_2`. After `timeout`, and at the end of the source, what is there is passed on with
    `incomplete: true`. What waits is committed as state.
    """

    identifier = "merge"
    label = "Merge"
    description = "Waits for the items that have the same key and makes one of them."
    icon = "git-merge"
    category = "grouping"
    form_class = "nodes.builtin.merging_forms.MergeForm"
    stateful = True
    flushes_many = True

    async def setup(self) -> None:
        values = self.values
        self._key = value_reader(self, "key")
        self._part = optional_reader(self, "part")
        self._count: int = values["count"]
        self._first = values["wait_for"] == "any"
        self._timeout: float | None = values["timeout"]
        self.flush_after = self._timeout

    async def execute(self, item: NodeOutput) -> NodeOutput | None:
        key = as_text(self._needed(self._key, item, "key"))
        held: dict[str, Json] = self.state or {}
        group = held.get(key) or {"at": time.time(), "parts": []}
        if self._first:
            return self._pass_first(item, key, group)
        name = "" if self._part is None else as_text(self._needed(self._part, item, "part"))
        parts = [part for part in group["parts"] if self._part is None or part[0] != name]
        parts.append([name, item.data])
        others = {other: value for other, value in held.items() if other != key}
        if len(parts) >= self._count:
            self.state = others
            return item.with_data(self._merged(parts))
        self._hold({**others, key: {"at": group["at"], "parts": parts}})
        return None

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        held: dict[str, Json] = self.state or {}
        before = time.time() - (self._timeout or 0)
        for key, group in held.items():
            if not context.completing and (self._timeout is None or group["at"] > before):
                continue
            self.state = held = {other: value for other, value in held.items() if other != key}
            if not self._first:
                data = add_fields(self._merged(group["parts"]), {"incomplete": True})
                return context.new_item(data)
        return None

    def _pass_first(self, item: NodeOutput, key: str, group: Json) -> NodeOutput | None:
        held = dict(self.state or {})
        parts = group["parts"]
        name = "" if self._part is None else as_text(self._needed(self._part, item, "part"))
        seen = parts if self._part is not None and name in parts else [*parts, name]
        held[key] = {"at": group["at"], "parts": seen}
        if len(seen) >= self._count:
            del held[key]
        self._hold(held)
        return None if parts else item

    def _merged(self, parts: list[Json]) -> dict[str, Json]:
        if self._part is not None:
            return dict(parts)
        merged: dict[str, Json] = {}
        for _, data in parts:
            merged = add_fields(merged, data)
        return merged

    def _hold(self, held: Mapping[str, Json]) -> None:
        if len(encode(held)) > MAX_HELD:
            raise NodeFailed(
                f"{len(held)} keys wait for others and there is no room for more; a timeout lets"
                " incomplete ones go",
                node_id=self.id,
                error_type="MergeFull",
            )
        self.state = held

    def _needed(self, read: Reader, item: NodeOutput, what: str) -> Json:
        value = read(item.data)
        if value is None or value == "":
            raise NodeFailed(f"the item has no {what}", node_id=self.id, error_type="NoKey")
        return value
