"""How fast each workflow was in the last minutes, as far as this process has heard of it."""

import time
from collections import deque
from typing import Any

EVERY = 2.0
LENGTH = 90
"""Rates of a workflow that are kept: three minutes."""
MAX_WORKFLOWS = 1000
MAX_PLACES = 10_000
Rate = float | None


class RateHistory:
    """Counts iterations from `node_stats`; `tick` turns them into a rate for each workflow.

    A rate is None where nothing was heard because Redis was away.
    """

    def __init__(self) -> None:
        self._totals: dict[tuple[str, Any, Any], int] = {}
        self._counted: dict[str, int] = {}
        self._rates: dict[str, deque[Rate]] = {}
        self._since = time.monotonic()
        self._away = self._gap = False

    def take(self, workflow: str, event: dict[str, Any]) -> None:
        """Take an event of a workflow."""
        total = event.get("iterations")
        if event.get("type") != "node_stats" or not isinstance(total, int):
            return
        place = (workflow, event.get("loop"), event.get("slot"))
        if len(self._totals) > MAX_PLACES:
            self._totals.clear()
        before = self._totals.get(place, total)  # what was there before is of an unknown time
        self._totals[place] = total
        # Counters begin at zero when a loop is started again.
        done = total - before if total >= before else total
        self._counted[workflow] = self._counted.get(workflow, 0) + done

    def interrupt(self) -> None:
        """Note that events may be missing from now on."""
        self._away = self._gap = True
        self._totals.clear()
        self._counted.clear()

    def resume(self) -> None:
        """Note that events are heard again."""
        self._away = False

    def tick(self, now: float | None = None) -> None:
        """Add what was counted since the last tick to the history of each workflow."""
        now = time.monotonic() if now is None else now
        seconds = max(now - self._since, 1e-3)
        counted, self._counted, self._since = self._counted, {}, now
        heard, self._gap = not self._gap, self._away
        for workflow in [*self._rates, *(w for w in counted if w not in self._rates)]:
            rates = self._rates.setdefault(workflow, deque(maxlen=LENGTH))
            rates.append(_rounded(counted.get(workflow, 0) / seconds) if heard else None)
        for workflow in [w for w, rates in self._rates.items() if not any(rates)]:
            del self._rates[workflow]
        while len(self._rates) > MAX_WORKFLOWS:
            del self._rates[next(iter(self._rates))]

    def last(self) -> dict[str, Rate]:
        """Return the newest rate of each workflow that did anything in these minutes."""
        return {workflow: rates[-1] for workflow, rates in self._rates.items()}

    def all(self) -> dict[str, list[Rate]]:
        """Return the rates of each, oldest first."""
        return {workflow: list(rates) for workflow, rates in self._rates.items()}


def _rounded(rate: float) -> float:
    return round(rate) if rate >= 100 else round(rate, 2)
