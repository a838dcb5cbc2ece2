"""Nodes that look at several items: batch and deduplicate."""

import base64
import hashlib
import time

from nodes.base import BlockingNode
from nodes.builtin.items import value_reader
from nodes.contract import Json, NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from storage.codec import encode

MAX_HELD = 48 * 1024
"""Bytes of JSON that a batch keeps in its state; a state may have 64 KB."""
MAX_ITEM = 128 * 1024
"""Bytes of an item that can be part of a batch; what is emitted may have 256 KB."""

_NOTHING: dict[str, Json] = {"items": [], "bytes": 0}


class Batch(BlockingNode):
    """Holds items back until there are `size` of them, and emits them as one item:
    `{"items": [...], "count": n}`.

    Emits fewer when the time is up, when the source is exhausted, or when they would have more
    than 48 KB. What is held is committed as state, so that nothing is lost and nothing repeated.
    """

    identifier = "batch"
    label = "Batch"
    description = "Collects items and passes them on as one list."
    icon = "package"
    category = "grouping"
    form_class = "nodes.builtin.grouping_forms.BatchForm"
    stateful = True

    async def setup(self) -> None:
        self._size: int = self.values["size"]
        self.flush_after = self.values["timeout"] or None

    async def execute(self, item: NodeOutput) -> NodeOutput | None:
        size = len(encode(item.data))
        if size > MAX_ITEM:
            raise NodeFailed(
                f"an item of {size} bytes is too large for a batch",
                node_id=self.id,
                error_type="TooLarge",
            )
        held = self.state or _NOTHING
        items = [*held["items"], item.data]
        total = held["bytes"] + size
        if len(items) < self._size and total <= MAX_HELD:
            self.state = {"items": items, "bytes": total}
            return None
        self.state = _NOTHING
        return item.with_data({"items": items, "count": len(items)})

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        items = (self.state or _NOTHING)["items"]
        if not items:
            return None
        self.state = _NOTHING
        return context.new_item({"items": items, "count": len(items)})


class Deduplicate(BlockingNode):
    """Drops an item whose key was seen before, among the last `remember` keys and, with `ttl`, in
    the last so many seconds. The state holds 48-bit hashes of the keys, the oldest first.
    An item without a key fails, because it is not known whether it may be dropped."""

    identifier = "deduplicate"
    label = "Deduplicate"
    description = "Passes an item on only if its key was not seen before."
    icon = "filter"
    category = "grouping"
    form_class = "nodes.builtin.grouping_forms.DeduplicateForm"
    stateful = True

    async def setup(self) -> None:
        self._key = value_reader(self, "key")
        self._remember: int = self.values["remember"]
        self._ttl: float | None = self.values["ttl"]

    async def execute(self, item: NodeOutput) -> NodeOutput | None:
        value = self._key(item.data)
        if value is None or value == "":
            raise NodeFailed("the item has no key", node_id=self.id, error_type="NoKey")
        now = int(time.time())
        seen: dict[str, int] = self.state or {}
        key = short_hash(value)
        first_seen = seen.get(key)
        if first_seen is not None and (self._ttl is None or now - first_seen < self._ttl):
            return None
        kept = {name: at for name, at in seen.items() if name != key} if key in seen else {**seen}
        kept[key] = now
        if len(kept) > self._remember:
            del kept[next(iter(kept))]
        self.state = kept
        return item


def short_hash(value: Json) -> str:
    """Return 8 characters that stand for a JSON value; keys of an object count in any order."""
    if isinstance(value, dict):
        value = sorted(value.items())
    digest = hashlib.blake2b(encode(value), digest_size=6).digest()
    return base64.b64encode(digest).decode()
