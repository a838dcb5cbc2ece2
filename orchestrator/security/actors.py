"""Who acts, and what each role may do."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestrator.exceptions import NotAllowed


class Role(enum.IntEnum):
    """Each role may do what the ones before it may. A Django group of its name gives it."""

    VIEWER = 1
    OPERATOR = 2
    EDITOR = 3
    ADMIN = 4


ROLE_NAMES = tuple(role.name.lower() for role in Role)

ACTIONS: Mapping[str, Role] = MappingProxyType(
    {
        "workflow.list": Role.VIEWER,
        "workflow.read": Role.VIEWER,
        "workflow.create": Role.EDITOR,
        "workflow.save": Role.EDITOR,
        "workflow.delete": Role.EDITOR,
        "production.status": Role.VIEWER,
        "production.start": Role.OPERATOR,
        "production.stop": Role.OPERATOR,
        "production.pause": Role.OPERATOR,
        "production.resume": Role.OPERATOR,
        "production.drain": Role.OPERATOR,
        "node.list": Role.VIEWER,
        "queue.read": Role.VIEWER,
        "queue.purge": Role.OPERATOR,
        "dead_letter.read": Role.VIEWER,
        "dead_letter.edit": Role.OPERATOR,
        "dead_letter.replay": Role.OPERATOR,
        "dead_letter.discard": Role.OPERATOR,
        "template.advanced": Role.ADMIN,
        "tap.read": Role.VIEWER,
        "bench.execute": Role.EDITOR,
        "bench.read": Role.VIEWER,
        "bench.write": Role.EDITOR,
        "bench.write_out": Role.EDITOR,
        "graph.list": Role.VIEWER,
        "graph.read": Role.VIEWER,
        "graph.create": Role.EDITOR,
        "graph.delete": Role.EDITOR,
        "run.read": Role.VIEWER,
        "run.start": Role.OPERATOR,
        "run.cancel": Role.OPERATOR,
        "run.resume": Role.OPERATOR,
        "run.retry": Role.OPERATOR,
        "run.fork": Role.OPERATOR,
        "run.delete": Role.EDITOR,
        "tool.list": Role.VIEWER,
        "tool.call": Role.EDITOR,
        "health.read": Role.VIEWER,
        "token.manage": Role.ADMIN,
        "user.manage": Role.ADMIN,
    }
)
"""The least role that each action needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """On whose behalf a service works. `id` is the user's primary key, None for the system."""

    id: int | None
    name: str
    roles: frozenset[Role] = field(default_factory=frozenset)

    @property
    def role(self) -> Role | None:
        """The highest role, or None."""
        return max(self.roles, default=None)


SYSTEM = Actor(id=None, name="system", roles=frozenset({Role.ADMIN}))
"""Whoever may run management commands on the machine."""


def actor_of(user: Any) -> Actor:
    """Return the actor of a Django user; one that is absent or inactive has no roles."""
    if user is None or not user.is_authenticated:
        return Actor(id=None, name="anonymous")
    return Actor(id=user.pk, name=user.get_username(), roles=_roles(user))


def _roles(user: Any) -> frozenset[Role]:
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset({Role.ADMIN})
    names = user.groups.values_list("name", flat=True)
    return frozenset(Role[name.upper()] for name in names if name in ROLE_NAMES)


def authorize(actor: Actor, action: str, object: Any = None) -> None:
    """Let the action pass, or raise.

    Roles hold for every object alike (there is one tenant); `object` is named so that a rule per
    object can be added here and nowhere else.

    Raises:
        NotAllowed: the actor's roles do not suffice.
        KeyError: the action is not in ACTIONS, which is a mistake of ours.
    """
    needed = ACTIONS[action]
    if (actor.role or 0) < needed:
        name = needed.name.lower()
        raise NotAllowed(f"{action} needs the role {name}, which {actor.name} does not have")
