"""Depth-first search without recursion, for graphs of any size."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Cycle:
    """An edge that closes a cycle. `path` is the way from its target to its source, of which at
    most SHOWN vertices are kept."""

    source: str
    target: str
    path: tuple[str, ...]


@dataclass(slots=True)
class Search:
    """finished: every vertex after what it leads to, but for the edges that close cycles."""

    finished: list[str] = field(default_factory=list)
    cycles: list[Cycle] = field(default_factory=list)


def depth_first(roots: Iterable[str], targets: Callable[[str], Iterable[str]]) -> Search:
    """Visit everything that the roots lead to, in the order given."""
    search = Search()
    places: dict[str, int] = {}
    way: list[str] = []
    ahead: list[Iterator[str]] = []

    def enter(vertex: str) -> None:
        places[vertex] = len(way)
        way.append(vertex)
        ahead.append(iter(targets(vertex)))

    for root in roots:
        if root not in places:
            enter(root)
        while way:
            target = next(ahead[-1], None)
            if target is None:
                ahead.pop()
                places[way[-1]] = -1
                search.finished.append(way.pop())
            elif target not in places:
                enter(target)
            elif (place := places[target]) >= 0:
                search.cycles.append(Cycle(way[-1], target, tuple(way[place : place + SHOWN])))
    return search


def closing_edges(
    roots: Iterable[str], targets: Callable[[str], Iterable[str]]
) -> set[tuple[str, str]]:
    """Return source and target of the edges that close a cycle, seen from the roots."""
    return {(cycle.source, cycle.target) for cycle in depth_first(roots, targets).cycles}


def topological(
    roots: Sequence[str],
    targets: Callable[[str], Sequence[str]],
    without: Container[tuple[str, str]],
) -> list[str]:
    """Return what the roots lead to, each before its targets, siblings in the order given.

    `without` are the edges to leave out so that there is no cycle.
    """

    def last_first(vertex: str) -> list[str]:
        return [t for t in reversed(targets(vertex)) if (vertex, t) not in without]

    return depth_first(reversed(roots), last_first).finished[::-1]


def reachable(roots: Iterable[str], targets: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the roots and everything they lead to."""
    found = set(roots)
    ahead = list(found)
    while ahead:
        new = [t for t in targets(ahead.pop()) if t not in found]
        found.update(new)
        ahead += new
    return found


def components(
    vertices: Iterable[str], targets: Callable[[str], Iterable[str]]
) -> list[tuple[str, ...]]:
    """Return the groups of vertices that lead to each other, each group after those that lead to
    it; a vertex on no cycle is a group of its own."""
    order = depth_first(vertices, targets).finished[::-1]
    sources: dict[str, list[str]] = {vertex: [] for vertex in order}
    for vertex in order:
        for target in targets(vertex):
            sources[target].append(vertex)
    placed: set[str] = set()
    groups: list[tuple[str, ...]] = []
    for root in order:
        if root not in placed:
            ahead = lambda vertex: (s for s in sources[vertex] if s not in placed)  # noqa: E731
            group = tuple(depth_first([root], ahead).finished)
            placed.update(group)
            groups.append(group)
    return groups
