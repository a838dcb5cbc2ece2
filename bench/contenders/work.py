"""Nodes that take 5 ms for an item: one waits, one works; and one that makes an item heavy."""

import asyncio
import time

from nodes.base import BlockingNode

SECONDS = 0.005


class Sleeping(BlockingNode):
    identifier = "sleeping"
    label = "Sleeping"
    description = "Waits for 5 ms."

    async def execute(self, item):
        await asyncio.sleep(SECONDS)
        return item


class Burning(BlockingNode):
    identifier = "burning"
    label = "Burning"
    description = "Takes 5 ms of processor time."

    async def execute(self, item):
        until = time.thread_time() + SECONDS
        while time.thread_time() < until:
            pass
        return item


class Weight(BlockingNode):
    identifier = "weight"
    label = "Weight"
    description = "Adds 10 KB to an item."

    async def execute(self, item):
        return item.with_data({**item.data, "weight": "x" * 10_000})
