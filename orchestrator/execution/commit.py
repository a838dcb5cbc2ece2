"""The commit window: iterations between their end and their commit, and the order of commits.

Nobody waits for the commit of one iteration. One call commits all that have finished, as soon as
the source waits for anything or a batch of them is ready. One call is on its way at a time, and
what finishes meanwhile makes up the next: groups are small while there is little to do, and grow
by themselves.

Iterations of a source commit in the order of their sequence, so that the cursor never passes an
unfinished one. Queue-fed iterations acknowledge their own entries, in any order.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from nodes.contract import Json
from orchestrator.exceptions import OrchestratorError
from orchestrator.execution.committer import Committer
from orchestrator.execution.context import ExecutionContext
from storage.records import Completion

logger = logging.getLogger(__name__)
_BATCH = 100
"""More in one call hardly pay; fewer leave a wide window room to fill while the call is away."""


class Abandoned(OrchestratorError):
    """The loop was stopped before its last iterations could be committed."""


class CommitWindow:
    """The iterations of one slot between their end and their commit.

    Args:
        ordered: commit in the order in which iterations were added.
        size: how many iterations may be in the window before the source has to wait.
        begun: the sequence that is committed already.
        on_failure: called once, when nothing more can be committed.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        ordered: bool,
        size: int,
        begun: int,
        on_failure: Callable[[], None],
    ) -> None:
        self.full = False
        """Set when the source has to call `has_room` before it goes on."""
        self.failure: OrchestratorError | None = None
        self._committer = committer
        self._ordered = ordered
        self._size = size
        self._batch = min(size, _BATCH)
        self._on_failure = on_failure
        self._added = 0
        # Ordered iterations behind one whose background work goes on.
        self._open: deque[ExecutionContext] = deque()
        self._ready: list[ExecutionContext] = []
        # Iterations that only moved the cursor come by the thousand: what is counted of them is
        # the sequence of the last one, and up to which sequence others were counted.
        self._passed = self._counted = begun
        self._cursor: Json = None
        self._look_at = 0
        self._advances = self._advances_taken = self._advances_committed = 0
        self._committing = False
        self._pump: asyncio.Task[None] | None = None
        self._soon: asyncio.Handle | None = None
        self._progress = asyncio.Event()

    @property
    def uncommitted(self) -> int:
        return self._added + self.advances - self._advances_committed

    @property
    def advances(self) -> int:
        """Iterations that only moved the cursor, committed or not."""
        self._count_passed()
        return self._advances

    def _count_passed(self) -> None:
        if self._passed > self._counted:
            self._advances += self._passed - self._counted
            self._counted = self._passed

    def advance(self, sequence: int, cursor: Json) -> bool:
        """Take an iteration that changed nothing but the place in its source.

        Returns False, with nothing taken, while an earlier iteration is still unfinished.
        """
        if sequence >= self._look_at:
            if self._open:
                return False
            self._passed, self._cursor = sequence, cursor
            self._look()
        else:
            self._passed, self._cursor = sequence, cursor
        return True

    def _look(self) -> None:
        """Find out for how many more advances there is room, and whether the source may go on."""
        self._gather()
        room = self._size - self.uncommitted
        self.full = room <= 0 or self._due or self.failure is not None
        self._look_at = 0 if self._open else self._counted + room

    def add(self, context: ExecutionContext) -> None:
        """Take an iteration whose walk has ended; `landed` follows if it left background work."""
        self._added += 1
        if context.cursor is None and context.sequence == self._passed:
            context.cursor = self._cursor  # a flush right behind an iteration that only advanced
        self._count_passed()
        if context.sequence > self._counted:
            self._counted = context.sequence
        if self._ordered and (self._open or not context.done):
            self._open.append(context)
        elif context.done:
            self._ready.append(context)
        self._look()

    def landed(self, context: ExecutionContext) -> None:
        """Note that the background work of an added iteration has ended."""
        if not self._ordered:
            self._ready.append(context)
        while self._open and self._open[0].done:
            self._ready.append(self._open.popleft())
        self._gather()

    @property
    def _due(self) -> bool:
        """Whether there is a batch to send: a source that never waits has to let it go."""
        return len(self._ready) >= self._batch and not self._committing

    def _gather(self) -> None:
        if self._soon is None and not self._committing and self._waiting:
            self._soon = asyncio.get_running_loop().call_soon(self.kick)

    def fail(self, error: OrchestratorError) -> None:
        """Commit nothing more; the source finds out at its next iteration."""
        if self.failure is None:
            self.failure = error
            self.full = True
            self._committer.give_up(error)
            self._on_failure()
        self._progress.set()

    def abandon(self) -> None:
        """Give up what is not committed; the next owner of the slot runs it again."""
        self.fail(Abandoned())
        self._disarm()
        if self._pump is not None:
            self._pump.cancel()

    @property
    def _waiting(self) -> bool:
        return bool(self._ready) or self.advances > self._advances_taken

    def _disarm(self) -> None:
        self._look_at = 0
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def kick(self) -> None:
        """Commit what is ready now instead of gathering more."""
        self._disarm()
        if self._waiting and not self._committing and self.failure is None:
            self._committing = True
            self._pump = asyncio.create_task(self._commit_ready())

    async def has_room(self) -> None:
        """Wait until another iteration may be started.

        Raises:
            LeaseLost: another owner has the slot; nothing more can be committed.
            OrchestratorError: commits cannot go on for another reason.
        """
        if self._due:
            self.kick()
            await asyncio.sleep(0)  # it is sent now, and answered while the source goes on
        while self.uncommitted >= self._size and self.failure is None:
            if self._committing or not self._waiting:
                await self._next_progress()
            else:
                self._committing = True
                await self._commit_ready()
        self._look()
        self._raise_failure()

    async def flush(self) -> None:
        """Wait until every iteration that was added is committed. Raises like `has_room`."""
        while self.uncommitted:
            self.kick()
            await self._next_progress()
        self._raise_failure()

    async def _next_progress(self) -> None:
        self._raise_failure()
        self._progress.clear()
        await self._progress.wait()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def complete(self, completion: Completion) -> bool:
        """Commit everything, and the mark that the loop has ended its activation; False when more
        has come meanwhile."""
        await self.flush()
        return await self._committer.complete(completion)

    async def note(self, name: str, value: Json) -> None:
        """Commit everything, and then a state of the loop's own."""
        await self.flush()
        await self._committer.note(name, value)

    async def _commit_ready(self) -> None:
        try:
            while self._waiting and self.failure is None:
                await self._commit_group()
                self._progress.set()
        except OrchestratorError as error:
            self.fail(error)
        except Exception as error:
            logger.exception("a commit failed")
            self.fail(OrchestratorError(f"{type(error).__name__}: {error}"))
        finally:
            self._committing = False
            self._pump = None
            self._progress.set()

    async def _commit_group(self) -> None:
        fit = self._committer.fitting(self._ready)
        group, self._ready = self._ready[:fit], self._ready[fit:]
        if self._ready:  # which may be older than what advanced
            await self._committer.commit(group)
        else:
            taken = self._advances_taken = self.advances
            await self._committer.commit(group, self._passed, self._cursor)
            self._advances_committed = taken
        self._added -= len(group)
        self._look_at = 0
        self.full = self.failure is not None or self.uncommitted >= self._size
