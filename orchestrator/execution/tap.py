"""Tap: the last few items that a node got and gave, kept while its loop runs.

The walk only keeps references, and looks at the clock that it has in hand anyway; what becomes of
them is somebody else's business, who may come when there is time.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

SIZE = 5
EVERY = 0.5


@dataclass(slots=True, kw_only=True, eq=False)
class Sample:
    """One call of a node. `number` counts the samples of its tap.

    item, output: what the node got and gave, which may be anything that a node can return; item is
        None where nothing is handed in, output where it passed nothing on.
    port: of a conditional node. seconds: None where the call was not measured.
    error: the type of what it raised.
    body: the sample as JSON, for whoever has made that; then `item` and `output` are let go.
    """

    number: int
    at: float
    item: Any
    output: Any = None
    port: str | None = None
    seconds: float | None = None
    error: str | None = None
    body: bytes | None = None


class Tap:
    """The samples of one node: of its answers at most one in EVERY seconds, and as many of what
    is rare, so that the common does not hide it.

    The caller compares `due` with its reading of `perf_counter`: nearly always it is not.
    """

    __slots__ = ("_rare_due", "due", "samples", "taken")

    def __init__(self) -> None:
        self.due = 0.0
        self.taken = 0
        self.samples: deque[Sample] = deque(maxlen=SIZE)
        self._rare_due = 0.0

    def take(
        self,
        now: float,
        item: Any,
        output: Any,
        *,
        port: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Keep a call that has given an answer."""
        self.due = now + EVERY
        self._keep(item, output=output, port=port, seconds=seconds)

    def take_rare(
        self, now: float, item: Any, *, output: Any = None, error: str | None = None
    ) -> None:
        """Keep a call that has raised, or what a flush gave, if it is time."""
        if now >= self._rare_due:
            self._rare_due = now + EVERY
            self._keep(item, output=output, error=error)

    def _keep(self, item: Any, **found: Any) -> None:
        self.taken += 1
        self.samples.append(Sample(number=self.taken, at=time.time(), item=item, **found))
