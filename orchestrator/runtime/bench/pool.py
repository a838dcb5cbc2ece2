"""BenchPool: the bench's children, kept warm.

A child serves requests of one owner, one after the other, as long as each leaves nothing behind.
One that raised, hung, was cancelled or left a trace is ended with everything it started, and
another takes its place; nobody gets the used child of another owner.
"""

import asyncio
import contextlib
from typing import Any

from orchestrator.conf import OrchestratorSettings
from orchestrator.exceptions import Busy
from orchestrator.runtime.bench.process import BenchProcess

MAX_USES = 1000
IDLE_SECONDS = 30.0


class BenchPool:
    """Children for one event loop: at most `BENCH_CHILDREN` busy ones, as many idle, one spare."""

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._limit = settings.BENCH_CHILDREN
        self._memory = settings.BENCH_MEMORY
        self._busy = 0
        self._spare: asyncio.Task[BenchProcess] | None = None
        self._idle: list[_Idle] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, request: dict[str, Any], owner: str = "") -> dict[str, Any]:
        """Send a request to a child and return what it answers, with its `log`.

        Cancelling it ends the child and everything it started, before the cancellation goes on.

        Args:
            request: `op`: `execute` (`workflow_id`, `node` as `node_json` makes it, `state`,
                `write`), `input`, or `render` (`template`, `advanced`); each with `inputs`
                (`source`, `condition`, `data` of each edge) and `timeout` in seconds.
            owner: who may share a warm child.

        Raises:
            Busy: as many as allowed are running.
            Conflict: no edge leads to the node with these inputs.
            NodeFailed: the node raised, ended its process or started too many; `trace` ends with
                its log.
            NodeTimeout: it took too long and was ended.
            PayloadTooLarge, InvalidPayload: what it answers is too large, or no JSON.
            TemplateFailed, TemplateInvalid: a condition cannot be evaluated.
        """
        if self._busy >= self._limit:
            raise Busy(f"{self._limit} nodes are running on the bench: try again")
        self._busy += 1
        try:
            child = await self._take(owner)
            try:
                return await child.ask(request, request.get("node", {}).get("id", ""))
            finally:
                if child.clean and child.alive and child.uses < MAX_USES:
                    self._keep(child, owner)
                else:
                    await asyncio.shield(self._end(child))
        finally:
            self._busy -= 1

    async def close(self) -> None:
        """End all that wait for work."""
        for idle in self._idle:
            self._end(idle.let_go())
        self._idle.clear()
        if self._spare is not None:
            with contextlib.suppress(OSError, EOFError):
                self._end(await self._spare)
            self._spare = None
        await asyncio.gather(*self._ending)

    async def _take(self, owner: str) -> BenchProcess:
        while found := next((idle for idle in self._idle if idle.owner == owner), None):
            self._idle.remove(found)
            child = found.let_go()
            if child.alive:
                return child
            self._end(child)
        return await self._fresh()

    async def _fresh(self) -> BenchProcess:
        ready, self._spare = self._spare, asyncio.create_task(self._start())
        try:
            child = await (ready or self._start())
            if child.alive:
                return child
            self._end(child)
        except (OSError, EOFError):  # the fork server was lost, and is started anew
            pass
        return await self._start()

    async def _start(self) -> BenchProcess:
        return await BenchProcess.start(self._memory)

    def _keep(self, child: BenchProcess, owner: str) -> None:
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, child)
        self._idle.append(_Idle(child, owner, timer))
        if len(self._idle) > self._limit:
            self._retire(self._idle[0].child)

    def _retire(self, child: BenchProcess) -> None:
        for idle in self._idle:
            if idle.child is child:
                self._idle.remove(idle)
                self._end(idle.let_go())
                return

    def _end(self, child: BenchProcess) -> "asyncio.Task[None]":
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


class _Idle:
    """A child that waits for its owner's next request."""

    def __init__(self, child: BenchProcess, owner: str, timer: asyncio.TimerHandle) -> None:
        self.child = child
        self.owner = owner
        self._timer = timer

    def let_go(self) -> BenchProcess:
        self._timer.cancel()
        return self.child
