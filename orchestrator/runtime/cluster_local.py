"""The local cluster: hosted processes are children, and tasks stay in the worker that has them."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from nodes.contract import Json
from orchestrator.exceptions import Conflict, InvalidRequest, NotFound
from orchestrator.runtime import healthy, lifeline
from orchestrator.runtime.children import Child
from orchestrator.runtime.cluster import Cluster, Hosted, Process
from orchestrator.runtime.task_handlers import TaskHandlers
from storage.tasks import Task

GRACE = 45.0
"""Seconds that a process has to drain; it gives what it runs 25."""
_ROOT = Path(__file__).parents[2]
_OF_ITS_OWN = {healthy.VARIABLE: ""}  # one file cannot hold the signs of several processes


class LocalCluster(Cluster):
    """Args:
    descriptors: open files that hosted processes inherit.

    Hosted processes drain by themselves when this one is gone, however it ends.
    """

    has_resources: ClassVar[bool] = False

    def __init__(
        self,
        handlers: TaskHandlers,
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
    ) -> None:
        super().__init__(handlers, environment)
        self._descriptors = descriptors
        self._children: dict[str, tuple[Process, Child]] = {}
        self._lifeline: tuple[int, ...] = ()

    async def host(self, process: Process) -> None:
        if process.resources:
            raise InvalidRequest("the local cluster has no resources to give: leave them out")
        if process.name in self._children:
            raise Conflict(f"a process {process.name!r} is hosted already")
        child = Child(
            process.name,
            [sys.executable, "manage.py", process.role.value, *process.arguments],
            environment={**self.environment, **_OF_ITS_OWN, lifeline.VARIABLE: str(self._end())},
            descriptors=[self._end(), *self._descriptors],
            folder=_ROOT,
            grace=GRACE,
        )
        self._children[process.name] = (process, child)
        child.start()

    def _end(self) -> int:
        """Return the end of the lifeline that children watch."""
        if not self._lifeline:
            self._lifeline = os.pipe()
        return self._lifeline[0]

    async def hosted(self) -> Sequence[Hosted]:
        host = socket.gethostname()
        return [
            Hosted(process=process, host=host, pid=child.pid, starts=child.starts)
            for process, child in self._children.values()
        ]

    async def drain(self, name: str) -> None:
        if name not in self._children:
            raise NotFound(f"no process {name!r} is hosted")
        await self._children[name][1].drain()
        self._children.pop(name, None)

    def kill(self) -> None:
        for _, child in self._children.values():
            child.kill()

    async def execute(self, task: Task) -> Json:
        return await self.handlers.get(task.type).execute(task)

    async def close(self) -> None:
        await asyncio.gather(*(self.drain(name) for name in list(self._children)))
        for end in self._lifeline:
            os.close(end)
        self._lifeline = ()
