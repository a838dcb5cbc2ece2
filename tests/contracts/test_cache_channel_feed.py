"""One suite for every CacheStore, Channel and Feed."""

import asyncio

from storage.base import MISSING


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
