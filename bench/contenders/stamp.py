"""A node that notes when it gave its n-th answer."""

import os
import struct
import time

from contenders.stamp_file import COUNT, stamps
from nodes.base import BlockingNode


class Stamp(BlockingNode):
    identifier = "stamp"
    label = "Stamp"
    description = "Notes the time of each execution."

    async def setup(self) -> None:
        self._stamps, self._number = stamps(os.environ["FEED_STAMPS"]), 0

    async def execute(self, item):
        if self._number < COUNT:
            struct.pack_into("d", self._stamps, 8 * self._number, time.monotonic())
        self._number += 1
        return item
