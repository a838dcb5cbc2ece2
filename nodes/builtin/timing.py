"""Nodes that wait."""

import asyncio

from nodes.base import BlockingNode
from nodes.contract import NodeOutput


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
