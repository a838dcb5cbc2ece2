"""The commit window by itself: what is committed together, and in which order."""

import asyncio
import dataclasses

import pytest

from nodes.contract import NodeOptions, NodeOutput
from nodes.tools import ToolRegistry
from orchestrator.exceptions import NodeFailed, OrchestratorError
from orchestrator.execution.commit import Abandoned, CommitWindow
from orchestrator.execution.committer import EFFECT, Committer
from orchestrator.execution.context import Effect, ExecutionContext, Output, Scope
from storage.codec import encode
from storage.memory_queue import MemoryQueueStore
from storage.records import Completion, Lease
from tests.waiting import until

SCOPE = Scope(workflow="w", version=1, activation=1, loop="in", tools=ToolRegistry())
LEASE = Lease(workflow="w", loop="in", slot=0, token=1)


class WatchedStore(MemoryQueueStore):
    """A store that remembers the commits it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def commit(self, lease, commit):
        self.asked.append(dataclasses.replace(commit))
        return await super().commit(lease, commit)

    def consume(self, acks):
        """Take entries out, as the commit of their reader would."""
        for entry in acks:
            self._workflows["w"].queues[entry.queue].remove(entry.id)


class Lines:
    """A node that stages lines."""

    def __init__(self):
        self.written = []

    def open_effects(self, committed, slot, activation):
        del self.written[committed or 0 :]
        return len(self.written)

    def apply_effects(self, effects):
        self.written += effects
        return len(self.written)


class Bench:
    """A window on a store of its own."""

    def __init__(self, store, *, source="in", size=100, room=None, effects=None):
        self.store, self.source, self.size = store, source, size
        self.limits = {q: NodeOptions(max_length=n) for q, n in (room or {}).items()}
        self.effects = effects or {}
        self.waits, self.failures = [], []

    async def open(self):
        begun = await self.store.begin(LEASE, 1)
        self.committer = Committer(
            self.store, LEASE, SCOPE, begun, source=self.source, limits=self.limits,
            effects=self.effects, lease_valid=lambda: True, on_wait=self.waits.append,
        )  # fmt: skip
        self.window = CommitWindow(
            self.committer, ordered=self.source is not None, size=self.size, begun=0,
            on_failure=lambda: self.failures.append(1),
        )  # fmt: skip
        await self.committer.open_effects()
        return self

    async def state(self):
        return await self.store.begin(LEASE, 1)

    async def cursor(self):
        return (await self.state()).states.get("in")


@pytest.fixture
def watched():
    return WatchedStore()


def iteration(sequence, *queues, cursor=..., entry=None, walking=False, lines=()):
    context = ExecutionContext(SCOPE, NodeOutput(SCOPE.item_id(sequence), {"n": sequence}))
    context.sequence, context.walking, context.entry = sequence, walking, entry
    context.cursor = sequence if cursor is ... else cursor
    for queue in queues:
        context.emit(Output(queue, context.item, encode({"n": sequence}), "w"))
    for line in lines:
        context.stage(Effect("lines", line))
    return context


async def test_an_iteration_is_committed_soon_without_being_waited_for(watched):
    bench = await Bench(watched).open()
    bench.window.add(iteration(1, "q"))
    assert watched.asked == []
    await until(lambda: not bench.window.uncommitted)
    assert (await bench.state()).sequence == 1
    assert await bench.cursor() == b"1"


async def test_what_gathers_is_one_commit(watched):
    bench = await Bench(watched).open()
    for sequence in range(1, 31):
        bench.window.add(iteration(sequence, "q"))
    for sequence in range(31, 41):
        assert bench.window.advance(sequence, sequence)
    await bench.window.flush()
    [commit] = watched.asked
    assert (commit.sequence, len(commit.outputs), commit.states["in"]) == (40, 30, b"40")
    assert bench.window.advances == 10


async def test_a_window_that_is_full_says_so_and_makes_room(watched):
    bench = await Bench(watched, size=10).open()
    for sequence in range(1, 10):
        bench.window.advance(sequence, sequence)
        assert not bench.window.full
    bench.window.advance(10, 10)
    assert bench.window.full
    await bench.window.has_room()
    assert not bench.window.full
    assert bench.window.uncommitted == 0


async def test_every_way_into_the_window_counts(watched):
    bench = await Bench(watched, size=6).open()
    bench.window.advance(1, 1)
    bench.window.add(iteration(2, "q"))
    bench.window.advance(3, 3)
    bench.window.advance(4, 4)
    bench.window.add(iteration(5))
    assert (bench.window.uncommitted, bench.window.advances) == (5, 3)
    assert not bench.window.full
    bench.window.advance(6, 6)
    assert bench.window.full
    await bench.window.flush()
    assert (bench.window.uncommitted, bench.window.advances) == (0, 4)


async def test_the_cursor_never_passes_an_unfinished_iteration(watched):
    bench = await Bench(watched).open()
    slow = iteration(1, "q", walking=True)
    bench.window.add(slow)
    assert not bench.window.advance(2, 2)
    bench.window.add(iteration(2, "q"))
    bench.window.kick()
    assert watched.asked == []
    slow.walking = False
    bench.window.landed(slow)
    await bench.window.flush()
    bodies = [entry.body for entry in await watched.peek("w", "q", 9)]
    assert bodies == [b'{"n":1}', b'{"n":2}']
    assert await bench.cursor() == b"2"


async def test_queue_fed_iterations_commit_in_any_order(watched):
    bench = await Bench(watched, source=None).open()
    for _ in range(2):
        await watched.put("w", "in", b"x")
    first, second = await watched.read(LEASE, ["in"], 2, 0)
    slow = iteration(1, cursor=None, walking=True, entry=first)
    bench.window.add(slow)
    bench.window.add(iteration(2, cursor=None, entry=second))
    bench.window.kick()
    await until(lambda: bench.window.uncommitted == 1)
    assert [entry.id for entry in await watched.pending(LEASE, ["in"])] == [first.id]
    slow.walking = False
    bench.window.landed(slow)
    await bench.window.flush()
    assert await watched.pending(LEASE, ["in"]) == []


@pytest.mark.parametrize("advanced", [True, False])
async def test_a_flush_behind_an_iteration_keeps_its_cursor(watched, advanced):
    bench = await Bench(watched).open()
    if advanced:
        bench.window.advance(1, "cursor")
    else:
        bench.window.add(iteration(1, cursor="cursor"))
    bench.window.add(iteration(1, "q", cursor=None))
    await bench.window.flush()
    assert await bench.cursor() == b'"cursor"'


async def test_a_flush_that_is_committed_by_itself_has_the_cursor_before_it(watched):
    bench = await Bench(watched, room={"q": 1}).open()
    bench.window.advance(1, "cursor")
    bench.window.add(iteration(1, "q", cursor=None))
    bench.window.add(iteration(2, "q"))
    bench.window.kick()
    await until(lambda: bench.waits)
    state = await bench.state()
    assert (state.sequence, state.states["in"]) == (1, b'"cursor"')


async def test_an_iteration_behind_one_that_only_advanced_has_the_newer_cursor(watched):
    bench = await Bench(watched).open()
    bench.window.advance(1, 1)
    bench.window.add(iteration(2, "q"))
    await bench.window.flush()
    assert await bench.cursor() == b"2"


async def test_more_than_a_queue_can_hold_is_committed_in_parts(watched):
    bench = await Bench(watched, room={"q": 3}).open()
    bench.window.advance(1, 1)
    for sequence in range(2, 9):
        bench.window.add(iteration(sequence, "q", "free"))
    bench.window.advance(9, 9)
    bench.window.kick()
    drained = []
    async with asyncio.timeout(20):
        while bench.window.uncommitted:
            found = await watched.read(LEASE, ["q"], 9, 0.05)
            acks = found
            drained += [entry.body for entry in found]
            watched.consume(acks)
    assert drained == [b'{"n":%d}' % n for n in range(2, 9)]
    assert next(commit.sequence for commit in watched.asked if commit.outputs) == 4
    assert await bench.cursor() == b"9"
    assert "queue_full" in bench.waits
    assert bench.waits[-1] == ""


async def test_entries_that_another_slot_took_are_left_out_with_all_they_did(watched):
    lines = Lines()
    bench = await Bench(watched, source=None, effects={"lines": lines}).open()
    for _ in range(3):
        await watched.put("w", "in", b"x")
    entries = await watched.read(LEASE, ["in"], 3, 0)
    other = Lease(workflow="w", loop="in", slot=1, token=1)
    stolen = entries[1]
    await watched.redeliver(other, stolen)
    for number, entry in enumerate(entries, start=1):
        context = iteration(number, "q", cursor=None, entry=entry, lines=[number])
        bench.window.add(context)
    await bench.window.flush()
    assert [entry.body for entry in await watched.peek("w", "q", 9)] == [b'{"n":1}', b'{"n":3}']
    assert lines.written == [1, 3]
    assert (await bench.state()).states[EFFECT + "lines"] == b"2"
    assert [entry.id for entry in await watched.pending(other, ["in"])] == [stolen.id]


async def test_effects_are_applied_once_while_the_commit_waits(watched):
    lines = Lines()
    bench = await Bench(watched, room={"q": 1}, effects={"lines": lines}).open()
    await watched.put("w", "q", b"in the way")
    bench.window.add(iteration(1, "q", lines=["a"]))
    bench.window.kick()
    await until(lambda: bench.waits)
    [entry] = await watched.read(LEASE, ["q"], 1, 0)
    watched.consume([entry])
    await bench.window.flush()
    assert lines.written == ["a"]


async def test_a_failed_iteration_leaves_its_dead_letter_only(watched):
    lines = Lines()
    bench = await Bench(watched, effects={"lines": lines}).open()
    context = iteration(1, "q", lines=["a"])
    context.fail(NodeFailed("no luck", node_id="x"))
    context.emit(Output("q", context.item, b"{}", "w"))  # by what was still going on
    context.stage(Effect("lines", "b"))
    bench.window.add(context)
    await bench.window.flush()
    assert lines.written == []
    assert await watched.lengths("w", ["q"]) == {"q": 0}
    assert len(await watched.dead("w", 9)) == 1
    assert await bench.cursor() == b"1"


async def test_abandoning_ends_a_commit_that_waits(watched):
    bench = await Bench(watched, room={"q": 1}, size=1).open()
    await watched.put("w", "q", b"in the way")
    bench.window.add(iteration(1, "q"))
    assert bench.window.full
    waiting = asyncio.create_task(bench.window.has_room())
    await until(lambda: bench.waits)
    async with asyncio.timeout(5):
        bench.window.abandon()
        with pytest.raises(Abandoned):
            await waiting
    assert bench.failures == [1]
    with pytest.raises(Abandoned):
        await bench.window.flush()


async def test_a_state_that_is_too_large_names_its_node(watched):
    bench = await Bench(watched).open()
    context = iteration(1)
    context.states = {"big": "x" * 70_000}
    bench.window.add(context)
    with pytest.raises(OrchestratorError, match="state of node big"):
        await bench.window.flush()


async def test_a_note_is_committed_behind_everything_before_it(watched):
    bench = await Bench(watched).open()
    bench.window.add(iteration(1, "q"))
    await bench.window.note("trial:", [2, 1])
    state = await bench.state()
    assert (state.sequence, state.states["trial:"]) == (1, b"[2,1]")


async def test_the_completion_mark_comes_last(watched):
    bench = await Bench(watched).open()
    bench.window.add(iteration(1, "q"))
    assert await bench.window.complete(Completion())
    assert [commit.completion for commit in watched.asked] == [None, Completion()]
    assert await watched.completed("w") == {"in/0": 1}
