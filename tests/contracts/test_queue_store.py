"""One suite for every QueueStore."""

import asyncio

import pytest

from orchestrator.exceptions import LeaseLost
from storage.base import Commit, Lease, Outcome


def lease(token: int = 1, slot: int = 0, loop: str = "a") -> Lease:
    return Lease(workflow="w", loop=loop, slot=slot, token=token)


def commit(number: int = 1, **parts) -> Commit:
    return Commit(number=number, sequence=parts.pop("sequence", number), activation=1, **parts)


async def filled(store, *bodies: bytes, token: int = 1):
    holder = lease(token)
    await store.queue.begin(holder, 1)
    for body in bodies:
        await store.queue.put("w", "in", body)
    return holder


async def test_entries_come_in_order_and_stay_until_acknowledged(store):
    holder = await filled(store, b"1", b"2", b"3")
    entries = await store.queue.read(holder, ["in"], 2, 0)
    assert [entry.body for entry in entries] == [b"1", b"2"]
    assert await store.queue.lengths("w", ["in"]) == {"in": 3}
    done = await store.queue.commit(holder, commit(acks=[("in", entries[0].id)]))
    assert done.outcome is Outcome.COMMITTED
    assert await store.queue.lengths("w", ["in"]) == {"in": 2}
    assert [entry.body for entry in await store.queue.pending(holder, ["in"])] == [b"2"]


async def test_read_waits_for_an_entry(store):
    holder = await filled(store)
    reading = asyncio.create_task(store.queue.read(holder, ["in"], 10, 5))
    await store.queue.put("w", "in", b"late")
    assert [entry.body for entry in await reading] == [b"late"]


async def test_read_gives_up_after_its_wait(store):
    assert await store.queue.read(await filled(store), ["in"], 10, 0.05) == []


async def test_a_commit_hands_over_everything_at_once(store):
    holder = await filled(store, b"x")
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    await store.queue.commit(
        holder,
        commit(
            acks=[("in", entry.id)],
            outputs=[("out", b"y"), ("out", b"z")],
            states={"n": b"7"},
            dead=[b"d"],
            sequence=5,
        ),
    )
    assert [e.body for e in await store.queue.peek("w", "out", 10)] == [b"y", b"z"]
    assert [e.body for e in await store.queue.dead("w", 10)] == [b"d"]
    await store.queue.end(holder, [])
    state = await store.queue.begin(lease(2), 1)
    assert (state.sequence, state.states, state.crashes) == (5, {"n": b"7"}, 0)


async def test_a_repeated_commit_changes_nothing(store):
    holder = await filled(store)
    for _ in range(2):
        result = await store.queue.commit(holder, commit(outputs=[("out", b"y")]))
        assert result.outcome is Outcome.COMMITTED
    assert await store.queue.lengths("w", ["out"]) == {"out": 1}


async def test_an_older_token_is_fenced(store):
    old = await filled(store, b"x")
    [entry] = await store.queue.read(old, ["in"], 1, 0)
    await store.queue.begin(lease(2), 1)
    result = await store.queue.commit(old, commit(acks=[("in", entry.id)], outputs=[("out", b"y")]))
    assert result.outcome is Outcome.FENCED
    assert await store.queue.lengths("w", ["in", "out"]) == {"in": 1, "out": 0}
    with pytest.raises(LeaseLost):
        await store.queue.begin(old, 1)


async def test_an_entry_of_another_slot_cannot_be_acknowledged(store):
    holder = await filled(store, b"x", b"y")
    other = lease(slot=1)
    await store.queue.begin(other, 1)
    [mine] = await store.queue.read(holder, ["in"], 1, 0)
    [theirs] = await store.queue.read(other, ["in"], 1, 0)
    result = await store.queue.commit(
        holder, commit(acks=[("in", mine.id), ("in", theirs.id)], outputs=[("out", b"z")])
    )
    assert (result.outcome, result.names) == (Outcome.NOT_OWNER, (theirs.id,))
    assert await store.queue.lengths("w", ["in", "out"]) == {"in": 2, "out": 0}


async def test_acknowledging_out_of_order(store):
    holder = await filled(store, b"1", b"2", b"3")
    first, second, third = await store.queue.read(holder, ["in"], 3, 0)
    for number, entry in enumerate((third, first, second), start=1):
        result = await store.queue.commit(holder, commit(number, acks=[("in", entry.id)]))
        assert result.outcome is Outcome.COMMITTED
    assert await store.queue.lengths("w", ["in"]) == {"in": 0}


