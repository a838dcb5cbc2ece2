"""Which loops have to go on while a workflow is drained."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from orchestrator.flow.loops import Loop
from orchestrator.flow.search import components


@dataclass(frozen=True, slots=True, kw_only=True)
class Basin:
    """Loops that drain together: one that a queue feeds, or several that feed each other.

    feeders: the loops outside that write a queue of theirs.
    """

    loops: tuple[str, ...]
    queues: tuple[str, ...]
    feeders: frozenset[str]


def basins(loops: Iterable[Loop]) -> list[Basin]:
    """Return the basins of a workflow, each after those that feed it. Loops that no queue feeds
    are in none: they end as soon as they are asked to."""
    by_id = {loop.id: loop for loop in loops}
    readers: dict[str, list[str]] = {}
    writers: dict[str, list[str]] = {}
    for loop in by_id.values():
        if loop.reads is not None:
            readers.setdefault(loop.reads, []).append(loop.id)
        for queue in loop.writes:
            writers.setdefault(queue, []).append(loop.id)

    def targets(loop_id: str) -> list[str]:
        return [reader for queue in by_id[loop_id].writes for reader in readers.get(queue, ())]

    found = []
    for group in components(by_id, targets):
        queues = dict.fromkeys(q for loop_id in group if (q := by_id[loop_id].reads) is not None)
        if queues:
            feeders = {writer for queue in queues for writer in writers.get(queue, ())}
            outside = frozenset(feeders.difference(group))
            found.append(Basin(loops=group, queues=tuple(queues), feeders=outside))
    return found


def is_fed(basin: Basin, at_rest: Collection[str]) -> bool:
    """Tell whether something may still come into a basin from outside."""
    return not basin.feeders <= set(at_rest)
