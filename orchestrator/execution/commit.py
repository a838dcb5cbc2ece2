"""The commit window: what iterations change, and the order in which it is committed.

Nobody waits for the commit of one iteration. Finished iterations gather until there are enough of
them, a few milliseconds have passed, or the source has nothing more; then one call commits the
group. One call is on its way at a time, and what finishes meanwhile makes up the next.

Iterations of a source commit in the order of their sequence, so that the cursor never passes an
unfinished one. Queue-fed iterations acknowledge their own entries, in any order.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from nodes.contract import Json
from orchestrator.exceptions import (
    InvalidPayload,
    LeaseLost,
    NodeFailed,
    OrchestratorError,
    StoreUnavailable,
)
from orchestrator.execution.context import ExecutionContext, Scope
from orchestrator.execution.dead_letter import dead_letter
from orchestrator.execution.envelope import seal
from storage.base import DEAD_LETTERS, Commit, Lease, Outcome, QueueStore, SlotState
from storage.codec import decode, encode

STATE_LIMIT = 64 * 1024
EFFECT = "effect:"
"""Prefix of the committed state of a node's staged effects, beside the node's own state."""

_GATHER = 0.005
_BREATHE = 0.002
_WAIT_MIN, _WAIT_MAX = 0.05, 2.0


class Abandoned(OrchestratorError):
    """The loop was stopped before its last iterations could be committed."""


class Effects(Protocol):
    """A node whose staged effects are written by the committer, in commit order.

    Both methods are plain functions and run in a thread.
    """

    def open_effects(self, committed: Json, slot: int, activation: int) -> Json:
        """Cut the effects back to what was committed (None: nothing yet in this activation) and
        return the state to commit."""

    def apply_effects(self, effects: list[Json]) -> Json:
        """Write the effects behind what was applied before, and return the state to commit."""


class CommitWindow:
    """The iterations of one slot between their end and their commit.

    Args:
        source: the producer whose cursor is committed, in the order in which iterations were
            added; None for a queue-fed loop.
        room: length limit by output queue.
        effects: the nodes that stage effects, by id.
        lease_valid: tells by the monotonic clock whether the slot may still be acted for.
        on_wait: called with the reason for which commits wait (`queue_full`,
            `dead_letters_full`, `redis_down`), and with an empty text when they go on.
    """

    def __init__(
        self,
        store: QueueStore,
        lease: Lease,
        scope: Scope,
        begun: SlotState,
        *,
        source: str | None,
        room: Mapping[str, int],
        effects: Mapping[str, Effects],
        lease_valid: Callable[[], bool],
        on_wait: Callable[[str], None],
        size: int = 100,
    ) -> None:
        self.uncommitted = 0
        self.advances = 0
        """Iterations that only moved the cursor, committed or not."""
        self.full = False
        """Set when the source has to call `has_room` before it goes on."""
        self.failure: OrchestratorError | None = None
        self._store = store
        self._lease = lease
        self._scope = scope
        self._number = begun.number
        self._sequence = begun.sequence
        self._source = source
        self._ordered = source is not None
        self._room = dict(room)
        self._effects = dict(effects)
        self._effect_states = {
            node_id: begun.states.get(EFFECT + node_id) for node_id in self._effects
        }
        self._lease_valid = lease_valid
        self._on_wait = on_wait
        self._size = size
        self._batch = max(1, size // 2)
        # Ordered iterations behind one whose background work goes on.
        self._open: deque[ExecutionContext] = deque()
        self._ready: list[ExecutionContext] = []
        # Ready iterations that only moved the cursor, newer than those above.
        self._advances_taken = 0
        self._advanced_to: tuple[int, Json] = (0, None)
        self._pump: asyncio.Task[None] | None = None
        self._committing = False
        self._breathe_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()

    def add(self, context: ExecutionContext) -> None:
        """Take an iteration whose walk has ended; `landed` follows if it left background work."""
        self.uncommitted += 1
        self.full = self.uncommitted >= self._size
        if context.done and not self._open:
            self._ready.append(context)
            self._gather()
        elif self._ordered:
            self._open.append(context)
        elif context.done:
            self._ready.append(context)
            self._gather()

    def advance(self, sequence: int, cursor: Json) -> bool:
        """Take an iteration that changed nothing but the place in its source.

        Returns False, with nothing taken, while an earlier iteration is still unfinished.
        """
        if self._open:
            return False
        self.uncommitted += 1
        self.advances += 1
        self._advanced_to = (sequence, cursor)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER, self.kick)
        elif self.uncommitted >= self._size:
            self.full = True
        return True

    def landed(self, context: ExecutionContext) -> None:
        """Note that the background work of an added iteration has ended."""
        if not self._ordered:
            self._ready.append(context)
        while self._open and self._open[0].done:
            self._ready.append(self._open.popleft())
        self._gather()

    def _gather(self) -> None:
        if len(self._ready) >= self._batch:
            self.kick()
        elif self._ready and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER, self.kick)

    def fail(self, error: OrchestratorError) -> None:
        """Commit nothing more; the source finds out at its next iteration."""
        self.failure = self.failure or error
        self.full = True

    def abandon(self) -> None:
        """Give up what is not committed; the next owner of the slot runs it again."""
        self.fail(Abandoned())
        if self._timer is not None:
            self._timer.cancel()
        if self._pump is not None:
            self._pump.cancel()
        self._progress.set()

    @property
    def _waiting(self) -> bool:
        return bool(self._ready) or self.advances > self._advances_taken

    def kick(self) -> None:
        """Commit what is ready now instead of gathering more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and not self._committing and self.failure is None:
            self._pump = asyncio.create_task(self._commit_ready())

    async def has_room(self) -> None:
        """Wait until another iteration may be started.

        Raises:
            LeaseLost: another owner has the slot; nothing more can be committed.
            OrchestratorError: commits cannot go on for another reason.
        """
        while self.uncommitted >= self._size and self.failure is None:
            if self._committing or not self._waiting:
                await self._next_progress()
            else:
                await self._commit_ready()
                await self._breathe()
        self._raise_failure()

    async def _breathe(self) -> None:
        """Let other loops run: a loop that never waits for anything would starve them."""
        now = time.monotonic()
        if now >= self._breathe_at:
            await asyncio.sleep(0)
            self._breathe_at = time.monotonic() + _BREATHE

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

    async def open_effects(self) -> None:
        """Cut every node's effects back to their committed state, and commit where they begin.

        Raises:
            NodeFailed: a node cannot open them.
        """
        begun = dict(self._effect_states)
        await self._reopen_effects()
        if any(state is None for state in begun.values()):
            await self._send(self._commit([]), [])

    async def _reopen_effects(self) -> None:
        for node_id, node in self._effects.items():
            raw = self._effect_states[node_id]
            committed = None if raw is None else decode(raw)
            scope = self._scope
            try:
                state = await asyncio.to_thread(
                    node.open_effects, committed, scope.slot, scope.activation
                )
            except OSError as error:
                raise NodeFailed(str(error), node_id=node_id, error_type="OSError") from error
            self._effect_states[node_id] = encode(state)

    async def finish(self, *, completed: bool) -> None:
        """Commit everything, and the completion mark if the loop has ended its activation."""
        await self.flush()
        if completed:
            commit = self._commit([])
            commit.completed = True
            await self._send(commit, [])

    async def _commit_ready(self) -> None:
        if self._committing:
            return
        self._committing = True
        try:
            while self._waiting:
                group, self._ready = self._ready, []
                advanced = self.advances - self._advances_taken
                self._advances_taken = self.advances
                await self._send(await self._build(group, advanced > 0), group)
                self.uncommitted -= len(group) + advanced
                self.full = self.failure is not None
                self._progress.set()
        except OrchestratorError as error:
            self.fail(error)
        except OSError as error:
            self.fail(NodeFailed(str(error), error_type=type(error).__name__))
        finally:
            self._committing = False
            self._pump = None
            self._progress.set()

    async def _build(self, group: list[ExecutionContext], advanced: bool = False) -> Commit:
        commit = self._commit(group)
        effects: dict[str, list[Json]] = {}
        states: dict[str, Json] = {}
        cursor: Json = None
        for context in group:
            self._add_iteration(commit, context, effects)
            cursor = context.cursor
            if context.states:
                states.update(context.states)
        if advanced and self._advanced_to[0] > commit.sequence:
            self._sequence = commit.sequence = self._advanced_to[0]
            cursor = self._advanced_to[1]
        if self._source is not None and cursor is not None:
            states[self._source] = cursor
        for node_id, state in states.items():
            commit.states[node_id] = encode(state, STATE_LIMIT)
        for node_id, staged in effects.items():
            self._check_lease()
            applied = await asyncio.to_thread(self._effects[node_id].apply_effects, staged)
            commit.states[EFFECT + node_id] = encode(applied)
        return commit

    def _commit(self, group: list[ExecutionContext]) -> Commit:
        self._number += 1
        for context in group:
            self._sequence = max(self._sequence, context.sequence)
        commit = Commit(
            number=self._number, sequence=self._sequence, activation=self._scope.activation
        )
        commit.room = self._room
        for node_id, raw in self._effect_states.items():
            if raw is not None:
                commit.states[EFFECT + node_id] = raw
        return commit

    def _add_iteration(
        self, commit: Commit, context: ExecutionContext, effects: dict[str, list[Json]]
    ) -> None:
        if context.entry is not None:
            commit.acks.append(context.entry)
        if context.failure is None and context.outputs:
            self._seal_outputs(commit, context)
        if context.failure is not None:
            commit.dead.append(dead_letter(context, context.failure))
            return
        for node_id, effect in context.effects:
            effects.setdefault(node_id, []).append(effect)

    def _seal_outputs(self, commit: Commit, context: ExecutionContext) -> None:
        scope = self._scope
        try:
            commit.outputs += [
                (queue, seal(item, activation=scope.activation, version=scope.version))
                for queue, item in context.outputs
            ]
        except InvalidPayload as error:
            context.failure_reason = "invalid_payload"
            context.fail(NodeFailed(error.message, error_type=error.code))

    async def _send(self, commit: Commit, group: list[ExecutionContext]) -> None:
        wait = _WAIT_MIN
        waiting = False
        while True:
            self._check_lease()
            try:
                result = await self._store.commit(self._lease, commit)
            except StoreUnavailable:
                reason = "redis_down"
            else:
                if result.outcome is Outcome.COMMITTED:
                    break
                if result.outcome is Outcome.FENCED:
                    raise LeaseLost
                if result.outcome is Outcome.NOT_OWNER:
                    commit = await self._without(set(result.names), group)
                    continue
                full = DEAD_LETTERS in result.names
                reason = "dead_letters_full" if full else "queue_full"
            waiting = True
            self._on_wait(reason)
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _WAIT_MAX)
        if waiting:
            self._on_wait("")
        for node_id in self._effects:
            self._effect_states[node_id] = commit.states.get(EFFECT + node_id)

    async def _without(self, foreign: set[str], group: list[ExecutionContext]) -> Commit:
        """Build the group again without the iterations whose entries another slot took over."""
        kept = [c for c in group if c.entry is None or c.entry[1] not in foreign]
        await self._reopen_effects()
        return await self._build(kept)

    def _check_lease(self) -> None:
        if not self._lease_valid():
            raise LeaseLost("the lease was not renewed in time")
