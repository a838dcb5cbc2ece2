"""A node of runs whose effect outside can be counted, and that may die before and after it."""

import asyncio
import json
import os

from nodes.base import BlockingNode
from tests.nodes.failpoints import FOLDER, pass_by

EFFECTS = FOLDER / "effects.jsonl"
HOLD = FOLDER / "hold"


class Effect(BlockingNode):
    identifier = "effect"
    label = "Effect"
    description = (
        "Appends a line to a file, counts in the state, and asks for a checkpoint if told."
    )

    async def execute(self, item, context):
        n = item.data["n"]
        pass_by(f"{self.id} {n} before_execute")
        key = f"{self.id}:{n}"
        log = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, json.dumps({"key": key, "pid": os.getpid()}).encode() + b"\n")
        os.close(log)
        while HOLD.exists() and HOLD.read_text() == key:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if item.data.get("fail") == key and not (FOLDER / "mended").exists():
            raise ValueError(f"{key} is broken")
        if item.data.get("ask") == key:
            context.checkpoint()
        data = {**item.data, "n": n + 1, "trail": [*item.data["trail"], key]}
        if "total" in data:
            data["total"] = await context.channel.add("total")
            await context.channel.append("keys", key)
            data["keys"] = await context.channel.items("keys")
        pass_by(f"{self.id} {n} after_execute")
        return item.with_data(data)


class Untidy(BlockingNode):
    identifier = "untidy"
    label = "Untidy"
    description = "Fails when it is to clean up."

    async def execute(self, item):
        return item

    async def cleanup(self):
        raise RuntimeError("it is stuck")
