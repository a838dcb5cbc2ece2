"""One suite for every QueueStore."""

import asyncio
import time

import pytest

from orchestrator.exceptions import LeaseLost
from storage.records import (
    DEAD_LETTERS,
    DEAD_LETTERS_LIMIT,
    DELAYED,
    DELAYED_LIMIT,
    Commit,
    Completion,
    Lease,
    Outcome,
    Room,
    SlotState,
    inbox,
)


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
    done = await store.queue.commit(holder, commit(acks=[entries[0]]))
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
            acks=[entry],
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
    result = await store.queue.commit(old, commit(acks=[entry], outputs=[("out", b"y")]))
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
    result = await store.queue.commit(holder, commit(acks=[mine, theirs], outputs=[("out", b"z")]))
    assert (result.outcome, result.names) == (Outcome.NOT_OWNER, (theirs.id,))
    assert await store.queue.lengths("w", ["in", "out"]) == {"in": 2, "out": 0}


async def test_acknowledging_out_of_order(store):
    holder = await filled(store, b"1", b"2", b"3")
    first, second, third = await store.queue.read(holder, ["in"], 3, 0)
    for number, entry in enumerate((third, first, second), start=1):
        result = await store.queue.commit(holder, commit(number, acks=[entry]))
        assert result.outcome is Outcome.COMMITTED
    assert await store.queue.lengths("w", ["in"]) == {"in": 0}


async def test_a_full_queue_changes_nothing(store):
    holder = await filled(store, b"x")
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    parts = {"outputs": [("out", b"1"), ("out", b"2")], "room": {"out": Room(items=1)}}
    result = await store.queue.commit(holder, commit(acks=[entry], **parts))
    assert (result.outcome, result.names) == (Outcome.FULL, ("out",))
    assert await store.queue.lengths("w", ["in", "out"]) == {"in": 1, "out": 0}
    parts["room"] = {"out": Room(items=2)}
    result = await store.queue.commit(holder, commit(acks=[entry], **parts))
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
    await store.queue.commit(holder, commit(states={"n": b"1"}, completion=Completion()))
    assert await store.queue.exhausted(holder, Completion(queues=["in"], writers=["a/0"]), 1)
    state = await store.queue.begin(lease(2), 2)
    assert (state.sequence, state.number, state.states) == (0, 0, {})
    assert not await store.queue.exhausted(holder, Completion(queues=["in"], writers=["a/0"]), 1)
    assert not await store.queue.exhausted(holder, Completion(queues=["in"], writers=["a/0"]), 2)


async def test_a_queue_is_exhausted_when_writers_are_done_and_it_is_empty(store):
    holder = await filled(store, b"x")
    writer = lease(loop="b")
    await store.queue.begin(writer, 1)
    await store.queue.commit(writer, commit(completion=Completion()))
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    assert not await store.queue.exhausted(holder, Completion(queues=["in"], writers=["b/0"]), 1)
    await store.queue.commit(holder, commit(acks=[entry]))
    assert await store.queue.exhausted(holder, Completion(queues=["in"], writers=["b/0"]), 1)


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
    await store.queue.commit(holder, commit(completion=Completion()))
    assert await store.queue.completed("w") == {"a/0": 1}


async def test_an_operation_enters_once(store):
    holder = await filled(store)
    assert await store.queue.put("w", "in", b"x", "replay:1")
    assert not await store.queue.put("w", "in", b"x", "replay:1")
    assert await store.queue.put("w", "in", b"y", "replay:2")
    assert [entry.body for entry in await store.queue.read(holder, ["in"], 9, 0)] == [b"x", b"y"]


async def test_the_first_queue_is_read_first(store):
    holder = await filled(store, b"1", b"2")
    await store.queue.put("w", inbox("a"), b"first")
    found = await store.queue.read(holder, [inbox("a"), "in"], 1, 0)
    found += await store.queue.read(holder, [inbox("a"), "in"], 1, 0)
    assert [entry.body for entry in found] == [b"first", b"1"]


