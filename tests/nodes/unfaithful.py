"""Nodes that do not do the same on the bench as in production, each for a reason of its own."""

import itertools
import os
import threading
import time

from nodes.base import BlockingNode
from nodes.contract import NodeOutput
from nodes.tools import tools

_numbers = itertools.count(1)
_known = threading.local()
_known.here = True


tools.register("double", lambda value: value * 2)


class Clock(BlockingNode):
    identifier = "clock"
    label = "Clock"
    description = "Reads the clock."

    async def execute(self, item):
        return item.with_data({**item.data, "at": time.time()})


class ThreadBound(BlockingNode):
    identifier = "thread-bound"
    label = "Thread-bound"
    description = "Keeps what it needs in the thread that has imported it."

    async def execute(self, item):
        return item.with_data({**item.data, "known": hasattr(_known, "here")})


class Spoiler(BlockingNode):
    identifier = "spoiler"
    label = "Spoiler"
    description = "Changes its input in place."

    async def execute(self, item):
        item.data["spoiled"] = True
        return item


class Arrival(BlockingNode):
    identifier = "arrival"
    label = "Arrival"
    description = "Numbers items as they arrive, in its module."

    async def execute(self, item):
        return item.with_data({**item.data, "place": next(_numbers)})


class Pair(BlockingNode):
    identifier = "pair"
    label = "Pair"
    description = "Gives a tuple, which JSON has not."

    async def execute(self, item):
        return item.with_data({**item.data, "pair": (1, 2)})


class NumberKeys(BlockingNode):
    identifier = "number-keys"
    label = "Number keys"
    description = "Gives an object whose keys are numbers."

    async def execute(self, item):
        return item.with_data({**item.data, "names": {1: "one"}})


class FailsElsewhere(BlockingNode):
    identifier = "fails-elsewhere"
    label = "Fails elsewhere"
    description = "Fails in another way in each process."

    async def execute(self, item):
        raise ValueError(f"not in process {os.getpid()}")


class FailsAtTwo(BlockingNode):
    identifier = "fails-at-two"
    label = "Fails at two"
    description = "Fails for the value 2."

    async def execute(self, item):
        if item.data["value"] == 2:
            raise ValueError("two")
        return item


class Identity(BlockingNode):
    identifier = "identity"
    label = "Identity"
    description = "Gives the id of its item, which the bench does not know."

    async def execute(self, item):
        return item.with_data({**item.data, "id": item.id})


class Headers(BlockingNode):
    identifier = "headers"
    label = "Headers"
    description = "Gives another id and metadata to an item, and emits several for one."
    queue_role = "writer"

    async def execute(self, item, context):
        for name in "ab":
            emitted = NodeOutput(f"{name}{item.data['value']}", item.data)
            context.emit(self.config.options.queue_name, emitted)
        return NodeOutput(f"mine-{item.id}", item.data, {"seen": True})
