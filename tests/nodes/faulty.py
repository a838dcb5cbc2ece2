"""A node that does to its process what it is told, for one value of an item."""

import os
import re
import signal
import time

from nodes.base import BlockingNode


class Faulty(BlockingNode):
    identifier = "faulty"
    label = "Faulty"
    description = "Blocks, spins, exits, kills or raises for the item whose value it is told."
    form_class = "tests.nodes.faulty_forms.FaultyForm"

    async def execute(self, item):
        if item.data.get("value") == self.values["value"]:
            self._fail()
        return item

    def _fail(self):
        action = self.values["action"]
        if action == "block":
            time.sleep(self.values["seconds"])
        elif action == "spin":  # for ever, and without giving the interpreter lock away
            re.search("(a+)+$", "a" * 64 + "!")
        elif action == "exit":
            os._exit(9)
        elif action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise RuntimeError("told to")
