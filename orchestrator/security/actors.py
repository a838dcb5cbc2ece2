"""Who acts, and what each may do.

`authorize` asks for a right to one action. A user has rights as Django permissions, one for each
action, through groups; four groups, the roles, come with the rights that ACTIONS says.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestrator.exceptions import InvalidRequest, NotAllowed


class Role(enum.IntEnum):
    """Each role may do what the ones before it may. It is a Django group of this name."""

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
        "runner.drain": Role.OPERATOR,
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
        "metrics.read": Role.VIEWER,
        "credential.list": Role.EDITOR,
        "credential.create": Role.EDITOR,
        "credential.use": Role.EDITOR,
        "credential.manage": Role.ADMIN,
        "token.manage": Role.ADMIN,
        "user.manage": Role.ADMIN,
        "audit.read": Role.ADMIN,
    }
)
"""Every action, with the least role that may do it as things are delivered."""

APP = "orchestrator"
"""The Django app whose permissions are rights to actions."""


def actions_of(role: Role) -> frozenset[str]:
    """Return what a role may do as things are delivered."""
    return frozenset(action for action, least in ACTIONS.items() if role >= least)


def actions_in(scopes: Iterable[str]) -> frozenset[str]:
    """Return the actions that scopes name: one, or a role for all that it may, or `queue.*`.

    Raises:
        InvalidRequest: there is no such scope.
    """
    found: set[str] = set()
    for scope in scopes:
        if scope in ROLE_NAMES:
            named = actions_of(Role[scope.upper()])
        elif scope.endswith(".*"):
            named = frozenset(action for action in ACTIONS if action.startswith(scope[:-1]))
        else:
            named = frozenset({scope} & set(ACTIONS))
        if not named:
            raise InvalidRequest(f"there is no scope {scope!r}")
        found |= named
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """From where somebody acts: the address, the program, and by which token (its prefix)."""

    address: str = ""
    agent: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """On whose behalf a service works.

    Args:
        id: the user's primary key, None for the system.
        roles: the groups of the user that are roles.
        rights: the actions that are allowed; None for what the roles may as they are delivered.
    """

    id: int | None
    name: str
    roles: frozenset[Role] = field(default_factory=frozenset)
    rights: frozenset[str] | None = None
    origin: Origin = field(default_factory=Origin)

    @property
    def role(self) -> Role | None:
        """The highest role, or None."""
        return max(self.roles, default=None)

    def may(self, action: str) -> bool:
        """Tell whether there is a right to an action.

        Raises:
            KeyError: the action is not in ACTIONS, which is a mistake of ours.
        """
        least = ACTIONS[action]
        return (self.role or 0) >= least if self.rights is None else action in self.rights


SYSTEM = Actor(id=None, name="system", roles=frozenset({Role.ADMIN}))
"""Whoever may run management commands on the machine."""


def actor_of(
    user: Any, *, scopes: Iterable[str] | None = None, origin: Origin | None = None
) -> Actor:
    """Return the actor of a Django user; one that is absent or inactive may do nothing.

    Args:
        scopes: all that may be used of the user's rights; None for every right.
    """
    origin = origin or Origin()
    if user is None or not user.is_authenticated:
        return Actor(id=None, name="anonymous", rights=frozenset(), origin=origin)
    roles, rights = _rights(user)
    if scopes is not None:
        rights &= actions_in(scopes)
        roles = frozenset(role for role in roles if actions_of(role) <= rights)
    return Actor(id=user.pk, name=user.get_username(), roles=roles, rights=rights, origin=origin)


def actor_of_request(request: Any) -> Actor:
    """Return the actor of a request of Django or REST framework, whose user is known by now.

    What a token may is with it, in `request.auth`.
    """
    token = getattr(request, "auth", None)
    origin = origin_of(request.META, token=token.prefix if token else "")
    return actor_of(request.user, scopes=token.scopes if token else None, origin=origin)


def origin_of(meta: Mapping[str, Any], *, token: str = "") -> Origin:
    """Return from where a request comes; what a client chooses of it is cut to its place."""
    return Origin(
        address=str(meta.get("REMOTE_ADDR") or "")[:64],
        agent=str(meta.get("HTTP_USER_AGENT") or "").replace("\0", "")[:200],
        token=token,
    )


def _rights(user: Any) -> tuple[frozenset[Role], frozenset[str]]:
    """Return the roles and the rights of a user, in one query."""
    if not user.is_active:
        return frozenset(), frozenset()
    if user.is_superuser:
        return frozenset({Role.ADMIN}), frozenset(ACTIONS)
    ours = {"permission__content_type__app_label": APP}
    by_group = user.groups.model.permissions.through.objects
    own = user.user_permissions.through.objects
    rows = by_group.filter(group__user=user.pk, **ours).values_list(
        "permission__codename", "group__name"
    )
    mine = own.filter(user_id=user.pk, **ours).values_list("permission__codename", "user_id")
    found = [*rows, *mine]
    rights = frozenset(codename for codename, _ in found if codename in ACTIONS)
    names = {group for _, group in found if group in ROLE_NAMES}
    return frozenset(Role[name.upper()] for name in names), rights


def authorize(actor: Actor, action: str, object: Any = None) -> None:
    """Let the action pass, or raise.

    Rights hold for every object alike (there is one tenant); `object` is named so that a rule per
    object can be added here and nowhere else.

    Raises:
        NotAllowed: the actor has no right to it.
        KeyError: the action is not in ACTIONS, which is a mistake of ours.
    """
    if not actor.may(action):
        least = ACTIONS[action].name.lower()
        raise NotAllowed(
            f"{action} needs the role {least}, or this right, which {actor.name} does not have"
        )
