"""How the states of a run's branches become one again."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records import MISSING

State = Mapping[str, Any]


def merge_changes(base: State, branches: Sequence[State]) -> dict[str, Any]:
    """Return `base` with what each branch changed in it, in the order of the branches.

    Branches that give a key the same value give it once. Another value for a key that a branch
    before has changed goes to `key_2`, the next to `key_3`. A key that a branch removed is gone,
    unless another changed it.
    """
    merged = dict(base)
    changed: dict[str, list[Any]] = {}
    for branch in branches:
        for key, value in branch.items():
            if _same(base.get(key, MISSING), value):
                continue
            values = changed.setdefault(key, [])
            if any(_same(other, value) for other in values):
                continue
            name, number = key, len(values) + 1
            while number > 1 and (name := f"{key}_{number}") in merged:
                number += 1
            values.append(value)
            merged[name] = value
    for key in base:
        if key not in changed and any(key not in branch for branch in branches):
            del merged[key]
    return merged


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # values of a plain script may be anything; arrays compare to arrays
        return False
