"""Watches of every QueueStore: who waits is told, and nothing is taken."""

import asyncio

import pytest

from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime.server_binary import find_server
from storage import redis_waits
from storage.datastore import open_store
from storage.records import Commit, Completion, Lease, Outcome, inbox
from tests.redis_server import RedisServer

LONG = 60.0
"""Seconds of a watch that is to end for a reason; longer than the patience of a test."""
PATIENCE = 10.0


def lease(loop: str = "a", slot: int = 0) -> Lease:
    return Lease(workflow="w", loop=loop, slot=slot, token=1)


async def reader(store, holder: Lease) -> list[str]:
    """Begin a slot, find its queues empty, and return their names."""
    queues = [inbox(holder.loop), f"q-{holder.loop}"]
    await store.queue.begin(holder, 1)
    assert await store.queue.read(holder, queues, 10, 0) == []
    return queues


def watch(store, holder: Lease, queues: list[str], seconds: float = LONG) -> asyncio.Future[None]:
    woken = asyncio.get_running_loop().create_future()
    store.queue.watch(holder, queues, seconds, woken)
    return woken


@pytest.mark.parametrize("place", [0, 1], ids=["inbox", "queue"])
@pytest.mark.parametrize("pause", [0, 1.0], ids=["at once", "some rounds later"])
async def test_a_watch_tells_of_an_entry_and_takes_none(store, place, pause, monkeypatch):
    monkeypatch.setattr(redis_waits, "_ROUND", 0.2)
    queues = await reader(store, lease())
    woken = watch(store, lease(), queues)
    await asyncio.sleep(pause)
    assert not woken.done()
    await store.queue.put("w", queues[place], b"1")
    await asyncio.wait_for(woken, PATIENCE)
    assert [entry.body for entry in await store.queue.read(lease(), queues, 10, 0)] == [b"1"]


async def test_what_came_before_the_watch_is_told(store):
    queues = await reader(store, lease())
    await store.queue.put("w", queues[1], b"1")
    await asyncio.wait_for(watch(store, lease(), queues), PATIENCE)


async def test_a_watch_ends_when_something_is_due(store):
    holder = lease()
    queues = await reader(store, holder)
    await store.queue.commit(
        holder, Commit(number=1, sequence=1, activation=1, delayed=[(0.3, b"late")])
    )
    assert await store.queue.read(holder, queues, 10, 0) == []
    await asyncio.wait_for(watch(store, holder, queues), PATIENCE)
    assert [entry.body for entry in await store.queue.read(holder, queues, 10, 0)] == [b"late"]


@pytest.mark.parametrize("early", [True, False], ids=["before", "during"])
async def test_what_is_put_off_meanwhile_is_heard_of(store, early):
    holder = lease()
    queues = await reader(store, holder)
    woken = None if early else watch(store, holder, queues)
    await store.queue.commit(
        holder, Commit(number=1, sequence=1, activation=1, delayed=[(0.2, b"late")])
    )
    found = []
    async with asyncio.timeout(PATIENCE):
        while not found:
            await (woken if woken is not None else watch(store, holder, queues))
            woken = None
            found = await store.queue.read(holder, queues, 10, 0)
    assert [entry.body for entry in found] == [b"late"]


async def test_the_completion_of_another_loop_is_heard_of(store):
    queues = await reader(store, lease())
    writer = lease("b")
    await store.queue.begin(writer, 1)
    woken = watch(store, lease(), queues)
    done = Commit(number=1, sequence=1, activation=1, completion=Completion(queues=[], writers=[]))
    assert (await store.queue.commit(writer, done)).outcome is Outcome.COMMITTED
    await asyncio.wait_for(woken, PATIENCE)


async def test_a_watch_ends_after_its_time(store):
    queues = await reader(store, lease())
    await asyncio.wait_for(watch(store, lease(), queues, 0.1), PATIENCE)


async def test_of_many_that_watch_those_are_told_for_whom_something_has_come(store):
    holders = [lease(f"l{number}") for number in range(300)]
    queues = [await reader(store, holder) for holder in holders]
    woken = [watch(store, *pair) for pair in zip(holders, queues, strict=True)]
    await asyncio.sleep(0.1)
    for number in (7, 291):
        await store.queue.put("w", queues[number][1], b"1")
        await asyncio.wait_for(woken[number], PATIENCE)
        found = await store.queue.read(holders[number], queues[number], 10, 0)
        assert [entry.body for entry in found] == [b"1"]
    for each in woken:
        each.cancel()


async def test_every_slot_of_a_loop_is_told(store):
    slots = [lease(slot=number) for number in range(3)]
    queues = [await reader(store, slot) for slot in slots]
    await store.queue.put("w", queues[0][1], b"1")
    [entry] = await store.queue.read(slots[0], queues[0], 10, 0)
    assert await store.queue.read(slots[1], queues[1], 10, 0) == []  # it knows of the entry
    woken = [watch(store, *pair) for pair in zip(slots[1:], queues[1:], strict=True)]
    await store.queue.put("w", queues[0][1], b"2")
    for each in woken:
        await asyncio.wait_for(each, PATIENCE)
    assert entry.body == b"1"


async def test_a_watch_that_was_given_up_leaves_everything(store):
    queues = await reader(store, lease())
    woken = watch(store, lease(), queues)
    await asyncio.sleep(0.05)
    woken.cancel()
    await store.queue.put("w", queues[1], b"1")
    assert [entry.body for entry in await store.queue.read(lease(), queues, 10, 0)] == [b"1"]
    assert [entry.body for entry in await store.queue.pending(lease(), queues)] == [b"1"]


async def test_a_server_that_goes_away_ends_every_watch_and_one_call(redis_server):
    """Connections that wait to be used again end with the server: they fail no call of their
    own when it is back."""
    server = RedisServer(find_server().path)
    server.start()
    store = open_store(server.url)
    try:
        holders = [lease(f"l{number}") for number in range(20)]
        queues = await asyncio.gather(*(reader(store, holder) for holder in holders))
        woken = [watch(store, *pair) for pair in zip(holders, queues, strict=True)]
        await asyncio.sleep(0.1)
        server.kill()
        for each in woken:
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(each, PATIENCE)
        server.start()
        for holder, names in zip(holders, queues, strict=True):
            await store.queue.read(holder, names, 10, 0)
    finally:
        await store.close()
        server.stop()
