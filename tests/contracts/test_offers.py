"""One suite for what a QueueStore promises to whoever offers entries and waits for answers."""

import asyncio

import pytest
import redis

from storage import memory_queue
from storage.records import ANSWER, ANSWER_TTL, MISSING, Commit, Lease, Offer, Room

HOLDER = Lease(workflow="w", loop="a", slot=0, token=1)
REPLY = f"{ANSWER}1"


def commit(*bodies: bytes, number: int = 1, queue: str = REPLY) -> Commit:
    outputs = [(queue, body) for body in bodies]
    return Commit(number=number, sequence=number, activation=1, outputs=outputs)


async def bodies(store):
    return [entry.body for entry in await store.queue.peek("w", "in", 10)]


async def test_an_offer_is_taken_while_there_is_room(store):
    room = Room(items=2)
    answers = [await store.queue.offer("w", "in", b"x", room) for _ in range(3)]
    assert answers == [Offer.TAKEN, Offer.TAKEN, Offer.FULL]
    assert await bodies(store) == [b"x", b"x"]


async def test_bytes_are_limited_as_well_and_one_entry_always_fits(store):
    room = Room(bytes=5)
    assert await store.queue.offer("w", "in", b"123456", room) is Offer.TAKEN
    assert await store.queue.offer("w", "in", b"1", room) is Offer.FULL
    assert await bodies(store) == [b"123456"]
    assert (await store.queue.stats("w", ["in"]))["in"].bytes == 6


async def test_what_was_put_before_counts(store):
    await store.queue.put("w", "in", b"x")
    assert await store.queue.offer("w", "in", b"y", Room(items=1)) is Offer.FULL


async def test_an_operation_is_taken_once(store):
    for number, expected in enumerate([Offer.TAKEN, Offer.REPEATED, Offer.REPEATED]):
        body = str(number).encode()
        assert await store.queue.offer("w", "in", body, Room(), op_id="k", mark="m") is expected
    assert await bodies(store) == [b"0"]


async def test_the_same_operation_with_another_mark_is_told(store):
    await store.queue.offer("w", "in", b"1", Room(), op_id="k", mark="m")
    assert await store.queue.offer("w", "in", b"2", Room(), op_id="k", mark="n") is Offer.OTHER
    assert await bodies(store) == [b"1"]


async def test_a_full_queue_does_not_remember_the_operation(store):
    await store.queue.offer("w", "in", b"1", Room(items=1))
    full = await store.queue.offer("w", "in", b"2", Room(items=1), op_id="k", mark="m")
    after = await store.queue.offer("w", "in", b"2", Room(items=2), op_id="k", mark="m")
    assert (full, after) == (Offer.FULL, Offer.TAKEN)


async def test_many_offers_at_once_keep_to_the_limit(store):
    offers = [store.queue.offer("w", "in", b"x", Room(items=5)) for _ in range(20)]
    assert sorted(await asyncio.gather(*offers)) == [Offer.FULL] * 15 + [Offer.TAKEN] * 5


async def test_an_answer_is_waited_for_by_any_number(store):
    await store.queue.begin(HOLDER, 1)
    waiting = [asyncio.create_task(store.queue.answer("w", REPLY, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    await store.queue.commit(HOLDER, commit(b"first", b"second"))
    assert await asyncio.gather(*waiting) == [b"first", b"first"]
    assert await store.queue.answer("w", REPLY, 0) == b"first"


async def test_whoever_waits_gives_up(store):
    assert await store.queue.answer("w", REPLY, 0.05) is MISSING


async def test_answers_go_by_themselves(store, request, monkeypatch):
    await store.queue.begin(HOLDER, 1)
    await store.queue.commit(HOLDER, commit(b"x"))
    if "memory" in request.node.name:
        later = memory_queue.time.time() + ANSWER_TTL + 1
        monkeypatch.setattr(memory_queue.time, "time", lambda: later)
        await store.queue.commit(HOLDER, commit(b"y", number=2, queue="out"))
        assert await store.queue.answer("w", REPLY, 0) is MISSING
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        assert ANSWER_TTL - 30 < client.ttl(f"wo:{{wf:w}}:q:{REPLY}") <= ANSWER_TTL
        assert client.hlen("wo:{wf:w}:bytes") == 0


@pytest.mark.parametrize("op_id", ["", "k"])
async def test_an_offer_can_be_read_like_any_entry(store, op_id):
    await store.queue.begin(HOLDER, 1)
    await store.queue.offer("w", "in", b"x", Room(items=9), op_id=op_id, mark="m")
    assert [e.body for e in await store.queue.read(HOLDER, ["in"], 9, 0)] == [b"x"]
