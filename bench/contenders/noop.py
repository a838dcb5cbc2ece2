"""A node that does nothing."""

from nodes.base import BlockingNode


class Noop(BlockingNode):
    identifier = "noop"
    label = "Nothing"
    description = "Passes the item on."

    async def execute(self, item):
        return item
