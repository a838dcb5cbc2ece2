"""How old what is on its way through a workflow can be, told from the ages of queues alone.

An item was handed over by its producer at some moment, and travels from queue to queue since. What
is in a queue was put there no earlier than the queue's oldest entry; just before that, it was in
the hands of the loops upstream, or of nobody yet. So the *floor* that those loops had at the last
look before bounds it, whatever order items are in: behind retries, several writers, or replicas.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.flow.loops import Loop
from storage.records import inbox

_LOOKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look at the store has found. Times are in seconds since the epoch.

    at: a moment before the first question was asked.
    heads: when the oldest entry of a queue, or of an inbox, was put; None for an empty one.
    late: the loops that have items which wait to be tried again.
    dead_since: when the oldest dead letter in the outbox died; None for an empty one.
    """

    at: float
    heads: Mapping[str, float | None]
    late: frozenset[str] = frozenset()
    dead_since: float | None = None


@dataclass(slots=True)
class _Look:
    at: float
    floors: dict[str, float]


@dataclass(slots=True)
class Watermarks:
    """The floors of one activation, look by look.

    oldest: a moment before which nothing was handed over that is still on its way. To begin with,
        the one that was known last; 0 if none was.
    margin: seconds by which clocks may differ.
    """

    oldest: float = 0.0
    margin: float = 5.0
    _looks: list[_Look] = field(default_factory=list)
    _late: dict[str, float] = field(default_factory=dict)

    def look(self, sight: Sight, loops: Mapping[str, Loop]) -> float:
        """Take what was seen, and return the new `oldest`."""
        known = loops.values()
        writers = {
            queue: [loop.id for loop in known if queue in loop.writes] for queue in sight.heads
        }
        floors = {loop.id: self._floor(loop, sight, writers) for loop in known}
        read = {name for loop in known for name in (loop.reads, inbox(loop.id))}
        unread = [
            self._before(sight.heads[q], writers[q], sight) for q in sight.heads.keys() - read
        ]
        dead = self._before(sight.dead_since, loops, sight)
        self.oldest = min([sight.at, dead, *floors.values(), *unread])
        feeds = {loop.id: writers.get(loop.reads or "", []) for loop in known}
        self._keep(sight.at, {name: min(floors[x] for x in _up(name, feeds)) for name in floors})
        return self.oldest

    def _floor(self, loop: Loop, sight: Sight, writers: Mapping[str, Iterable[str]]) -> float:
        """Return the floor of what the loop itself has in hand, or can take."""
        box = self._before(sight.heads.get(inbox(loop.id)), [loop.id], sight)
        own = sight.at
        if loop.reads is not None:
            own = self._before(sight.heads.get(loop.reads), writers.get(loop.reads, ()), sight)
        return min(own, box, self._waiting(loop.id, sight))

    def _waiting(self, loop: str, sight: Sight) -> float:
        """Return the floor of what waits to be tried again: how long it has is not known, so it is
        that of the last look before there was any."""
        if loop not in sight.late:
            self._late.pop(loop, None)
            return sight.at
        known = self._looks[-1].floors.get(loop, self.oldest) if self._looks else self.oldest
        return self._late.setdefault(loop, known)

    def _before(self, put: float | None, loops: Iterable[str], sight: Sight) -> float:
        """Return the floor of what these loops have let go since a moment."""
        if put is None:
            return sight.at
        for look in reversed(self._looks):
            if look.at <= put - self.margin:
                return min((look.floors.get(x, self.oldest) for x in loops), default=self.oldest)
        return self.oldest

    def _keep(self, at: float, floors: dict[str, float]) -> None:
        self._looks.append(_Look(at, floors))
        if len(self._looks) > _LOOKS:  # coarser where it is long ago
            del self._looks[1 : _LOOKS // 2 : 2]


def _up(name: str, feeds: Mapping[str, Iterable[str]]) -> set[str]:
    """Return a loop and all that are upstream of it."""
    found: set[str] = set()
    rest = [name]
    while rest:
        loop = rest.pop()
        if loop not in found:
            found.add(loop)
            rest += feeds.get(loop, ())
    return found
