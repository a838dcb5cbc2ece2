"""What happens outside: each execution is one line of a file, and a file is a door."""

import asyncio
import json
import os
import time

from nodes.base import BlockingNode, NonBlockingNode
from tests.nodes.failpoints import FOLDER, pass_by

LOG = FOLDER / "executions.jsonl"
DOOR = FOLDER / "open"


def record(node, item):
    """Append one line, in one write, so that no process cuts into the line of another."""
    event = [time.monotonic(), node.id, item.id, os.getpid()]
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, json.dumps(event).encode() + b"\n")
    os.close(log)


class Recording(BlockingNode):
    identifier = "recording"
    label = "Recording"
    description = "Appends a line to a file for each execution, whatever becomes of it."

    async def execute(self, item):
        pass_by(f"{self.id} before_execute")
        record(self, item)
        pass_by(f"{self.id} after_execute")
        return item


class Door(BlockingNode):
    identifier = "door"
    label = "Door"
    description = "Holds every item back until the test's folder has a file named `open`."

    async def execute(self, item):
        while not DOOR.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return item


class Background(NonBlockingNode):
    identifier = "background"
    label = "Background"
    description = "Lets what follows go on while the next item begins."

    async def execute(self, item):
        return item


class Padding(BlockingNode):
    identifier = "padding"
    label = "Padding"
    description = "Makes an item heavy."

    async def execute(self, item):
        return item.with_data({**item.data, "padding": "x" * 4096})