async def test_what_is_delayed_comes_when_it_is_due(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(delayed=[(3600, b"late"), (0.2, b"soon"), (0, b"now")]))
    assert await store.queue.delayed("w", ["a", "b"]) == {"a": 3, "b": 0}
    first = await store.queue.read(holder, [inbox("a")], 9, 0)
    second = await store.queue.read(holder, [inbox("a")], 9, 30)
    assert [entry.body for entry in first + second] == [b"now", b"soon"]
    assert await store.queue.delayed("w", ["a"]) == {"a": 1}


async def test_equal_items_are_delayed_each(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(delayed=[(0, b"x|y"), (0, b"x|y")]))
    found = await store.queue.read(holder, [inbox("a")], 9, 0)
    assert [entry.body for entry in found] == [b"x|y", b"x|y"]


async def test_a_loop_with_delayed_items_is_not_exhausted(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(delayed=[(0, b"x")]))
    assert not await store.queue.exhausted(holder, Completion(queues=[inbox("a")]), 1)
    [entry] = await store.queue.read(holder, [inbox("a")], 1, 0)
    assert not await store.queue.exhausted(holder, Completion(queues=[inbox("a")]), 1)
    await store.queue.commit(holder, commit(2, acks=[entry]))
    assert await store.queue.exhausted(holder, Completion(queues=[inbox("a")]), 1)


async def test_too_many_delayed_items_are_refused(store):
    holder = await filled(store)
    many = [(3600.0, b"x")] * DELAYED_LIMIT
    assert (await store.queue.commit(holder, commit(delayed=many))).outcome is Outcome.COMMITTED
    refused = await store.queue.commit(holder, commit(2, delayed=[(0, b"y")], sequence=7))
    assert (refused.outcome, refused.names) == (Outcome.FULL, (DELAYED,))
    assert (await store.queue.snapshot(holder)).sequence == 1


async def test_a_full_outbox_of_dead_letters_refuses_more(store):
    holder = await filled(store)
    many = [b"d"] * DEAD_LETTERS_LIMIT
    assert (await store.queue.commit(holder, commit(dead=many))).outcome is Outcome.COMMITTED
    refused = await store.queue.commit(holder, commit(2, dead=[b"e"], sequence=7))
    assert (refused.outcome, refused.names) == (Outcome.FULL, (DEAD_LETTERS,))
    [first] = await store.queue.dead("w", 1)
    await store.queue.forget_dead("w", [first.id])
    granted = await store.queue.commit(holder, commit(2, dead=[b"e"]))
    assert granted.outcome is Outcome.COMMITTED


async def test_a_full_set_lets_what_is_due_go(store):
    holder = await filled(store)
    many = [(0.0, b"x")] * DELAYED_LIMIT
    await store.queue.commit(holder, commit(delayed=many))
    granted = await store.queue.commit(holder, commit(2, delayed=[(0, b"y")]))
    assert granted.outcome is Outcome.COMMITTED


async def test_a_queue_is_full_by_bytes(store):
    holder = await filled(store)
    room = {"out": Room(bytes=10)}
    first = await store.queue.commit(holder, commit(outputs=[("out", b"12345678")], room=room))
    second = await store.queue.commit(holder, commit(2, outputs=[("out", b"123")], room=room))
    assert (first.outcome, second.outcome) == (Outcome.COMMITTED, Outcome.FULL)
    reader = lease(loop="b")
    await store.queue.begin(reader, 1)
    [entry] = await store.queue.read(reader, ["out"], 1, 0)
    await store.queue.commit(reader, commit(acks=[entry]))
    third = await store.queue.commit(holder, commit(2, outputs=[("out", b"123")], room=room))
    assert third.outcome is Outcome.COMMITTED
    assert (await store.queue.stats("w", ["out"]))["out"].bytes == 3


async def test_an_item_heavier_than_the_limit_enters_an_empty_queue(store):
    holder = await filled(store)
    parts = {"outputs": [("out", b"123456")], "room": {"out": Room(bytes=3)}}
    assert (await store.queue.commit(holder, commit(1, **parts))).outcome is Outcome.COMMITTED
    assert (await store.queue.commit(holder, commit(2, **parts))).outcome is Outcome.FULL


