"""The committer: makes one commit of a group of ended iterations and sees it through."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from nodes.contract import Json, NodeOptions
from orchestrator.exceptions import (
    InvalidPayload,
    LeaseLost,
    NodeFailed,
    OrchestratorError,
    StoreUnavailable,
)
from orchestrator.execution.cancellation import heed_cancellation
from orchestrator.execution.context import ExecutionContext, Scope
from orchestrator.execution.dead_letter import dead_letter, overflow_letter
from orchestrator.execution.durations import Durations
from orchestrator.execution.places import within
from storage.base import QueueStore
from storage.codec import decode, encode
from storage.records import (
    DEAD_LETTERS,
    DELAYED,
    SERVER_MEMORY,
    Commit,
    Completion,
    Lease,
    Outcome,
    Room,
    SlotState,
)

STATE_LIMIT = 64 * 1024
EFFECT = "effect:"
"""Prefix of the committed state of a node's staged effects, beside the node's own state."""
KEPT = b'{"kept": true}'
"""In its place when the store has lost it: what there is of the effects is to be kept."""

_WAIT_MIN, _WAIT_MAX = 0.05, 2.0
_ANY = Room()
_FULL = {
    DEAD_LETTERS: "dead_letters_full",
    DELAYED: "retries_full",
    SERVER_MEMORY: "redis_full",
}
"""Reasons for which a commit waits, by what has no room; else it is a queue."""


class Effects(Protocol):
    """A node whose staged effects are written by the committer, in commit order.

    Both methods are plain functions and run in a thread.
    """

    def open_effects(self, committed: Json, slot: int, activation: int) -> Json:
        """Cut the effects back to what was committed and return the state to commit.

        Args:
            committed: None: nothing yet in this activation. `{"kept": true}`: how much is not known
                any more, so that everything there is has to be kept.
        """

    def apply_effects(self, effects: list[Json]) -> Json:
        """Write the effects behind what was applied before, and return the state to commit."""


class Committer:
    """Commits for one slot, one commit at a time.

    Args:
        source: the producer whose cursor is committed; None for a queue-fed loop.
        limits: the options of the writers by output queue.
        effects: the nodes that stage effects, by id.
        lease_valid: tells by the monotonic clock whether the slot may still be acted for.
        on_wait: called with the reason for which a commit waits (`queue_full`,
            `dead_letters_full`, `retries_full`, `redis_full`, `redis_down`), and with an empty text
            when it goes on.
    """

    def __init__(
        self,
        store: QueueStore,
        lease: Lease,
        scope: Scope,
        begun: SlotState,
        *,
        source: str | None,
        limits: Mapping[str, NodeOptions],
        effects: Mapping[str, Effects],
        lease_valid: Callable[[], bool],
        on_wait: Callable[[str], None],
    ) -> None:
        self._store = store
        self._lease = lease
        self._scope = scope
        self._number = self._committed = begun.number
        self._sequence = begun.sequence
        self._source = source
        self._room = {
            queue: Room(
                items=options.max_length,
                bytes=options.max_bytes,
                drop_oldest=options.overflow == "drop_oldest",
            )
            for queue, options in limits.items()
        }
        self._diverted = {q for q, options in limits.items() if options.overflow == "dead_letter"}
        self._effects = dict(effects)
        self._effect_states = {
            node_id: begun.states.get(EFFECT + node_id) for node_id in self._effects
        }
        self._lease_valid = lease_valid
        self._on_wait = on_wait
        self.durations = Durations()
        """Of the commits that were seen through, waits for room included."""
        self._given_up: OrchestratorError | None = None
        self._wake = asyncio.Event()

    def give_up(self, error: OrchestratorError) -> None:
        """Have a commit that waits raise the error instead of being tried again."""
        self._given_up = self._given_up or error
        self._wake.set()

    def fitting(self, ready: Sequence[ExecutionContext]) -> int:
        """Return how many of the iterations, the first at least, fit into empty queues together:
        more would be refused for ever."""
        counts: dict[str, int] = {}
        for number, context in enumerate(ready):
            for output in context.outputs:
                count = counts[output.queue] = counts.get(output.queue, 0) + 1
                if number and 0 < self._room.get(output.queue, _ANY).items < count:
                    return number
        return len(ready)

    async def commit(
        self, group: Sequence[ExecutionContext], sequence: int = 0, cursor: Json = None
    ) -> None:
        """Commit iterations, in their order.

        Args:
            sequence, cursor: of the last iteration that changed nothing but its place in the
                source; 0 for none.

        Raises:
            LeaseLost: another owner has the slot, or the lease was not renewed in time.
            NodeFailed: a state cannot be committed, or effects cannot be applied.
        """
        commit = self._commit(group, sequence, cursor)
        if self._effects:
            await self._apply_effects(commit, group)
        await self._send(commit, group)

    async def note(self, name: str, value: Json) -> None:
        """Commit a state of the loop's own, beside those of its nodes."""
        commit = self._commit([])
        commit.states[name] = encode(value)
        await self._send(commit, [])

    async def complete(self, completion: Completion) -> bool:
        """Commit the mark that this slot has ended its activation; False when more has come."""
        commit = self._commit([])
        commit.completion = completion
        return await self._send(commit, [])

    async def open_effects(self) -> None:
        """Cut every node's effects back to their committed state, and commit where they begin.

        Raises:
            NodeFailed: a node cannot open them.
        """
        new = any(state is None for state in self._effect_states.values())
        await self._reopen_effects()
        if new:
            await self._send(self._commit([]), [])

    async def _reopen_effects(self) -> None:
        scope = self._scope
        for node_id, node in self._effects.items():
            raw = self._effect_states[node_id]
            committed = None if raw is None else decode(raw)
            try:
                state = await asyncio.to_thread(
                    within, node_id, node.open_effects, committed, scope.slot, scope.activation
                )
            except Exception as error:
                raise _as_failure(error, node_id) from error
            self._effect_states[node_id] = encode(state)

    def _commit(
        self, group: Sequence[ExecutionContext], sequence: int = 0, cursor: Json = None
    ) -> Commit:
        self._number += 1
        commit = Commit(
            number=self._number,
            sequence=0,
            activation=self._scope.activation,
            after=self._committed,
        )
        states: dict[str, Json] = {}
        for context in group:
            self._add(commit, context)
            if context.sequence >= sequence:
                sequence = context.sequence
                # A flush has the sequence of the iteration before it, and no cursor of its own.
                cursor = cursor if context.cursor is None else context.cursor
            if context.states:
                states.update(context.states)
        if self._source is not None and cursor is not None:
            states[self._source] = cursor
        for node_id, state in states.items():
            commit.states[node_id] = _encoded(node_id, state)
        for node_id, raw in self._effect_states.items():
            if raw is not None:
                commit.states[EFFECT + node_id] = raw
        self._sequence = commit.sequence = max(self._sequence, sequence)
        if commit.outputs:
            commit.room = self._room_for(commit)
        return commit

    def _add(self, commit: Commit, context: ExecutionContext) -> None:
        if context.entry is not None:
            commit.acks.append(context.entry)
        if context.failure is not None:
            if context.delayed is not None:
                commit.delayed.append(context.delayed)
            else:
                commit.dead.append(dead_letter(context, context.failure))
        elif context.outputs:
            commit.outputs += [(output.queue, output.body) for output in context.outputs]

    def _room_for(self, commit: Commit) -> dict[str, Room]:
        """Return the limits, raised for one iteration that exceeds one by itself: it waits until
        the queue is empty instead of for ever."""
        counts: dict[str, int] = {}
        for queue, _ in commit.outputs:
            counts[queue] = counts.get(queue, 0) + 1
        return {
            queue: replace(room, items=max(room.items, counts.get(queue, 0)))
            for queue, room in self._room.items()
        }

    async def _apply_effects(self, commit: Commit, group: Sequence[ExecutionContext]) -> None:
        staged: dict[str, list[Json]] = {}
        for context in group:
            if context.failure is None:
                for effect in context.effects:
                    staged.setdefault(effect.node_id, []).append(effect.value)
        for node_id, values in staged.items():
            self._check()
            try:
                apply = self._effects[node_id].apply_effects
                applied = await asyncio.to_thread(within, node_id, apply, values)
            except Exception as error:
                raise _as_failure(error, node_id) from error
            commit.states[EFFECT + node_id] = encode(applied)

    async def _send(self, commit: Commit, group: Sequence[ExecutionContext]) -> bool:
        """See a commit through; False when it says that the slot has ended and it has not."""
        begun = time.perf_counter()
        wait = _WAIT_MIN
        waiting = False
        while True:
            self._check()
            try:
                result = await self._store.commit(self._lease, commit)
                heed_cancellation()
            except StoreUnavailable:
                heed_cancellation()
                reason = "redis_down"
            else:
                if result.outcome is Outcome.COMMITTED:
                    break
                if result.outcome is Outcome.UNFINISHED:
                    return False
                if result.outcome is Outcome.FENCED:
                    raise LeaseLost
                if result.outcome is Outcome.NOT_OWNER:
                    group = _without(result.names, group)
                    await self._reopen_effects()
                    commit = self._commit(group)
                    await self._apply_effects(commit, group)
                    continue
                if await self._divert(commit, group, result.names):
                    continue
                reason = next((_FULL[n] for n in result.names if n in _FULL), "queue_full")
            waiting = True
            self._on_wait(reason)
            await self._pause(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _WAIT_MAX)
        self.durations.add(time.perf_counter() - begun)
        self._committed = commit.number
        if waiting:
            self._on_wait("")
        for node_id in self._effects:
            self._effect_states[node_id] = commit.states.get(EFFECT + node_id)
        return True

    async def _divert(
        self, commit: Commit, group: Sequence[ExecutionContext], full: Sequence[str]
    ) -> bool:
        """Make dead letters of what a full queue has no room for, where its policy says so."""
        made = {id(o.body): (context, o) for context in group for o in context.outputs}
        changed = False
        for queue in self._diverted.intersection(full):
            with contextlib.suppress(StoreUnavailable):  # the commit itself will find that out
                stats = (await self._store.stats(self._lease.workflow, [queue]))[queue]
                room = self._room[queue]
                items, weight = room.items - stats.length, room.bytes - stats.bytes
                kept: list[tuple[str, bytes]] = []
                for name, body in commit.outputs:
                    if name == queue and (items <= 0 or weight < len(body)):
                        context, output = made[id(body)]
                        limit = f"{stats.length} items, {stats.bytes} bytes"
                        commit.dead.append(overflow_letter(context, output, limit))
                        changed = True
                        continue
                    if name == queue:
                        items, weight = items - 1, weight - len(body)
                    kept.append((name, body))
                commit.outputs = kept
        return changed

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _check(self) -> None:
        if self._given_up is not None:
            raise self._given_up
        if not self._lease_valid():
            raise LeaseLost("the lease was not renewed in time")


def _without(
    foreign: Sequence[str], group: Sequence[ExecutionContext]
) -> Sequence[ExecutionContext]:
    """Return the iterations but those whose entries another slot took over."""
    return [c for c in group if c.entry is None or c.entry.id not in foreign]


def _encoded(node_id: str, state: Json) -> bytes:
    try:
        return encode(state, STATE_LIMIT)
    except InvalidPayload as error:
        raise NodeFailed(
            f"the state of node {node_id} cannot be kept: {error.message}",
            node_id=node_id,
            error_type=error.code,
        ) from error


def _as_failure(error: Exception, node_id: str) -> OrchestratorError:
    if isinstance(error, OrchestratorError):
        return error
    return NodeFailed(str(error), node_id=node_id, error_type=type(error).__name__)
