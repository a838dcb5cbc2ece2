"""Dashboards: sockets that read all that comes, in one cheap process.

    python feed_clients.py < JSON with `port`, `path`, `tokens` (one for each socket) and `stamps`

Says `ready` when each has been answered, counts from then on, and at the end of its input says what
came: events, the times they took, what was dropped, and of the workflow `stamped` how old its
shown state had become each time that a newer one came.
"""

import asyncio
import json
import struct
import sys
import time

import orjson
from contenders.stamp_file import COUNT, stamps

ASK_EVERY = 4.0
"""As the page does."""
_KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="


class Seen:
    def __init__(self, path: str | None) -> None:
        self.stamps = stamps(path) if path else None
        self.events = self.dropped = self.messages = self.size = 0
        self.last = 0.0
        self.late: list[float] = []
        self.ages: list[float] = []
        self.shown: int | None = None

    def take(self, message: dict, now: float, first: bool) -> None:
        if message["type"] == "gap":
            self.dropped += message["dropped"]
        if "at" in message:
            self.events += 1
            self.last = now
            self.late.append(now - message["at"])
        elif first and message.get("workflow_id") == "stamped" and message["type"] == "node_stats":
            self._age(message["iterations"], now)

    def _age(self, number: int, now: float) -> None:
        """Note since when the state shown so far was no longer the newest."""
        shown, self.shown = self.shown, number
        if shown is not None and shown < min(number, COUNT):
            self.ages.append(now - struct.unpack_from("d", self.stamps, 8 * shown)[0])

    def told(self) -> dict:
        return {
            "events": self.events, "dropped": self.dropped, "messages": self.messages,
            "size": self.size, "last": self.last, "late": quantiles(self.late),
            "ages": quantiles(self.ages), "updates": len(self.ages),
            "busy": time.process_time(),
        }  # fmt: skip


def quantiles(values: list[float]) -> dict[str, float]:
    found = sorted(values) or [0.0]
    return {
        "p50": found[len(found) // 2] * 1000,
        "p99": found[int(len(found) * 0.99)] * 1000,
        "most": found[-1] * 1000,
    }


class Dashboard(asyncio.Protocol):
    """One socket; frames of a server are not masked."""

    def __init__(self, seen: Seen, head: bytes, first: bool) -> None:
        self._seen = seen
        self._head = head
        self._first = first
        self._received = bytearray()
        self._shaken = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self._transport = transport
        transport.write(self._head)

    def data_received(self, data):
        self._received += data
        if not self._shaken:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                raise SystemExit(bytes(head).decode())
            self._shaken, self._received = True, rest
            self.answered.set_result(None)
        while (frame := self._frame()) is not None:
            self._take(*frame)

    def _frame(self):
        data = self._received
        if len(data) < 2:
            return None
        size, start = data[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return None
        kind, body = data[0] & 15, bytes(data[start : start + size])
        del data[: start + size]
        return kind, body

    def _take(self, kind, body):
        if kind == 9:
            self._send(10, body)
        elif kind == 1:
            self._seen.messages += 1
            self._seen.size += len(body)
            self._seen.take(orjson.loads(body), time.monotonic(), self._first)
        elif kind == 8:
            raise SystemExit(f"closed: {body!r}")

    def _send(self, kind, body):
        self._transport.write(bytes((128 | kind, 128 | len(body), 0, 0, 0, 0)) + body)

    def ask(self):
        self._send(1, b'{"type": "request_state"}')


async def main(given: dict) -> None:
    loop = asyncio.get_running_loop()
    seen, opened = Seen(given.get("stamps")), []
    for number, token in enumerate(given["tokens"]):
        head = (
            f"GET {given['path']} HTTP/1.1\r\nHost: 127.0.0.1:{given['port']}\r\n"
            f"Authorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n\r\n"
        )
        _, dashboard = await loop.create_connection(
            lambda head=head, number=number: Dashboard(seen, head.encode(), number == 0),
            "127.0.0.1",
            given["port"],
        )
        opened.append(dashboard)
    await asyncio.gather(*(dashboard.answered for dashboard in opened))
    print(json.dumps({"ready": True}), flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    while given["asks"] and not ended.done():
        for dashboard in opened:  # as of pages that were opened at different times
            await asyncio.wait([ended], timeout=ASK_EVERY / len(opened))
            if not ended.done():
                dashboard.ask()
    await ended
    print(json.dumps(seen.told()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
