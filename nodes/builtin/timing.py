"""Nodes that wait."""

import asyncio
import time

from nodes.base import BlockingNode
from nodes.builtin.grouping import short_hash
from nodes.builtin.items import optional_reader
from nodes.builtin.schedule import sleep_until
from nodes.contract import NodeContext, NodeOutput

MAX_KEYS = 2000
"""Keys whose items a rate-limit holds up at a time; the one that is due first is let go of."""


class StaticDelay(BlockingNode):
    """Waits the same time for every item, and with it the loop."""

    identifier = "static-delay"
    label = "Delay"
    description = "Holds every item back for the same number of seconds."
    icon = "pause"
    category = "timing"
    form_class = "nodes.builtin.timing_forms.StaticDelayForm"

    async def setup(self) -> None:
        self._seconds: float = self.values["seconds"]

    async def execute(self, item: NodeOutput) -> NodeOutput:
        await asyncio.sleep(self._seconds)
        return item


class DynamicDelay(BlockingNode):
    """Waits a time that each item decides: `{{ data.retry_after }}`."""

    identifier = "dynamic-delay"
    label = "Dynamic delay"
    description = "Holds an item back for a number of seconds that comes from the item."
    icon = "timer"
    category = "timing"
    form_class = "nodes.builtin.timing_forms.DynamicDelayForm"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        await asyncio.sleep(self.values["seconds"])
        return item


class RateLimit(BlockingNode):
    """Lets so many items pass in a time, evenly: 60 in a minute is one each second. After a pause
    up to `burst` pass at once. What comes too early waits, and with it the loop, or is dropped.

    The state holds for each key when the items it has let pass would have passed evenly. It is
    committed with them, so that a restart lets nothing pass twice. On the bench nothing waits.
    """

    identifier = "rate-limit"
    label = "Rate limit"
    description = "Lets no more than so many items pass in a time; the others wait or are dropped."
    icon = "gauge"
    category = "timing"
    form_class = "nodes.builtin.timing_forms.RateLimitForm"
    stateful = True

    async def setup(self) -> None:
        values = self.values
        self._key = optional_reader(self, "key")
        self._interval: float = values["seconds"] / values["limit"]
        self._ahead: float = self._interval * (values["burst"] - 1)
        self._drops = values["too_early"] == "drop"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput | None:
        if context.mode == "bench":
            return item
        key = "" if self._key is None else short_hash(self._key(item.data))
        now = time.time()
        # A clock that was set back must not make an item wait for longer than its turn.
        latest = now + self._ahead + self._interval
        places = {name: min(at, latest) for name, at in (self.state or {}).items() if at > now}
        due = places.get(key, now) - self._ahead
        if due > now:
            if self._drops:
                return None
            await sleep_until(due)
        passed = max(now, due)
        places[key] = max(places.get(key, passed), passed) + self._interval
        if len(places) > MAX_KEYS:
            del places[min(places, key=places.__getitem__)]
        self.state = places
        return item
