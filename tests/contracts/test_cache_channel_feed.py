"""One suite for every CacheStore, Channel and Feed."""

import asyncio

from storage.records import MISSING
from tests.waiting import until


async def test_a_missing_value_is_not_none(store):
    assert await store.cache.get("k") is MISSING
    await store.cache.set("k", b"null", 60)
    assert await store.cache.get("k") == b"null"
    assert await store.cache.delete("k") is True
    assert await store.cache.delete("k") is False


async def test_a_value_expires(store):
    await store.cache.set("k", b"1", 0.02)
    async with asyncio.timeout(5):
        while await store.cache.get("k") is not MISSING:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def test_many_values_come_in_the_order_of_their_keys(store):
    await store.cache.set_many({"a": b"1", "b": b"2"}, 60)
    assert await store.cache.get_many(["b", "none", "a", "b"]) == [b"2", MISSING, b"1", b"2"]
    assert await store.cache.get("a") == b"1"


async def test_many_values_are_seen_together(store):
    """The values are large: the server reads each with several calls."""
    keys = [f"together-{n}" for n in range(4)]

    async def write(number):
        body = str(number).encode() * 200_000
        await store.cache.set_many(dict.fromkeys(keys, body), 60)

    await write(0)
    writes = asyncio.gather(*(write(number) for number in range(1, 9)))
    while not writes.done():
        seen = {bytes(value) for value in await store.cache.get_many(keys)}
        assert len(seen) == 1
        await asyncio.sleep(0)
    await writes


async def test_many_may_be_none(store):
    await store.cache.set_many({}, 60)
    assert await store.cache.get_many([]) == []


async def test_many_values_expire(store):
    await store.cache.set_many({"a": b"1", "b": b"2"}, 0.02)
    async with asyncio.timeout(5):
        while await store.cache.get_many(["a", "b"]) != [MISSING, MISSING]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_value_and_a_list_of_one_name_do_not_meet(store):
    channel = store.channel("r")
    await channel.append("both", b"x")
    assert await channel.get("both") is MISSING
    assert await channel.add("both") == 1
    assert await channel.items("both") == [b"x"]
    assert await channel.keys() == ["both"]
    assert await channel.delete("both") is True
    assert (await channel.get("both"), await channel.items("both")) == (MISSING, [])
    assert await channel.keys() == []


async def test_what_has_expired_is_no_key_of_a_channel(store):
    channel = store.channel("r")
    await channel.set("short", b"1", ttl=0.05)
    await channel.set("long", b"1", ttl=60)

    async def gone():
        return await channel.keys() == ["long"]

    await until(gone)


async def test_channel_values_lists_and_counters(store):
    channel = store.channel("r")
    assert await channel.get("a") is MISSING
    await channel.set("a", b"1")
    assert await channel.append("list", b"x") == 1
    assert await channel.append("list", b"y") == 2
    assert await channel.items("list") == [b"x", b"y"]
    assert await channel.add("n") == 1
    assert await channel.add("n", 4) == 5
    assert await channel.keys() == ["a", "list", "n"]
    assert await channel.delete("list") is True
    assert await channel.keys() == ["a", "n"]
    assert await store.channel("other").get("a") is MISSING


async def test_a_lock_has_one_holder_and_ends_by_itself(store):
    channel = store.channel("r")
    assert await channel.acquire("door", b"me", 30) is True
    assert await channel.acquire("door", b"you", 30) is False
    assert await channel.release("door", b"you") is False
    assert await channel.keys() == []
    assert await channel.release("door", b"me") is True
    assert await channel.release("door", b"me") is False
    assert await channel.acquire("door", b"you", 0.05) is True
    assert await store.channel("other").acquire("door", b"me", 30) is True

    async def taken_over():
        return await channel.acquire("door", b"me", 30)

    await until(taken_over)


async def test_feed_keeps_the_latest_and_sends_events(store):
    received = asyncio.Queue()

    async def listen():
        async for event in store.feed.subscribe():
            await received.put(event)

    listener = asyncio.create_task(listen())
    async with asyncio.timeout(5):
        # A subscription starts when the server has it, so publish until something arrives.
        while received.empty():
            await store.feed.publish("w", {"a/0": b"{}"}, [b"1"])
            await asyncio.sleep(0.01)
    assert await received.get() == ("w", b"1")
    assert await store.feed.latest("w") == {"a/0": b"{}"}
    listener.cancel()
