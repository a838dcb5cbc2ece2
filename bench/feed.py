"""W5: 50 dashboards, beside sockets in a group of a channel layer; and loops with and without them.

First the same events go to 50 sockets of ours, of a plain Channels consumer on the core layer of
channels_redis, and on its pub/sub layer: as fast as they are published, and some hundred a second.
Then a runner runs a loop at full speed, in turn without and with 50 sockets that read as the
dashboard does; of a second loop, whose state changes a hundred times a second, is measured how old
the shown state had become each time that a newer one came. Medians are compared, and only ratios
within one run mean something.

    python bench/feed.py [ROUNDS] [SECONDS OF EACH WINDOW]
"""

import contextlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from contenders.stamp_file import SIZE
from deployed import cpu, deployed, environment, free_port, python
from dev_execute import Server, wait_for
from sides import HERE, private_server

DASHBOARDS = 50
USERS = 5
BURST, STREAM, RATE = 4_000, 2_000, 200
SPEED_BUDGET, AGE_BUDGET = 0.97, 500.0
CONTENDERS = ("ours", "core", "pubsub")
_AT_REST = 0.06
"""Seconds of processor time in one second of a server that delivers nothing."""


@contextlib.contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def settled(pid: int) -> float:
    """Return the processor time of a server when it has nothing more to deliver."""
    before = cpu(pid)
    while True:
        time.sleep(1)
        now = cpu(pid)
        if now - before < _AT_REST:
            return now
        before = now


