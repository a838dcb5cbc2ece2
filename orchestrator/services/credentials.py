"""Credentials: stored and replaced here, and never given back; nodes get them sealed.

`runtime.credentials` has their way to the process that runs a node.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from orchestrator.exceptions import Conflict, InvalidRequest, NotFound, Problem
from orchestrator.models import Credential
from orchestrator.runtime.credentials import keyring
from orchestrator.security import credentials as kinds
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit, credential_keys, credential_uses

_NAME = re.compile(r"[-a-zA-Z0-9_]{1,64}")
Names = Sequence[str] | None


def list_all(actor: Actor) -> list[dict[str, Any]]:
    """Return every credential by name, without its values."""
    authorize(actor, "credential.list")
    rows = Credential.objects.select_related("created_by").prefetch_related("users", "groups")
    return [describe(row) for row in rows]


def get(actor: Actor, name: str) -> dict[str, Any]:
    """Return a credential without its values.

    Raises:
        NotFound: there is none.
    """
    authorize(actor, "credential.list", name)
    return describe(_find(name))


@transaction.atomic
def create(
    actor: Actor,
    name: str,
    kind: str,
    values: Mapping[str, str],
    *,
    users: Names = None,
    groups: Names = None,
) -> dict[str, Any]:
    """Store a credential.

    Args:
        users, groups: who may use it, beside its maker and admins; None for both means everybody
            whose role suffices.

    Raises:
        InvalidRequest: with every problem, and no value of it.
        Conflict: there is one of this name.
        CredentialsClosed: there are no keys, or not those under which the others are kept.
    """
    authorize(actor, "credential.create", name)
    problems = [] if _NAME.fullmatch(name) else [Problem("name", "use letters, digits, - and _")]
    _refuse([*problems, *kinds.problems(kind, values)])
    credential_keys.check_keys()
    row = Credential(id=uuid.uuid4(), name=name, kind=kind, created_by_id=actor.id)
    _fill(row, values)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"there is a credential {name} already") from None
    _grant(row, users, groups)
    credential_keys.keep_canary()
    made = describe(row)
    audit.record(actor, "credential.create", _place(name), after=_audited(made))
    return made


@transaction.atomic
def replace(
    actor: Actor,
    name: str,
    *,
    values: Mapping[str, str] | None = None,
    grants: Mapping[str, Names] | None = None,
) -> dict[str, Any]:
    """Give a credential other values, or say who may use it; loops that use it start again.

    Args:
        values: all of them; None leaves them as they are.
        grants: `users` and `groups` as for `create`; None leaves both as they are.

    Raises:
        NotFound: there is none.
        NotAllowed: the actor has not made it, and may not manage those of others.
        InvalidRequest: with every problem, and no value of it.
    """
    row = _find_mine(actor, name)
    before = describe(row)
    if values is not None:
        _refuse(kinds.problems(row.kind, values))
        credential_keys.check_keys()
        _fill(row, values)
    if grants is not None:
        _grant(row, grants.get("users"), grants.get("groups"))
    row.revision += 1
    row.save()
    after = describe(row)
    changed = _audited(after) | ({} if values is None else {"values_replaced": True})
    audit.record(actor, "credential.replace", _place(name), before=_audited(before), after=changed)
    return after


@transaction.atomic
def delete(actor: Actor, name: str) -> None:
    """Remove a credential.

    Raises:
        NotFound: there is none.
        NotAllowed: as `replace`.
        Conflict: a workflow that is to run uses it.
    """
    row = _find_mine(actor, name)
    if using := credential_uses.running_with(name):
        raise Conflict(f"{name} is used by what runs: {', '.join(using)}")
    audit.record(actor, "credential.delete", _place(name), before=_audited(describe(row)))
    row.delete()


def describe(row: Credential) -> dict[str, Any]:
    """Return what may be told of a credential."""
    users = sorted(user.get_username() for user in row.users.all())
    groups = sorted(group.name for group in row.groups.all())
    return {
        "name": row.name,
        "kind": row.kind,
        "fingerprint": row.fingerprint,
        "users": users if row.restricted else None,
        "groups": groups if row.restricted else None,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _place(name: str) -> str:
    return f"credential:{name}"


def _audited(described: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "kind", "fingerprint", "users", "groups")
    return {name: described[name] for name in names}


# Rows


def _find(name: str, *, lock: bool = False) -> Credential:
    rows = Credential.objects.select_for_update() if lock else Credential.objects.all()
    row = rows.filter(name=name).first()
    if row is None:
        raise NotFound(f"there is no credential {name}")
    return row


def _find_mine(actor: Actor, name: str) -> Credential:
    authorize(actor, "credential.create", name)
    row = _find(name, lock=True)
    if actor.id is None or actor.id != row.created_by_id:
        authorize(actor, "credential.manage", name)
    return row


def _refuse(problems: Iterable[Problem]) -> None:
    found = tuple(problems)
    if found:
        text = "; ".join(f"{problem.path}: {problem.message}" for problem in found)
        raise InvalidRequest(text, problems=found)


def _fill(row: Credential, values: Mapping[str, str]) -> None:
    given = {name: value for name, value in values.items() if value}
    row.sealed = keyring().seal(str(row.pk), given)
    row.fingerprint = kinds.fingerprint(row.kind, given)


def _grant(row: Credential, users: Names, groups: Names) -> None:
    row.restricted = users is not None or groups is not None
    row.users.set(_by_name("users", get_user_model().objects, "username", users))
    row.groups.set(_by_name("groups", Group.objects, "name", groups))
    row.save(update_fields=["restricted"])


def _by_name(what: str, rows: Any, field: str, names: Names) -> list[Any]:
    found = {getattr(row, field): row for row in rows.filter(**{f"{field}__in": names or ()})}
    _refuse(
        Problem(f"{what}[{place}]", f"there is no {what[:-1]} {name}")
        for place, name in enumerate(names or ())
        if name not in found
    )
    return list(found.values())
