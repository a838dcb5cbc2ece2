"""What 10, 100 and 1,000 runners ask of Redis, of PostgreSQL and of the network; the first wall.

A model, not a measurement: the costs of a runner, of a loop and of an item are taken from what
`footprint.py` has seen on one machine (`bench/footprint.json`), and added up.

- Each runner reads the row of every slot twice a second: that grows with runners times loops.
- Everything else grows with runners, with loops, or with items.
- A loop of the model is half of a pair (producer and queue-writer, queue-reader and what follows);
  each pair moves its items at a set pace.

    python bench/capacity_model.py [LOOPS OF A RUNNER] [ITEMS A SECOND OF A PAIR]
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any

SEEN = Path(__file__).with_name("footprint.json")
FLEETS = (10, 100, 1000)
LOOPS, PACE = 20, 100.0
_MOST = 100_000
LIMITS = {
    "Redis, processor": ("redis_cpu", 1.0, "1 core"),
    "Redis, connections": ("redis_clients", 10_000, "10,000 (`maxclients`)"),
    "Redis, network": ("redis_bytes", 125e6, "1 Gbit/s"),
    "PostgreSQL, processor": ("database_cpu", 8.0, "8 cores"),
    "PostgreSQL, connections": ("database_clients", 100, "100 (`max_connections`)"),
    "supervisor of a runner": ("supervisor_cpu", 1.0, "1 core"),
}
"""What a fleet may ask for at most: of servers as they are set up without further thought."""
SHOWN = {
    "Redis: commands/s": ("redis_commands", 1),
    "Redis: processor, cores": ("redis_cpu", 1),
    "Redis: MB/s": ("redis_bytes", 1e6),
    "Redis: connections": ("redis_clients", 1),
    "PostgreSQL: rows read/s": ("rows_read", 1),
    "PostgreSQL: rows written/s": ("rows_written", 1),
    "PostgreSQL: processor, cores": ("database_cpu", 1),
    "PostgreSQL: connections": ("database_clients", 1),
    "each supervisor, cores": ("supervisor_cpu", 1),
    "hosts together, cores": ("host_cpu", 1),
}
LOOKED_FOR = ("rows_read", "database_cpu", "supervisor_cpu")
"""What grows with runners times loops."""
NAMES = sorted({name for name, _ in SHOWN.values()})
Seen = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one measure grows by, a second: with each runner, each loop, each loop that each runner
    looks at, and each item. `base`: what there is without any."""

    base: float
    runner: float
    loop: float
    look: float
    item: float

    def of(self, runners: float, loops: float, items: float) -> float:
        return (
            self.base
            + self.runner * runners
            + self.loop * loops
            + self.look * loops * runners
            + self.item * items
        )


def fitted(seen: Seen, name: str) -> Costs:
    """Return the costs of one measure."""
    phases = {phase: [s for s in seen if s["phase"] == phase] for phase in _phases(seen)}
    few = phases["runners"]
    runner, base = linear_regression([s["runners"] for s in few], [s[name] for s in few])
    runner = max(0.0, runner)
    loops = phases["loops"]
    slope, _ = linear_regression([s["loops"] for s in loops], [s[name] for s in loops])
    last, [more] = loops[-1], phases["more runners"]
    added = more["runners"] - last["runners"]
    looked = (more[name] - last[name] - runner * added) / (added * last["loops"])
    look = max(0.0, looked) if name in LOOKED_FOR else 0.0
    [rest], [paced] = phases["rest"], phases["100/s"]
    loop = max(0.0, slope - look * last["runners"])
    items = max(0.0, paced[name] - rest[name] - 2 * (loop + look)) / paced["items"]
    return Costs(
        base=max(0.0, base), runner=runner, loop=loop, look=look,
        item=0.0 if name.endswith("_clients") else items,
    )  # fmt: skip


def _phases(seen: Seen) -> dict[str, None]:
    return dict.fromkeys(s["phase"] for s in seen)


class Model:
    def __init__(self, seen: Seen, loops: float, pace: float) -> None:
        self._costs = {name: fitted(seen, name) for name in NAMES}
        self._loops, self._pace = loops, pace

    def demand(self, name: str, runners: float) -> float:
        """Return what a fleet asks for; of supervisors what one of them does."""
        loops = self._loops * runners
        asked = self._costs[name].of(runners, loops, loops / 2 * self._pace)
        return asked / runners if name == "supervisor_cpu" else asked

    def wall(self, name: str, limit: float) -> int:
        """Return how many runners the limit allows."""
        low, high = 0, _MOST
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.demand(name, middle) <= limit else (low, middle - 1)
        return low


def rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def main(loops: float = LOOPS, pace: float = PACE) -> None:
    model = Model(json.loads(SEEN.read_text())["seen"], loops, pace)
    print(f"| {loops:g} loops in a runner, {pace:g} items/s in a pair | 10 | 100 | 1,000 |")
    print("|---|---:|---:|---:|")
    for title, (name, unit) in SHOWN.items():
        values = (rounded(model.demand(name, runners) / unit) for runners in FLEETS)
        print(f"| {title} | {' | '.join(values)} |")
    print("\n| limit | of | reached with so many runners |\n|---|---|---:|")
    walls = {title: model.wall(name, most) for title, (name, most, _) in LIMITS.items()}
    for title, runners in sorted(walls.items(), key=lambda wall: wall[1]):
        told = f"more than {_MOST:,}" if runners >= _MOST else f"{runners:,}"
        print(f"| {title} | {LIMITS[title][2]} | {told} |")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:3]))