@contextlib.contextmanager
def dashboards(port: int, path: str, tokens: list[str], **more: Any) -> Iterator[dict[str, Any]]:
    """Keep 50 sockets open, and afterwards put what they saw into the dictionary given."""
    given = {"port": port, "path": path, "tokens": tokens, "asks": False, **more}
    seen: dict[str, Any] = {}
    clients = python(
        str(HERE / "feed_clients.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    with ended(clients):
        assert clients.stdin and clients.stdout
        clients.stdin.write(json.dumps(given) + "\n")
        clients.stdin.flush()
        if not clients.stdout.readline():
            raise SystemExit("the sockets could not be opened")
        yield seen
        seen.update(json.loads(clients.communicate()[0]))


@contextlib.contextmanager
def deployment(redis_url: str) -> Iterator[tuple[Server, int, list[str], Path]]:
    """Run a web process and a runner; gives the server, its pid, tokens, and where stamps go."""
    with tempfile.TemporaryDirectory(prefix="w5-") as folder:
        stamps = Path(folder) / "stamps"
        with stamps.open("wb") as file:
            file.truncate(SIZE)
        with deployed(redis_url, users=USERS, FEED_STAMPS=str(stamps)) as system:
            yield system.server, system.web, system.tokens, stamps


def delivered(
    name: str, url: str, port: int, pid: int, tokens: list[str], count: int, rate: float
) -> dict[str, float]:
    """Publish events, and return what 50 sockets saw of them."""
    path = "/ws/dashboard/?detail=loops" if name == "ours" else "/"
    peer = str(HERE / "contenders" / "feed_peer.py")
    with dashboards(port, path, tokens) as seen:
        time.sleep(1)  # the first states are sent
        before = cpu(pid)
        arguments = [peer, "publish", name, url, str(count), str(rate)]
        with ended(python(*arguments, stdout=subprocess.PIPE, env=environment())) as publisher:
            assert publisher.stdout
            begun = json.loads(publisher.stdout.readline())["begun"]
            publisher.wait(300)
        busy = settled(pid) - before
    expected = count * DASHBOARDS
    return {
        "speed": seen["events"] / max(seen["last"] - begun, 1e-6),
        "arrived": seen["events"] / expected,
        "cost": busy / max(seen["events"], 1) * 1e6,
        **seen["late"],
    }


@contextlib.contextmanager
def peer_server(layer: str, url: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    arguments = [str(HERE / "contenders" / "feed_peer.py"), "serve", layer, url, str(port)]
    with ended(python(*arguments, env=environment())) as server:
        wait_for(port)
        yield port, server.pid


def compare(rounds: int, url: str, server: Server, pid: int, tokens: list[str]) -> None:
    """Measure the contenders in turn, and print the medians."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name in CONTENDERS:
            with contextlib.ExitStack() as stack:
                port, own = server.port, pid
                if name != "ours":
                    port, own = stack.enter_context(peer_server(name, url))
                for kind, count, rate in (("burst", BURST, 0), ("stream", STREAM, RATE)):
                    seen = delivered(name, url, port, own, tokens, count, rate)
                    found.setdefault((name, kind), []).append(seen)
                    print(f"{name} {kind}: {seen['speed']:,.0f} events/s arrived", flush=True)
    print(
        f"{'':<8} {'burst/s':>9} {'arrived':>8} {'cost':>9}   at {RATE}/s: arrived, p50, p99, cost"
    )
    for name in CONTENDERS:
        burst, stream = (middle(found[name, kind]) for kind in ("burst", "stream"))
        print(
            f"{name:<8} {burst['speed']:9,.0f} {burst['arrived']:8.0%} {burst['cost']:6.1f} µs"
            f"   {stream['arrived']:8.0%} {stream['p50']:7.1f} ms {stream['p99']:7.1f} ms"
            f" {stream['cost']:6.1f} µs",
            flush=True,
        )
    ours = middle(found["ours", "burst"])["speed"]
    for name in CONTENDERS[1:]:
        print(f"ours / {name:<8} {ours / middle(found[name, 'burst'])['speed']:6.1f}")


def middle(seen: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in seen) for key in seen[0]}


def workflow(name: str, form: dict[str, Any], *nodes: str) -> dict[str, Any]:
    ids = ["in", *(f"n{i}" for i in range(len(nodes)))]
    return {
        "name": name,
        "nodes": [
            {"id": i, "type": t, "data": {"form": form if i == "in" else {}}}
            for i, t in zip(ids, ("counter", *nodes), strict=True)
        ],
        "edges": [
            {"id": f"e{i}", "source": a, "target": b} for i, (a, b) in enumerate(pairwise(ids))
        ],
    }


def iterations(server: Server, name: str) -> int:
    status = server.send("GET", f"/prod/status/{name}", None)
    return sum(loop["iterations"] for loop in status["loops"])


def speed(server: Server, seconds: float) -> float:
    """Return how many iterations a second the loop at full speed makes now."""
    begun, before = time.monotonic(), iterations(server, "full")
    time.sleep(seconds)
    return (iterations(server, "full") - before) / (time.monotonic() - begun)


def watch(
    rounds: int, seconds: float, server: Server, pid: int, tokens: list[str], stamps: Path
) -> bool:
    """Measure the loop in turn without and with dashboards; tell whether the budgets are kept."""
    loops = (
        workflow("full", {}, "noop", "noop", "noop"),
        workflow("stamped", {"interval": 0.01}, "stamp"),
    )
    for loop in loops:
        server.send("POST", "/workflows/", loop)
        server.send("POST", "/prod/start", {"workflow_id": loop["name"]})
    while iterations(server, "full") < 1000 or iterations(server, "stamped") < 10:
        time.sleep(0.2)
    ratios, ages, busy = [], [], []
    for number in range(rounds):
        without = speed(server, seconds)
        path = "/ws/dashboard/?detail=loops"
        with dashboards(server.port, path, tokens, stamps=str(stamps), asks=True) as seen:
            begun, before = time.monotonic(), cpu(pid)
            beside = speed(server, seconds)
            busy.append((cpu(pid) - before) / (time.monotonic() - begun))
        after = speed(server, seconds)
        ratios.append(beside / ((without + after) / 2))
        ages.append(seen["ages"])
        print(
            f"round {number + 1}: {without:8,.0f} {beside:8,.0f} {after:8,.0f} iterations/s"
            f"   ratio {ratios[-1]:.3f}   web {busy[-1]:.0%} of a core,"
            f" age p50 {ages[-1]['p50']:.0f} p99 {ages[-1]['p99']:.0f}"
            f" most {ages[-1]['most']:.0f} ms in {seen['updates']} updates,"
            f" clients {seen['busy']:.1f} s of processor time",
            flush=True,
        )
    age = middle(ages)
    ratio = statistics.median(ratios)
    kept = ratio >= SPEED_BUDGET, age["p99"] <= AGE_BUDGET
    print(f"speed with / without dashboards {ratio:.3f}   at least {SPEED_BUDGET}: {said(kept[0])}")
    print(
        f"shown state, p99 of its age {age['p99']:.0f} ms   at most {AGE_BUDGET:g}: {said(kept[1])}"
    )
    return all(kept)


def said(reached: bool) -> str:
    return "reached" if reached else "NOT reached"


def main(rounds: int, seconds: float) -> int:
    with private_server() as url, deployment(url) as (server, pid, tokens, stamps):
        each = [tokens[i % USERS] for i in range(DASHBOARDS)]
        if importlib.util.find_spec("channels_redis"):
            compare(rounds, url, server, pid, each)
        else:
            print("channels_redis is not installed: pip install -r requirements-bench.txt")
        return 0 if watch(rounds, seconds, server, pid, each, stamps) else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        main(
            int(arguments[0]) if arguments else 3,
            float(arguments[1]) if len(arguments) > 1 else 8.0,
        )
    )
