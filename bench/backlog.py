"""Memory of the runners and of the server: while many items pass, and while as many are queued.

Both sides are those of `hop.py`. First a producer and a sink run side by side; then the producer
fills a queue alone, whose limit was raised, and the sink drains it. The runners' memory has to stay
flat in both parts; the server's has to stay flat in the first, and holds what is queued in the
second.

    python bench/backlog.py [ITEMS]
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import redis
from sides import SIDE_TIMEOUT, Work, end_side, heard, private_server, start_side

ITEMS = 1_000_000
POINTS = 10
SLACK = 32.0
"""MB that a process may grow after its first tenth, and still be called flat."""


def rss(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except FileNotFoundError:
        found = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        return int(found) / 1024 if found else 0.0


class Watch:
    """Follows a run by the server's counters, and notes the memory at every tenth of the items."""

    def __init__(self, url: str, sides: dict[str, "subprocess.Popen[str]"]) -> None:
        self._client = redis.Redis.from_url(url)
        self._sides = sides
        self.seen: dict[str, list[float]] = {name: [] for name in (*sides, "server")}

    def added(self) -> int:
        return self._stream("entries-added")

    def done(self) -> int:
        return self.added() - self._stream("length")

    def _stream(self, field: str) -> int:
        try:
            return int(self._client.xinfo_stream("wo:{wf:hop}:q:hop")[field])
        except redis.ResponseError:
            return 0  # nothing was written yet

    def follow(self, count: int, progress: str) -> float:
        """Wait until that many items are `added` or `done`; return the items a second."""
        begun = time.monotonic()
        point = 1
        while point <= POINTS:
            if getattr(self, progress)() >= count * point // POINTS:
                self._note(point * 100 // POINTS)
                point += 1
            elif any(side.poll() for side in self._sides.values()):
                raise SystemExit("a side has failed")
            else:
                time.sleep(0.05)
        return count / (time.monotonic() - begun)

    def _note(self, percent: int) -> None:
        memory = {name: rss(side.pid) for name, side in self._sides.items()}
        memory["server"] = self._client.info("memory")["used_memory_rss"] / 2**20
        for name, value in memory.items():
            if value:
                self.seen[name].append(value)
        text = "   ".join(f"{name} {value:7.1f} MB" for name, value in memory.items())
        print(f"{percent:4} %   {text}", flush=True)

    def flat(self, name: str) -> bool:
        """Tell whether a process has kept its size, and say so."""
        first, *rest = self.seen[name] or [0.0]
        grown = max(rest, default=first) - first
        verdict = "flat" if grown <= SLACK else "NOT flat"
        print(f"{name}: {first:.1f} MB, at most {grown:+.1f} MB later: {verdict}")
        return grown <= SLACK


def passing(count: int) -> bool:
    print(f"{count:,} items pass")
    with private_server() as url:
        work = Work(url=url, count=count, rate=0)
        sink = start_side("ours", "consume", work)
        heard(sink)
        source = start_side("ours", "produce", work)
        try:
            watch = Watch(url, {"source": source, "sink": sink})
            speed = watch.follow(count, "done")
            print(f"{speed:,.0f} items/s")
            return sum(watch.flat(name) for name in watch.seen) == len(watch.seen)
        finally:
            end_side(source)
            end_side(sink)


def queued(count: int) -> bool:
    print(f"\n{count:,} items are queued, and then drained")
    with private_server() as url:
        work = Work(url=url, count=count, rate=0, room=count)
        source = start_side("ours", "produce", work)
        try:
            filling = Watch(url, {"source": source})
            print(f"{filling.follow(count, 'added'):,.0f} items/s put")
            source.wait(SIDE_TIMEOUT)
            sink = start_side("ours", "consume", work)
            try:
                heard(sink)
                draining = Watch(url, {"sink": sink})
                print(f"{draining.follow(count, 'done'):,.0f} items/s taken")
            finally:
                end_side(sink)
        finally:
            end_side(source)
    # The server holds the items: some KB each would be a defect, its size as such is none.
    server = filling.seen["server"]
    print(f"server: {(server[-1] - server[0]) * 2**20 / (count * 0.9):,.0f} bytes an item")
    return filling.flat("source") & draining.flat("sink")


if __name__ == "__main__":
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    sys.exit(0 if passing(items) & queued(items) else 1)
