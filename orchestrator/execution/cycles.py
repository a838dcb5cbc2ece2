"""Which steps of a plan go round together, and in which order such groups follow each other."""

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.flow.search import depth_first


def group_cycles(targets: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return a number for each vertex: the same for all vertices of a cycle, and a smaller one
    for what leads to them (Kosaraju's algorithm: strongly connected components in order)."""
    sources: dict[str, list[str]] = {vertex: [] for vertex in targets}
    for vertex, found in targets.items():
        for target in found:
            sources[target].append(vertex)
    groups: dict[str, int] = {}
    for number, root in enumerate(reversed(depth_first(targets, targets.__getitem__).finished)):
        if root not in groups:
            _claim(root, number, sources, groups)
    return groups


def _claim(
    root: str, number: int, sources: Mapping[str, Iterable[str]], groups: dict[str, int]
) -> None:
    groups[root] = number
    ahead = [root]
    while ahead:
        for source in sources[ahead.pop()]:
            if source not in groups:
                groups[source] = number
                ahead.append(source)
