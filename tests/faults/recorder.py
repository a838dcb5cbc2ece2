"""Recorder: what nodes did, seen from outside; see `tests.nodes.recording`."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


class Execution(NamedTuple):
    """`at` is a time of the monotonic clock, which all processes of a machine share."""

    at: float
    node: str
    item: str
    pid: int


class Recorder:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "executions.jsonl"
        self._read = 0
        self._seen: list[Execution] = []

    def executions(self, node: str | None = None) -> list[Execution]:
        """Return the executions so far, of one node or of all, in the order they were written."""
        if self._path.exists():
            with self._path.open("rb") as log:
                log.seek(self._read)
                whole = log.read().rpartition(b"\n")[0]
            self._read += len(whole) + bool(whole)
            self._seen += [Execution(*json.loads(line)) for line in whole.splitlines()]
        return [x for x in self._seen if node is None or x.node == node]

    def count(self, node: str | None = None) -> int:
        return len(self.executions(node))

    def repeated(self, nodes: Iterable[str]) -> int:
        """Return how many executions were not the first of their item at their node."""
        done = [(x.node, x.item) for node in nodes for x in self.executions(node)]
        return len(done) - len(set(done))

    def times(self, node: str) -> Counter[str]:
        """Return how often a node executed each item."""
        return Counter(x.item for x in self.executions(node))

    def silence(self, nodes: Iterable[str], faults: Iterable[float]) -> float | None:
        """Return the longest time, from a fault on, for which a node that went on was silent."""
        pauses = [
            later - max(earlier, fault)
            for node in nodes
            for fault in faults
            for earlier, later in pairwise([fault, *(x.at for x in self.executions(node))])
            if later > fault
        ]
        return max(pauses, default=None)