async def test_a_full_queue_changes_nothing(store):
    holder = await filled(store, b"x")
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    parts = {"outputs": [("out", b"1"), ("out", b"2")], "room": {"out": 1}}
    result = await store.queue.commit(holder, commit(acks=[("in", entry.id)], **parts))
    assert (result.outcome, result.names) == (Outcome.FULL, ("out",))
    assert await store.queue.lengths("w", ["in", "out"]) == {"in": 1, "out": 0}
    parts["room"] = {"out": 2}
    result = await store.queue.commit(holder, commit(acks=[("in", entry.id)], **parts))
    assert result.outcome is Outcome.COMMITTED


async def test_only_what_comes_back_is_charged_a_delivery(store):
    holder = await filled(store, b"1", b"2")
    await store.queue.read(holder, ["in"], 2, 0)
    heir = lease(2)
    await store.queue.begin(heir, 1)
    first, second = await store.queue.pending(heir, ["in"])
    assert (first.deliveries, second.deliveries) == (1, 1)
    again = await store.queue.redeliver(heir, first)
    assert (again.body, again.deliveries) == (b"1", 2)
    assert [e.deliveries for e in await store.queue.pending(heir, ["in"])] == [2, 1]


async def test_a_clean_end_charges_nothing(store):
    holder = await filled(store, b"1", b"2")
    other = lease(slot=1)
    await store.queue.begin(other, 1)
    await store.queue.read(holder, ["in"], 1, 0)
    await store.queue.read(other, ["in"], 1, 0)
    await store.queue.end(holder, ["in"])
    assert [entry.deliveries for entry in await store.queue.pending(lease(2), ["in"])] == [0]
    assert [entry.deliveries for entry in await store.queue.pending(other, ["in"])] == [1]


async def test_crashes_at_one_sequence_are_counted(store):
    for token in (1, 2, 3):
        state = await store.queue.begin(lease(token), 1)
        assert state.crashes == token - 1
    await store.queue.commit(lease(3), commit(number=1, sequence=1))
    assert (await store.queue.begin(lease(4), 1)).crashes == 1
    await store.queue.end(lease(4), [])
    assert (await store.queue.begin(lease(5), 1)).crashes == 0


async def test_a_new_activation_begins_anew(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(states={"n": b"1"}, completed=True))
    assert await store.queue.exhausted("w", ["in"], ["a/0"], 1)
    state = await store.queue.begin(lease(2), 2)
    assert (state.sequence, state.number, state.states) == (0, 0, {})
    assert not await store.queue.exhausted("w", ["in"], ["a/0"], 1)
    assert not await store.queue.exhausted("w", ["in"], ["a/0"], 2)


async def test_a_queue_is_exhausted_when_writers_are_done_and_it_is_empty(store):
    holder = await filled(store, b"x")
    writer = lease(loop="b")
    await store.queue.begin(writer, 1)
    await store.queue.commit(writer, commit(completed=True))
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    assert not await store.queue.exhausted("w", ["in"], ["b/0"], 1)
    await store.queue.commit(holder, commit(acks=[("in", entry.id)]))
    assert await store.queue.exhausted("w", ["in"], ["b/0"], 1)


async def test_dead_letters_leave_the_outbox_when_told(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(dead=[b"1", b"2"]))
    first, second = await store.queue.dead("w", 10)
    await store.queue.forget_dead("w", [first.id])
    assert [e.id for e in await store.queue.dead("w", 10)] == [second.id]


async def test_forget_removes_one_workflow_only(store):
    await filled(store, b"x")
    await store.queue.put("other", "in", b"y")
    await store.queue.forget("w")
    assert await store.queue.lengths("w", ["in"]) == {"in": 0}
    assert await store.queue.lengths("other", ["in"]) == {"in": 1}


async def test_a_lost_owner_takes_no_entry(store):
    old = await filled(store)
    waiting = asyncio.create_task(store.queue.read(old, ["in"], 1, 5))
    new = lease(2)
    await store.queue.begin(new, 1)
    await store.queue.put("w", "in", b"x")
    with pytest.raises(LeaseLost):
        await waiting
    assert [entry.body for entry in await store.queue.read(new, ["in"], 1, 1)] == [b"x"]


async def test_a_reader_whose_fence_is_gone_is_told_so(store):
    holder = await filled(store, b"x")
    await store.queue.forget("w")
    with pytest.raises(LeaseLost):
        await store.queue.read(holder, ["in"], 1, 0)


async def test_completion_marks_can_be_looked_at(store):
    holder = await filled(store)
    assert await store.queue.completed("w") == {}
    await store.queue.commit(holder, commit(completed=True))
    assert await store.queue.completed("w") == {"a/0": 1}
