"""One queue-fed loop with 1, 2 and 4 runners: a node that waits 5 ms, and one that works for 5 ms.

A producer fills a queue as fast as it may; behind it the loop has as many copies as there are
runners, one in each. The speed is that of all copies together, after each has begun. Ideal is so
many times the speed of one runner; of the node that works, not more than there are processors,
which runners, server and web process share.

    python bench/scale.py [SECONDS OF EACH WINDOW] [ROUNDS]
"""

import os
import statistics
import sys
import time
from typing import Any

from deployed import Deployed, chain, cpu, deployed, tree
from sides import private_server

RUNNERS = (1, 2, 4)
KINDS = ("sleeping", "burning")
SECONDS, ROUNDS = 8.0, 3
_PATIENCE = 60.0
_TRIES = 8


def workflow(name: str, kind: str, replicas: int) -> dict[str, Any]:
    queue = {"queue_name": "work"}
    return chain(
        name,
        ("in", "counter", {}),
        ("write", "queue-writer", {"config": {**queue, "max_length": 500}}),
        ("read", "queue-reader", {"config": {**queue, "replicas": replicas}}),
        ("work", kind, {}),
    )


def copies(system: Deployed, name: str) -> list[dict[str, Any]]:
    """Return the slots of the loop that works."""
    return [row for row in system.status(name)["loops"] if row["loop"] == "read"]


def is_spread(system: Deployed, name: str, runners: int) -> bool:
    """Wait until every copy works; tell whether each is in a runner of its own."""
    deadline = time.monotonic() + _PATIENCE
    while not all(row["iterations"] for row in copies(system, name)):
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} does not run: {copies(system, name)}")
        time.sleep(0.2)
    return len({row["runner"] for row in copies(system, name)}) == runners


def alive(system: Deployed, name: str) -> int:
    return int(system.status(name)["runners_alive"])


def speed(system: Deployed, name: str, seconds: float) -> tuple[float, float]:
    """Return the items a second, and the processors that the runners took."""

    def seen() -> tuple[float, int, float]:
        pids = [pid for runner in system.runners for pid in tree(runner.pid)]
        return time.monotonic(), sum(r["iterations"] for r in copies(system, name)), cpu(*pids)

    before = seen()
    time.sleep(seconds)
    passed, items, used = (b - a for a, b in zip(before, seen(), strict=True))
    return items / passed, used / passed


def start(system: Deployed, name: str) -> None:
    system.server.send("POST", "/prod/start", {"workflow_id": name})


def stop(system: Deployed, name: str) -> None:
    system.server.send("POST", "/prod/stop", {"workflow_id": name})
    while system.status(name)["status"] != "stopped":
        time.sleep(0.2)


def measure(system: Deployed, kind: str, runners: int, number: int, seconds: float) -> float:
    name = f"{kind}-{runners}-{number}"
    system.server.send("POST", "/workflows/", workflow(name, kind, runners))
    while alive(system, name) < runners:
        system.start_runner()
        wanted = len(system.runners)
        while alive(system, name) < wanted:
            time.sleep(0.2)
    for _ in range(_TRIES):  # where its producer fell to is not up to us
        start(system, name)
        if is_spread(system, name, runners):
            break
        stop(system, name)
    else:
        raise SystemExit(f"{name}: {runners} runners never had a copy each")
    found, used = speed(system, name, seconds)
    stop(system, name)
    print(f"{name:<14} {found:8.1f} items/s   runners take {used:.2f} processors", flush=True)
    return found


def main(seconds: float = SECONDS, rounds: float = ROUNDS) -> int:
    cores = os.cpu_count() or 1
    seen: dict[tuple[str, int], list[float]] = {}
    with private_server() as url, deployed(url, LEASE_TTL="6") as system:
        for runners in RUNNERS:  # in this order, as none is ended
            for number in range(int(rounds)):
                for kind in KINDS:
                    found = measure(system, kind, runners, number, seconds)
                    seen.setdefault((kind, runners), []).append(found)
    middle = {key: statistics.median(found) for key, found in seen.items()}
    print(f"\n{cores} processors\n{'node':<10} runners {'items/s':>9} speed-up  ideal  share")
    for (kind, runners), found in sorted(middle.items(), reverse=True):
        up = found / middle[kind, 1]
        ideal = runners if kind == "sleeping" else min(runners, cores)
        print(f"{kind:<10} {runners:7} {found:9.1f} {up:8.2f} {ideal:6} {up / ideal:6.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:3])))
