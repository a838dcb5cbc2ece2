"""What the two sides of a hop have in common: the item, its pace, the sink, the private server.

A side is a process of its own: `python bench/sides.py CONTENDER ROLE URL COUNT RATE ROOM`. It ends
when its work is done, or with the process that started it.
"""

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from orchestrator.runtime import embedded, lifeline  # noqa: E402

SIDE_TIMEOUT = 180.0
_WARM_UP = 0.1
_BODY = {
    "order": "2f0b1a52-6d2c-4ad1-8f43-0f9be1a8d5c7",
    "customer": {"id": 48213, "name": "Ada Lovelace", "mail": "ada@example.org", "vip": True},
    "address": {"street": "12 St James's Square", "city": "London", "zip": "SW1Y 4JH"},
    "lines": [
        {"sku": f"SKU-{n:05}", "title": "Punched cards, a box of 100", "count": n, "price": 9.75}
        for n in range(8)
    ],
    "note": "Leave it with the porter, please, and ring twice. " * 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a side has to do: `count` items, at `rate` a second, or as fast as it goes (0).

    room: how many items a queue may hold, where that can be told; 10,000 is our default.
    """

    url: str
    count: int
    rate: float
    room: int = 10_000

    def due(self, number: int, begun: float) -> float:
        """Return the seconds to wait before an item is made; 0 when it is due."""
        return max(0.0, begun + number / self.rate - time.monotonic()) if self.rate else 0.0

    def paced(self) -> Iterator[dict[str, Any]]:
        """Yield all items in a thread that may sleep."""
        begun = time.monotonic()
        for number in range(self.count):
            wait = self.due(number, begun)
            if wait:
                time.sleep(wait)
            yield make_item(number)


def make_item(number: int) -> dict[str, Any]:
    """Return data that is 1 KB of JSON and tells when it was made."""
    return {**_BODY, "number": number, "at": time.monotonic()}


class Sink:
    """Counts what arrives. All processes of a machine read the same monotonic clock."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._count = self._numbers = 0
        self._made = float("inf")
        self._late: list[float] = []
        self.full = False

    def take(self, data: dict[str, Any]) -> bool:
        """Count an item and tell whether it was the last."""
        now, made = time.monotonic(), data["at"]
        if made < self._made:
            self._made = made
        self._count += 1
        self._numbers += data["number"]
        if self._work.rate:
            self._late.append(now - made)
        if self._count == self._work.count:
            self._seconds = now - self._made
            self.full = True
        return self.full

    def report(self) -> None:
        """Print what the parent reads; every item must have come exactly once."""
        expected = self._work.count
        if (self._count, self._numbers) != (expected, expected * (expected - 1) // 2):
            raise SystemExit(f"{self._count} items came, and not each of {expected} once")
        late = sorted(self._late[int(expected * _WARM_UP) :]) or [0.0]
        say(
            speed=expected / self._seconds,
            p50=statistics.median(late) * 1000,
            p99=late[int(len(late) * 0.99)] * 1000,
        )


def say(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def ready() -> None:
    """Tell the parent that the other side may start."""
    say(ready=True)


@contextlib.contextmanager
def private_server() -> Iterator[str]:
    """Run the embedded server, with its own settings, for as long as the block runs."""
    with (
        tempfile.TemporaryDirectory(prefix="hop-") as folder,
        embedded.redis_url(Path(folder)) as url,
    ):
        yield url


def start_side(contender: str, role: str, work: Work) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "ignore", str(HERE / "sides.py"), contender, role]
    return subprocess.Popen(
        [*command, work.url, str(work.count), str(work.rate), str(work.room)],
        stdin=subprocess.PIPE,  # closed with this process, which the side notices
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(side: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the next line that a side said."""
    out: IO[str] = side.stdout  # type: ignore[assignment]
    for line in out:
        if line.startswith("{"):  # and not what a framework greets with
            return dict(json.loads(line))
    raise SystemExit(f"{side.args} ended without a word")  # type: ignore[str-bytes-safe]


def hop(contender: str, count: int, rate: float = 0.0) -> dict[str, float]:
    """Send items from one process to another, on a server of their own; return what was seen."""
    with private_server() as url, contextlib.ExitStack() as started:
        work = Work(url=url, count=count, rate=rate)
        consumer = start_side(contender, "consume", work)
        started.callback(end_side, consumer)
        late = threading.Timer(SIDE_TIMEOUT, consumer.kill)
        started.callback(late.cancel)
        late.start()
        heard(consumer)
        producer = start_side(contender, "produce", work)
        started.callback(end_side, producer)
        # One that failed leaves a consumer that waits for ever.
        threading.Thread(target=lambda: producer.wait() > 0 and consumer.kill()).start()
        return heard(consumer)


def end_side(side: "subprocess.Popen[str]") -> None:
    side.kill()
    side.communicate()


def main() -> None:
    contender, role, url, count, rate, room = sys.argv[1:]
    lifeline.watch(sys.stdin.fileno(), lambda: os._exit(1))
    work = Work(url=url, count=int(count), rate=float(rate), room=int(room))
    getattr(importlib.import_module(f"contenders.{contender}"), role)(work)


if __name__ == "__main__":
    sys.modules["sides"] = sys.modules["__main__"]
    main()
