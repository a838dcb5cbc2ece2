"""A status feed as one writes it with Channels: each socket is in a group of a channel layer.

    python feed_peer.py serve core|pubsub REDIS_URL PORT
    python feed_peer.py publish core|pubsub|ours REDIS_URL EVENTS EVENTS_A_SECOND

The layers have their default settings; a rate of 0 is as fast as it goes.
"""

import asyncio
import json
import sys
import time

import orjson

GROUP = "feed"
TOGETHER = 10
"""Events of ours that travel in one message, as those of a runner do."""
_LAYERS = {
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


def configure(layer: str, url: str) -> None:
    from django.conf import settings

    backend = {"BACKEND": _LAYERS[layer], "CONFIG": {"hosts": [url]}}
    settings.configure(CHANNEL_LAYERS={"default": backend})


def serve(layer: str, url: str, port: str) -> None:
    configure(layer, url)
    import uvicorn
    from channels.generic.websocket import AsyncJsonWebsocketConsumer

    class Feed(AsyncJsonWebsocketConsumer):
        groups = (GROUP,)

        async def event(self, message):
            await self.send_json(message["event"])

    uvicorn.run(Feed.as_asgi(), host="127.0.0.1", port=int(port), log_level="warning")


def made(number: int) -> dict:
    """Return an event as a loop of three nodes sends it, with the time."""
    return {
        "type": "node_stats", "loop": "1", "slot": 0, "iterations": number, "failures": 0,
        "in_flight": 0, "per_second": 100.0, "number": number, "at": time.monotonic(),
    }  # fmt: skip


async def publish(layer: str, url: str, count: int, rate: float) -> None:
    send = to_feed(url) if layer == "ours" else to_group(layer, url)
    begun = time.monotonic()
    print(json.dumps({"begun": begun}), flush=True)
    for number in range(0, count, TOGETHER):
        if rate:
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        # Each of another workflow, so that none is the newer state of the one before.
        await send(number, [made(n) for n in range(number, number + TOGETHER)])


def to_feed(url: str):
    from storage.datastore import open_store

    feed = open_store(url).feed

    async def send(number, events):
        await feed.publish(f"w{number}", {}, [orjson.dumps(events)])

    return send


def to_group(layer: str, url: str):
    configure(layer, url)
    from channels.layers import get_channel_layer

    channel = get_channel_layer()

    async def send(number, events):
        for event in events:
            await channel.group_send(GROUP, {"type": "event", "event": event})

    return send


def main() -> None:
    role, layer, url, *rest = sys.argv[1:]
    if role == "serve":
        serve(layer, url, *rest)
    else:
        asyncio.run(publish(layer, url, int(rest[0]), float(rest[1])))


if __name__ == "__main__":
    main()
