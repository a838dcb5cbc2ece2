"""What `run_workflow` shows: a table that is redrawn on a terminal, plain lines in a pipe."""

import shutil
import time
from collections.abc import Iterator
from typing import TextIO

from orchestrator.runtime.local import LocalRun, LocalSlot

LINE_EVERY = 2.0
"""Seconds between two lines of a loop whose state stays the same."""

_UP, _CLEAR_LINE, _CLEAR_REST = "\x1b[{}A", "\x1b[K", "\x1b[J"
_HEAD = f"{'loop':<10} {'node':<26} {'done':>10} {'failed':>8} {'per second':>11} {'mean ms':>9}"


class Table:
    """Draws the counters over those of the last time, as many as fit. Rates are since then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._height = 0
        self._before: dict[str, tuple[float, int]] = {}

    def __call__(self, run: LocalRun) -> None:
        width, height = shutil.get_terminal_size()
        rows = [row[: width - 1] for row in self._rows(run)][: height - 1]
        up = _UP.format(self._height) if self._height else ""
        body = "".join(f"{row}{_CLEAR_LINE}\n" for row in rows)
        self._out.write(f"{up}{body}{_CLEAR_REST}")
        self._out.flush()
        self._height = len(rows)

    def _rows(self, run: LocalRun) -> Iterator[str]:
        yield f"{run.name}: {_summary(run)}"
        yield _HEAD
        for slot in run.slots:
            iterations = slot.status.get("iterations", 0)
            rate = self._rate(slot.name, iterations)
            failures = slot.status.get("failures", 0)
            yield f"{slot.name:<10} {_state(slot):<26} {iterations:>10,} {failures:>8,} {rate:>11}"
            for node in slot.loop.nodes:
                counters = slot.status.get("nodes", {}).get(node.id)
                if counters is not None:
                    done, failed = counters["count"], counters["failed"]
                    mean = 1000 * counters["seconds"] / max(1, done + failed)
                    name = f"{node.id} {node.type}"[:26]
                    yield f"{'':<10} {name:<26} {done:>10,} {failed:>8,} {'':>11} {mean:>9.3f}"

    def _rate(self, name: str, count: int) -> str:
        now = time.monotonic()
        since, before = self._before.get(name, (now, count))
        self._before[name] = (now, count)
        return f"{max(0, count - before) / (now - since):,.0f}" if now > since else ""


class Lines:
    """Writes a line for each loop when its state changes, and every other second while it works."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: dict[str, tuple[float, str, str]] = {}

    def __call__(self, run: LocalRun) -> None:
        now = time.monotonic()
        for slot in run.slots:
            at, state, line = self._shown.get(slot.name, (0.0, "", ""))
            fresh = _line(slot)
            if _state(slot) != state or (fresh != line and now - at >= LINE_EVERY):
                self._shown[slot.name] = (now, _state(slot), fresh)
                self._out.write(fresh)
        self._out.flush()


def _line(slot: LocalSlot) -> str:
    counts = (f"{name} {slot.status.get(name, 0)}" for name in ("iterations", "failures"))
    return f"loop {slot.name} {_state(slot)}: {', '.join(counts)}\n"


def _state(slot: LocalSlot) -> str:
    return f"{slot.state} ({slot.reason})" if slot.reason else slot.state


def _summary(run: LocalRun) -> str:
    working = sum(slot.outcome is None for slot in run.slots)
    state = f"{working} of {len(run.slots)} loops at work" if working else str(run.outcome)
    return f"{state}, {run.dead_count:,} dead letters"