@pytest.mark.parametrize("limit, left", [({"items": 3}, b"1345"), ({"bytes": 3}, b"145")])
async def test_the_oldest_make_room_but_not_those_in_hand(store, limit, left):
    holder = await filled(store, b"1", b"2", b"3")
    [first] = await store.queue.read(holder, ["in"], 1, 0)
    room = {"in": Room(drop_oldest=True, **limit)}
    result = await store.queue.commit(
        holder, commit(outputs=[("in", b"4"), ("in", b"5")], room=room)
    )
    assert result.outcome is Outcome.COMMITTED
    assert b"".join(entry.body for entry in await store.queue.peek("w", "in", 9)) == left
    stats = (await store.queue.stats("w", ["in"]))["in"]
    assert (stats.length, stats.bytes, stats.dropped) == (len(left), len(left), 5 - len(left))
    again = await store.queue.commit(
        holder,
        commit(2, acks=[first], outputs=[("in", b"6"), ("in", b"7"), ("in", b"8")], room=room),
    )
    assert again.outcome is Outcome.COMMITTED
    assert [entry.body for entry in await store.queue.peek("w", "in", 9)] == [b"6", b"7", b"8"]


async def test_what_a_commit_acknowledges_makes_room(store):
    holder = await filled(store, b"1")
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    parts = {"acks": [entry], "outputs": [("in", b"2")], "room": {"in": Room(items=1, bytes=1)}}
    assert (await store.queue.commit(holder, commit(**parts))).outcome is Outcome.COMMITTED


async def test_the_entries_of_a_closed_slot_are_adopted(store):
    holder = await filled(store, b"1", b"2")
    await store.queue.read(holder, ["in"], 2, 0)
    sibling = lease(slot=1)
    await store.queue.begin(sibling, 1)
    assert await store.queue.adopt(sibling, ["in"]) == []
    await store.queue.close(lease(0))
    assert [e.body for e in await store.queue.adopt(sibling, ["in"])] == []
    await store.queue.close(holder)
    adopted = await store.queue.adopt(sibling, ["in"])
    assert [(entry.body, entry.deliveries) for entry in adopted] == [(b"1", 1), (b"2", 1)]
    result = await store.queue.commit(sibling, commit(acks=adopted))
    assert result.outcome is Outcome.COMMITTED
    assert await store.queue.pending(holder, ["in"]) == []


async def test_the_entries_of_a_slot_that_is_gone_are_adopted(store):
    holder = await filled(store, b"1")
    await store.queue.read(holder, ["in"], 1, 0)
    await store.queue.end(holder, ["in"])
    heir = lease(slot=1)
    await store.queue.begin(heir, 1)
    assert [e.deliveries for e in await store.queue.adopt(heir, ["in"])] == [0]


async def test_a_lost_owner_adopts_nothing(store):
    holder = await filled(store, b"1")
    await store.queue.read(holder, ["in"], 1, 0)
    await store.queue.close(holder)
    old = lease(slot=1)
    await store.queue.begin(old, 1)
    await store.queue.begin(lease(2, slot=1), 1)
    assert await store.queue.adopt(old, ["in"]) == []


async def test_a_commit_after_one_that_the_store_has_lost_is_fenced(store):
    holder = await filled(store)
    out = [("out", b"1")]
    await store.queue.commit(holder, commit(1, after=0))
    for number, after in ((3, 2), (2, 0)):
        lost = await store.queue.commit(holder, commit(number, after=after, outputs=out))
        assert lost.outcome is Outcome.FENCED
    for _ in range(2):
        kept = await store.queue.commit(holder, commit(5, after=1, outputs=out))
        assert kept.outcome is Outcome.COMMITTED
    assert await store.queue.lengths("w", ["out"]) == {"out": 1}


