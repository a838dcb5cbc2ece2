"""Who takes which slot. Every runner works that out alike, from the same rows of the database.

A slot goes to a runner that has every label it asks for; of those to the one with the fewest slots,
and to one whose machine has more to do than processors only if all have.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

PATIENCE = 2.0
"""Seconds that a runner has to take the slot that falls to it; then it falls to the next."""
BUSY = 1.0
"""The load from which on a machine has more to do than it has processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A living runner, as the others see it; see `models.Runner`."""

    id: str
    labels: frozenset[str] = frozenset()
    load: float = 0.0
    draining: bool = False

    def fits(self, runs_on: Iterable[str]) -> bool:
        """Tell whether it has every label."""
        return not self.draining and self.labels.issuperset(runs_on)


class Wanting(Protocol):
    """What is to be placed."""

    @property
    def key(self) -> str: ...

    @property
    def runs_on(self) -> tuple[str, ...]: ...


def choose(runs_on: Iterable[str], peers: Iterable[Peer], counts: Counter[str]) -> str | None:
    """Return the runner that a slot falls to; None when none fits."""
    fitting = [peer for peer in peers if peer.fits(runs_on)]
    if not fitting:
        return None
    return min(fitting, key=lambda peer: (peer.load >= BUSY, counts[peer.id], peer.id)).id


def surplus(
    held: Iterable[Wanting], me: str, peers: Iterable[Peer], counts: Counter[str]
) -> list[str]:
    """Return the keys of the slots that other runners should have: each has two fewer at least, and
    is the one that the slot falls to once it is free, or it would come straight back."""
    known, now = list(peers), Counter(counts)
    going = []
    for slot in held:
        now[me] -= 1
        taker = choose(slot.runs_on, known, now)
        if taker is None or taker == me or now[taker] >= now[me]:
            now[me] += 1
            continue
        now[taker] += 1
        going.append(slot.key)
    return going


class Offers:
    """The slots that nobody has, and to whom each falls."""

    def __init__(self) -> None:
        self._fallen: dict[str, tuple[str, float]] = {}
        self._passed: dict[str, set[str]] = {}

    def mine(
        self, me: str, free: Collection[Wanting], peers: Sequence[Peer], counts: Counter[str]
    ) -> list[str]:
        """Return the keys of the free slots that fall to this runner now."""
        now, taken = Counter(counts), []
        for slot in sorted(free, key=lambda slot: (-len(slot.runs_on), slot.key)):
            taker = self._taker(slot, peers, now)
            if taker is not None:
                now[taker] += 1
            if taker == me:
                taken.append(slot.key)
        keys = {slot.key for slot in free}
        for known in (self._fallen, self._passed):
            for gone in known.keys() - keys:
                del known[gone]  # type: ignore[attr-defined]
        return taken

    def was_passed_on(self, key: str) -> bool:
        """Tell whether a runner has not taken a slot that fell to it."""
        return key in self._passed

    def _taker(self, slot: Wanting, peers: Sequence[Peer], counts: Counter[str]) -> str | None:
        passed = self._passed.get(slot.key, set())
        left = [peer for peer in peers if peer.id not in passed]
        taker = choose(slot.runs_on, left, counts)
        if taker is None:
            self._passed.pop(slot.key, None)  # from the beginning
            return None
        before, since = self._fallen.get(slot.key, ("", 0.0))
        if before != taker:
            self._fallen[slot.key] = (taker, time.monotonic())
        elif time.monotonic() - since > PATIENCE:
            self._passed.setdefault(slot.key, set()).add(taker)
        return taker
