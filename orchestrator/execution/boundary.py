"""The boundary between two iterations of a loop, where others may do a piece of work."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from orchestrator.exceptions import OrchestratorError
from orchestrator.execution.commit import Abandoned
from orchestrator.execution.iterations import as_failure

logger = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]


class Boundary:
    """Work that is due is done while the source waits for an item, as a visit, or by the source
    when it comes to a boundary and is asked for attention.

    Args:
        on_failure: called when a visit has failed: nothing more may be committed.
    """

    def __init__(self, on_failure: Callable[[OrchestratorError], None]) -> None:
        self.attention = False
        """Set when the source has to call `FlowRunner.attend` at the next boundary."""
        self.open = False
        """Set while the source waits for an item: then there may be a visit."""
        self.paused = False
        """Set while there may be none all the same."""
        self.called = asyncio.Event()
        """Set with `attention`, for whoever waits for that."""
        self._due: deque[Work] = deque()
        self._visit: asyncio.Task[None] | None = None
        self._on_failure = on_failure

    def call(self) -> None:
        """Have the source attend at the next boundary."""
        self.attention = True
        self.called.set()

    @property
    def busy(self) -> bool:
        """Whether there is work that nobody has begun."""
        return bool(self._due)

    def add(self, work: Work) -> None:
        """Have a piece of work done."""
        self._due.append(work)
        if not self.open or self.paused:
            self.call()
        elif self._visit is None:
            self._visit = asyncio.create_task(self._run_visit())

    async def visit_with(self, work: Work) -> None:
        """Have a piece of work done, and wait until it is."""
        done = asyncio.Event()

        async def visited() -> None:
            try:
                await work()
            finally:
                done.set()

        self.add(visited)
        await done.wait()

    async def run_due(self) -> None:
        while self._due:
            await self._due.popleft()()

    async def leave(self) -> None:
        """Let a visit come to its end, unless the loop is ended itself."""
        self.open = False
        if self._visit is not None and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
            await self._visit

    async def visited(self) -> None:
        """Wait for the end of a visit."""
        if self._visit is not None:
            await self._visit

    def close(self) -> None:
        """Cut off a visit."""
        if self._visit is not None:
            self._visit.cancel()

    async def _run_visit(self) -> None:
        try:
            await self.run_due()
        except Exception as error:
            if not isinstance(error, Abandoned):
                logger.exception("work at a boundary failed")
            self._on_failure(error if isinstance(error, OrchestratorError) else as_failure(error))
        finally:
            self._visit = None