async def test_a_slot_that_the_store_has_lost_is_restored(store):
    saved = SlotState(activation=1, number=0, sequence=7, states={"n": b"1"}, crashes=0)
    state = await store.queue.begin(lease(3), 1, saved)
    assert (state.sequence, state.states) == (7, {"n": b"1"})
    await store.queue.commit(lease(3), commit(sequence=9, states={"n": b"2"}))
    state = await store.queue.begin(lease(4), 1, saved)
    assert (state.sequence, state.states) == (9, {"n": b"2"})
    assert (await store.queue.begin(lease(5), 2, saved)).sequence == 0


async def test_a_snapshot_is_of_the_present_owner(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(states={"n": b"1"}, sequence=4))
    taken = await store.queue.snapshot(holder)
    assert (taken.sequence, taken.states) == (4, {"n": b"1"})
    await store.queue.begin(lease(2), 1)
    assert await store.queue.snapshot(holder) is None


async def test_reopening_withdraws_every_completion(store):
    holder = await filled(store)
    await store.queue.commit(holder, commit(completion=Completion()))
    await store.queue.reopen("w")
    assert await store.queue.completed("w") == {}
    assert not await store.queue.exhausted(holder, Completion(queues=["in"], writers=["a/0"]), 1)


async def test_what_a_queue_holds_can_be_told(store):
    holder = await filled(store, b"12", b"3")
    [entry] = await store.queue.read(holder, ["in"], 1, 0)
    stats = await store.queue.stats("w", ["in", "none"])
    have = stats["in"]
    assert (have.length, have.bytes, have.added, dict(have.in_hand)) == (2, 3, 2, {0: 1})
    assert have.oldest_at == pytest.approx(time.time(), abs=60)
    assert (stats["none"].length, stats["none"].oldest_at) == (0, None)
    await store.queue.commit(holder, commit(acks=[entry]))
    have = (await store.queue.stats("w", ["in"]))["in"]
    assert (have.length, have.bytes, have.added) == (1, 1, 2)


async def test_a_look_tells_who_waits(store):
    holder = await filled(store, b"1", b"2")
    await store.queue.read(holder, ["in"], 1, 0)
    assert [e.deliveries for e in await store.queue.peek("w", "in", 9)] == [1, 0]
    assert [e.deliveries for e in await store.queue.peek("w", "none", 9)] == []


async def test_a_purge_leaves_what_is_in_hand(store):
    holder = await filled(store, *[b"x"] * 1500)
    await store.queue.read(holder, ["in"], 2, 0)
    assert await store.queue.purge("w", "in") == 1498
    assert await store.queue.purge("w", "none") == 0
    stats = (await store.queue.stats("w", ["in"]))["in"]
    assert (stats.length, stats.bytes) == (2, 2)
    assert await store.queue.read(holder, ["in"], 9, 0) == []


async def test_a_purge_takes_what_a_clean_end_has_left(store):
    holder = await filled(store, b"1", b"2", b"3")
    await store.queue.read(holder, ["in"], 2, 0)
    await store.queue.end(holder, ["in"])
    assert await store.queue.purge("w", "in") == 3
    stats = (await store.queue.stats("w", ["in"]))["in"]
    assert (stats.length, stats.bytes, dict(stats.in_hand)) == (0, 0, {})


async def test_a_slot_does_not_complete_while_more_has_come(store):
    holder = await filled(store, b"x")
    queues = [inbox("a"), "in"]

    async def outcome(number, **parts):
        done = commit(number, completion=Completion(queues=queues, **parts))
        return (await store.queue.commit(holder, done)).outcome

    assert await outcome(1) is Outcome.UNFINISHED
    [entry] = await store.queue.read(holder, queues, 1, 0)
    assert await outcome(1) is Outcome.UNFINISHED
    await store.queue.commit(holder, commit(1, acks=[entry], delayed=[(0, b"y")]))
    assert await outcome(2) is Outcome.UNFINISHED
    [entry] = await store.queue.read(holder, queues, 1, 0)
    await store.queue.commit(holder, commit(2, acks=[entry]))
    assert await outcome(3, writers=["b/0"]) is Outcome.UNFINISHED
    assert await store.queue.completed("w") == {}
    assert await outcome(3) is Outcome.COMMITTED
    assert await store.queue.completed("w") == {"a/0": 1}
