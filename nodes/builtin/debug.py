"""The debug node."""

import logging

from nodes.base import BlockingNode
from nodes.contract import NodeOutput

MAX_LOGGED = 2000
"""Characters of an item that are logged at most."""

logger = logging.getLogger(__name__)


class Debug(BlockingNode):
    """Logs what passes and passes it on unchanged."""

    identifier = "debug"
    label = "Debug"
    description = "Writes every item to the log of the runner and passes it on."
    icon = "bug"
    category = "tools"
    form_class = "nodes.builtin.debug_forms.DebugForm"

    async def setup(self) -> None:
        self._level = logging.getLevelNamesMapping()[str(self.values["level"]).upper()]

    async def execute(self, item: NodeOutput) -> NodeOutput:
        if logger.isEnabledFor(self._level):
            text = str(self.values["message"] or item.data)
            logger.log(self._level, "node %s, item %s: %s", self.id, item.id, text[:MAX_LOGGED])
        return item
