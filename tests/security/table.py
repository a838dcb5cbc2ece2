"""The table at the end of a run: what each corpus tried at each door, and what came of it."""

import gc
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forms.templating import CompiledTemplate

PROPERTY = "security_row"
SUMS = ("tried", "escaped", "rendered twice")
MAXIMA = {"slowest": "ms", "RSS growth": "MB"}


class Tally:
    """What one corpus tried at one door.

    slowest: in seconds of processor time of this thread, or of the clock when `clock` is another.
    """

    def __init__(self, corpus: str, door: str, clock: Callable[[], float]) -> None:
        self.corpus = corpus
        self.door = door
        self.tried = 0
        self.slowest = 0.0
        self.escaped: list[Any] = []
        self.twice: list[Any] = []
        self._clock = clock
        self._rss = rss()

    @contextmanager
    def attempt(self):
        self.tried += 1
        begun = self._clock()
        yield
        self.slowest = max(self.slowest, self._clock() - begun)

    @property
    def growth(self) -> float:
        """How many MB the process has grown."""
        gc.collect()
        return max(0.0, rss() - self._rss)

    def row(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus,
            "door": self.door,
            "tried": self.tried,
            "escaped": len(self.escaped),
            "rendered twice": len(self.twice),
            "slowest": round(self.slowest * 1000),
            "RSS growth": round(self.growth),
        }


class Renderings:
    """Counts what is compiled and rendered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiled = self.rendered = 0
        make, render = CompiledTemplate.__init__, CompiledTemplate.__call__

        def making(template: CompiledTemplate, *args: Any) -> None:
            self.compiled += 1
            make(template, *args)

        def rendering(template: CompiledTemplate, data: Any) -> Any:
            self.rendered += 1
            return render(template, data)

        monkeypatch.setattr(CompiledTemplate, "__init__", making)
        monkeypatch.setattr(CompiledTemplate, "__call__", rendering)


def rss() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def render(rows: Iterable[dict[str, Any]]) -> str:
    """Return a table in Markdown with one line for each corpus and door."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["corpus"], row["door"]), []).append(row)
    lines = [["corpus", "door", *SUMS, *MAXIMA]]
    lines += [[*key, *_cells(groups[key])] for key in sorted(groups)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    sums = [str(sum(row[title] for row in rows)) for title in SUMS]
    return sums + [f"{max(row[title] for row in rows)} {unit}" for title, unit in MAXIMA.items()]
