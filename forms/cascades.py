"""Which fields depend on which, and their choices."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

Dependencies = Mapping[str, Sequence[str]]
Choices = list[tuple[Any, Any]]


def ordered(dependencies: Dependencies) -> list[str]:
    """Return the dependent fields, each after those it depends on.

    Raises:
        graphlib.CycleError: fields depend on each other in a circle.
    """
    order = TopologicalSorter(dependencies).static_order()
    return [name for name in order if name in dependencies]


def descendants(dependencies: Dependencies, roots: Iterable[str]) -> list[str]:
    """Return the fields that depend on one of the roots, directly or not, parents first."""
    reached = set(roots)
    found = []
    for name in ordered(dependencies):
        if reached.intersection(dependencies[name]):
            reached.add(name)
            found.append(name)
    return found


def pairs(choices: Iterable[Any] | None) -> Choices:
    """Return choices as (value, label) pairs; a bare value is its own label."""
    return [
        (choice[0], choice[1]) if isinstance(choice, list | tuple) else (choice, choice)
        for choice in choices or ()
    ]
