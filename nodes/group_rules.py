"""What a group's settings must be, whoever writes them: pure functions on plain values."""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.exceptions import Problem

POLICIES = ("strict", "best_effort", "at_least_n", "critical")
EXECUTORS = ("inline", "thread", "process", "distributed")
OPTIONS = ("policy", "n", "critical", "timeout", "member_timeout", "executor")
MAX_DEPTH = 8
"""How deep groups of tools may be in groups."""

_TOOL = ("name", "tool", "arguments")
_GROUP = ("name", "members", *OPTIONS)


def errors_key(group: str) -> str:
    """Return the key of the state that says what members of a group failed with."""
    return f"{group}_errors"


def group_problems(
    group: str,
    names: Sequence[Any],
    *,
    policy: Any = "strict",
    n: Any = None,
    critical: Any = (),
    timeout: Any = None,
    member_timeout: Any = None,
    executor: Any = "inline",
) -> Iterator[Problem]:
    """Yield what is wrong with a group of members of these names; paths are the arguments."""
    if not names:
        yield Problem("members", "a group needs a member")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            yield Problem(f"members[{index}].name", f"{name!r} is no name for a member")
        elif name in names[:index]:
            yield Problem(f"members[{index}].name", f"{name!r} is the name of a member before")
        elif name == errors_key(group):
            yield Problem(f"members[{index}].name", f"{name!r} is where the errors are noted")
    yield from _policy_problems(policy, names, n, critical)
    for key, seconds in (("timeout", timeout), ("member_timeout", member_timeout)):
        if seconds is not None and not _is_time(seconds):
            yield Problem(key, f"takes seconds, and not {seconds!r}")
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            yield Problem("executor", f"{executor!r} is none of {', '.join(EXECUTORS)}")
    elif not callable(getattr(executor, "run", None)):
        yield Problem("executor", f"{executor!r} is no executor")


def _policy_problems(policy: Any, names: Sequence[Any], n: Any, critical: Any) -> Iterator[Problem]:
    if inspect.iscoroutinefunction(policy):
        yield Problem("policy", "a policy of one's own is a plain function")
    elif not callable(policy) and policy not in POLICIES:
        yield Problem("policy", f"{policy!r} is none of {', '.join(POLICIES)}")
    if policy == "at_least_n":
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= len(names):
            yield Problem("n", f"takes a number from 1 to {len(names)}, and not {n!r}")
    elif n is not None:
        yield Problem("n", "is only for the policy at_least_n")
    if policy == "critical":
        if not isinstance(critical, list | tuple | set | frozenset) or not critical:
            yield Problem("critical", "takes the names of the members that must succeed")
        else:
            for name in critical:
                if name not in names:
                    yield Problem("critical", f"there is no member {name!r}")
    elif critical:
        yield Problem("critical", "is only for the policy critical")


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value < math.inf


def settings_problems(
    group: str, settings: Mapping[str, Any], *, depth: int = 1
) -> Iterator[Problem]:
    """Yield what is wrong with the JSON form of a group of tools."""
    members = settings.get("members")
    if not isinstance(members, list | tuple):
        yield Problem("members", "takes a list of members")
        return
    odd = [index for index, member in enumerate(members) if not isinstance(member, Mapping)]
    if odd:
        yield from (Problem(f"members[{index}]", "a member is an object") for index in odd)
        return
    names = [member.get("name") for member in members]
    given = {key: value for key in OPTIONS if (value := settings.get(key)) is not None}
    yield from group_problems(group, names, **given)
    for index, member in enumerate(members):
        for problem in _member_problems(member, depth):
            yield Problem(f"members[{index}]{problem.path}", problem.message)


def _member_problems(member: Mapping[str, Any], depth: int) -> Iterator[Problem]:
    is_group = "members" in member
    known = _GROUP if is_group else _TOOL
    for key in member:
        if key not in known:
            yield Problem(f".{key}", f"there is no such key, only {', '.join(known)}")
    if is_group and depth >= MAX_DEPTH:
        yield Problem(".members", f"groups are at most {MAX_DEPTH} deep")
    elif is_group:
        for problem in settings_problems(str(member.get("name")), member, depth=depth + 1):
            yield Problem(f".{problem.path}", problem.message)
    else:
        if not isinstance(member.get("tool"), str) or not member["tool"]:
            yield Problem(".tool", "takes the name of a tool")
        if not isinstance(member.get("arguments"), Mapping | None):
            yield Problem(".arguments", "takes an object of named values")
