"""W2: a 1 KB item from one process to another over Redis, beside a raw stream and task queues.

Ours is two loops in two processes: a producer and a queue-writer, a queue-reader and a sink, with
leases, tokens, ordered atomic commits, back-pressure, statistics and the feed on. Every measurement
has a server of its own (append-only file, fsync every second, no eviction). Rounds are interleaved;
medians are compared, and only ratios within one run mean something.

    python bench/hop.py [ROUNDS] [SHARE OF THE ITEMS]
"""

import importlib.util
import statistics
import sys
from dataclasses import dataclass

from sides import hop

RATE = 200.0
LATE_ITEMS = 800


@dataclass(frozen=True, slots=True)
class Contender:
    """`items` a round, so that each takes some seconds; `budget`: how often as fast we must be."""

    name: str
    module: str
    package: str
    items: int
    budget: float


CONTENDERS = (
    Contender("ours", "ours", "redis", 60_000, 0),
    Contender("raw stream", "raw", "redis", 60_000, 0.8),
    Contender("celery", "celery", "celery", 2_500, 30),
    Contender("dramatiq", "dramatiq", "dramatiq", 6_000, 10),
    Contender("taskiq", "taskiq", "taskiq_redis", 6_000, 0),
)
LATENCY_BUDGET = 2.0
"""Our median at RATE, at most so many times that of the raw stream."""


def verdict(text: str, reached: bool | None) -> bool:
    print(f"{text}: {'no budget' if reached is None else 'reached' if reached else 'NOT reached'}")
    return reached is not False


def report(speeds: dict[str, float], p50: dict[str, float]) -> bool:
    """Print the ratios and tell whether every budget was reached."""
    reached = True
    for peer in CONTENDERS[1:]:
        if peer.name in speeds:
            ratio = speeds["ours"] / speeds[peer.name]
            text = f"ours / {peer.name:<10} {ratio:8.2f}   at least {peer.budget:g}"
            reached &= verdict(text, ratio >= peer.budget if peer.budget else None)
    ratio = p50["ours"] / p50["raw stream"]
    text = f"p50 at {RATE:g}/s, ours / raw stream {ratio:.2f}   under {LATENCY_BUDGET:g}"
    return verdict(text, ratio < LATENCY_BUDGET) and reached


def main(rounds: int, share: float) -> int:
    contenders = [peer for peer in CONTENDERS if importlib.util.find_spec(peer.package)]
    for peer in CONTENDERS:
        if peer not in contenders:
            print(f"{peer.name} is not installed: pip install -r requirements-bench.txt")
    seen: dict[str, dict[str, list[float]]] = {
        peer.name: {"speed": [], "p50": [], "p99": []} for peer in contenders
    }
    for number in range(rounds):
        for peer in contenders:
            fast = hop(peer.module, max(1, int(peer.items * share)))
            slow = hop(peer.module, max(1, int(LATE_ITEMS * share)), RATE)
            found = seen[peer.name]
            found["speed"].append(fast["speed"])
            found["p50"].append(slow["p50"])
            found["p99"].append(slow["p99"])
            print(
                f"round {number + 1}: {peer.name:<10} {fast['speed']:10,.0f} items/s"
                f"   p50 {slow['p50']:6.2f} ms   p99 {slow['p99']:6.2f} ms at {RATE:g}/s",
                flush=True,
            )
    middle = {
        name: {key: statistics.median(values) for key, values in found.items()}
        for name, found in seen.items()
    }
    print()
    for name, found in middle.items():
        print(
            f"{name:<10} {found['speed']:10,.0f} items/s"
            f"   p50 {found['p50']:6.2f} ms   p99 {found['p99']:6.2f} ms at {RATE:g}/s"
        )
    reached = report(
        {name: found["speed"] for name, found in middle.items()},
        {name: found["p50"] for name, found in middle.items()},
    )
    return 0 if reached else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        main(
            int(arguments[0]) if arguments else 5,
            float(arguments[1]) if len(arguments) > 1 else 1.0,
        )
    )
