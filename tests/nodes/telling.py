"""Nodes that write lines of the log, each from another kind of place."""

import asyncio
import logging

import structlog

from nodes.base import BlockingNode, ConditionalNode, NonBlockingNode, ProducerNode
from nodes.contract import ExecutionCompleted

logger = logging.getLogger(__name__)


class TellingSource(ProducerNode):
    """Gives six items; it tells of each while it makes it."""

    identifier = "telling-source"

    async def setup(self):
        logger.info("set up")

    async def execute(self, item):
        self.state = (self.state or 0) + 1
        if self.state > 6:
            return ExecutionCompleted()
        logger.info("produced %d", self.state)
        return item.with_data({"value": self.state})

    async def cleanup(self):
        logger.info("cleaned up")


class Telling(BlockingNode):
    identifier = "telling"

    async def execute(self, item):
        await asyncio.sleep(0)
        logger.info("passed %d", item.data["value"], extra={"given": item.data})
        return item


class TellingPlainly(BlockingNode):
    identifier = "telling-plainly"

    def execute(self, item):
        structlog.get_logger(__name__).warning("in a thread", value=item.data["value"])
        return item


class TellingChoice(ConditionalNode):
    identifier = "telling-choice"

    async def execute(self, item):
        logger.info("chose for %d", item.data["value"])
        self.set_output(item.data["value"] != 3)
        return item


class TellingBehind(NonBlockingNode):
    identifier = "telling-behind"

    async def execute(self, item):
        logger.info("behind %d", item.data["value"])
        return item


class TellingFailure(BlockingNode):
    identifier = "telling-failure"

    async def execute(self, item):
        raise ValueError(f"no to {item.data['value']}\nin two lines")
