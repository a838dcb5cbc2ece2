"""What runners, loops and items ask of Redis and PostgreSQL: the numbers of `capacity_model.py`.

Runners without work, loops without items, and loops at a set pace and as fast as they go; of each
is noted, for some seconds, what the servers are asked for and what everybody takes of a processor.
The servers are the embedded one and that of DATABASE_URL, an empty PostgreSQL on this machine:

    python -m tests.postgres python bench/footprint.py [SECONDS OF EACH WINDOW] [FILE]

What was seen goes to the file (`bench/footprint.json`), which replaces what is there.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import redis
from deployed import Deployed, chain, cpu, cpu_of_ended, deployed, tree
from many import idle
from sides import HERE, private_server

SECONDS = 20.0
"""Two renewals of the leases."""
RUNNERS = (1, 2, 4)
"""The last come when there are loops."""
LOOPS = (100, 200, 400)
IN_WORKFLOW = 20
_SETTLE = 5.0
_PATIENCE = 120.0
_ACTIVITY = """
SELECT xact_commit, tup_returned, tup_inserted + tup_updated + tup_deleted,
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
FROM pg_stat_database WHERE datname = current_database()
"""
_IS_RUNNING = """
SELECT count(*) FROM orchestrator_loopslot s JOIN orchestrator_workflow w ON w.id = s.workflow_id
WHERE s.state = 'running' AND w.desired = 'running'
"""

_HELD = """
SELECT count(s.id) FROM orchestrator_runner r LEFT JOIN orchestrator_loopslot s ON s.owner_id = r.id
WHERE r.expires_at > now() GROUP BY r.id
"""


class Meter:
    """Reads what everything has been asked for and has taken since it began."""

    def __init__(self, system: Deployed, redis_url: str, database_url: str) -> None:
        self._system = system
        self._redis = redis.Redis.from_url(redis_url)
        self._database = psycopg.connect(database_url, autocommit=True)
        [[backend]] = self._database.execute("SELECT pg_backend_pid()").fetchall()
        fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
        self._postmaster = int(fields[1])

    def seen(self) -> dict[str, float]:
        info, rows = self._redis.info(), self._database.execute(_ACTIVITY).fetchone()
        assert rows is not None
        trees = [tree(runner.pid) for runner in self._system.runners]
        return {
            "at": time.monotonic(),
            "redis_commands": info["total_commands_processed"],
            "redis_bytes": info["total_net_input_bytes"] + info["total_net_output_bytes"],
            "redis_cpu": info["used_cpu_user"] + info["used_cpu_sys"],
            "redis_clients": info["connected_clients"],
            "commits": rows[0], "rows_read": rows[1], "rows_written": rows[2],
            "database_clients": rows[3],
            "database_cpu": cpu(*tree(self._postmaster)) + cpu_of_ended(self._postmaster),
            "supervisor_cpu": sum(cpu(pids[0]) for pids in trees),
            "host_cpu": sum(cpu(*pids[1:]) for pids in trees),
        }  # fmt: skip

    def rates(self, seconds: float) -> dict[str, float]:
        """Return what is asked for, and taken, a second; of clients how many there are."""
        before = self.seen()
        time.sleep(seconds)
        after = self.seen()
        passed = after.pop("at") - before.pop("at")
        levels = ("redis_clients", "database_clients")
        return {
            name: value if name in levels else (value - before[name]) / passed
            for name, value in after.items()
        }

    def running(self) -> int:
        [[count]] = self._database.execute(_IS_RUNNING).fetchall()
        return int(count)

    def alive(self) -> int:
        return len(self._held())

    def fewest(self) -> int:
        """Return how many slots the living runner has that has the fewest."""
        return min(self._held())

    def _held(self) -> list[int]:
        return [int(held) for (held,) in self._database.execute(_HELD).fetchall()]


def until(condition: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("what is to be measured does not begin")
        time.sleep(0.2)


def busy(name: str, interval: float | None, *heavy: str) -> dict[str, Any]:
    """Return a producer, a queue and its reader; items of some bytes, or of 10 KB."""
    queue = {"queue_name": "items"}
    source = {"form": {} if interval is None else {"interval": interval}}
    middle = [(f"h{n}", kind, {}) for n, kind in enumerate(heavy)]
    return chain(
        name,
        ("in", "counter", source),
        *middle,
        ("write", "queue-writer", {"config": {**queue, "max_length": 10_000}}),
        ("read", "queue-reader", {"config": queue}),
        ("out", "noop", {}),
    )


def items(system: Deployed, name: str) -> int:
    return sum(r["iterations"] for r in system.status(name)["loops"] if r["loop"] == "read")


def idle_phases(system: Deployed, meter: Meter, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what runners without work cost, what loops without items do, and both with more
    runners."""

    def measured(phase: str) -> dict[str, Any]:
        time.sleep(_SETTLE)
        rates = meter.rates(seconds)
        return {"phase": phase, "runners": meter.alive(), "loops": meter.running(), **rates}

    *few, many = RUNNERS
    for runners in few:
        bring(system, meter, runners)
        yield measured("runners")
    for wanted in LOOPS:
        for number in range(meter.running() // IN_WORKFLOW, wanted // IN_WORKFLOW):
            system.start(idle(f"idle-{number}", IN_WORKFLOW))
        until(lambda wanted=wanted: meter.running() == wanted)
        yield measured("loops")
    bring(system, meter, many)
    # Loops move to them by twos, each to be started again.
    until(lambda: meter.fewest() >= LOOPS[-1] // many - 1)
    until(lambda: meter.running() == LOOPS[-1])
    yield measured("more runners")


def bring(system: Deployed, meter: Meter, runners: int) -> None:
    """Start runners until there are so many."""
    while len(system.runners) < runners:
        system.start_runner()
    until(lambda: meter.alive() == runners)


def busy_phases(system: Deployed, meter: Meter, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what items cost, on a runner that has nothing else to do."""
    kinds = {
        "100/s": (0.01,),
        "full": (None,),
        "full, 10 KB": (None, "weight"),
    }
    until(lambda: meter.alive() == 1)
    time.sleep(_SETTLE)
    yield {"phase": "rest", "runners": 1, "loops": 0, "items": 0, **meter.rates(seconds)}
    for number, (kind, arguments) in enumerate(kinds.items()):
        name = f"busy-{number}"
        system.start(busy(name, *arguments))
        until(lambda name=name: items(system, name) > 100)
        time.sleep(2)
        before, begun = items(system, name), time.monotonic()
        rates = meter.rates(seconds)
        speed = (items(system, name) - before) / (time.monotonic() - begun)
        yield {"phase": kind, "runners": 1, "loops": 2, "items": speed, **rates}
        system.server.send("POST", "/prod/stop", {"workflow_id": name})
        until(lambda name=name: system.status(name)["status"] == "stopped")


def main(seconds: float, file: Path) -> int:
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        raise SystemExit("DATABASE_URL names no PostgreSQL: see `python bench/footprint.py`")
    seen = []
    for number, (phases, runners) in enumerate(((idle_phases, 0), (busy_phases, 1))):
        made = f"footprint_{number}"
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {made}")
        address = url.replace("/postgres?", f"/{made}?")
        with (
            private_server() as redis_url,
            deployed(redis_url, runners=runners, DATABASE_URL=address) as system,
        ):
            for found in phases(system, Meter(system, redis_url, address), seconds):
                seen.append({name: _round(value) for name, value in found.items()})
                print(json.dumps(seen[-1]), flush=True)
    told = {"cores": os.cpu_count(), "seconds": seconds, "seen": seen}
    file.write_text(json.dumps(told, indent=1) + "\n")
    return 0


def _round(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(
        main(
            float(given[0]) if given else SECONDS,
            Path(given[1]) if len(given) > 1 else HERE / "footprint.json",
        )
    )
