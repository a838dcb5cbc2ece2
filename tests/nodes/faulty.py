"""A node that does to its process what it is told, for one value of an item."""

import asyncio
import ctypes
import os
import re
import signal
import time

from nodes.base import BlockingNode
from tests.nodes.failpoints import FOLDER
from tests.nodes.recording import record

MENDED = FOLDER / "mended"


class Faulty(BlockingNode):
    identifier = "faulty"
    label = "Faulty"
    description = "Does what it is told for one item, until the test's folder has a file `mended`."
    form_class = "tests.nodes.faulty_forms.FaultyForm"

    async def execute(self, item):
        if item.data.get("value") == self.values["value"] and not MENDED.exists():
            record(self, item)
            await self._fail()
        return item

    async def _fail(self):
        action, seconds = self.values["action"], self.values["seconds"]
        if action == "wait":
            await asyncio.sleep(seconds)
        elif action == "block":
            time.sleep(seconds)  # noqa: ASYNC251
        elif action == "hold":  # without giving the interpreter lock away
            ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        elif action == "spin":  # as `hold`, for ever
            re.search("(a+)+$", "a" * 64 + "!")
        elif action == "exit":
            os._exit(9)
        elif action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise RuntimeError("told to")
