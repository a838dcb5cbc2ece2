"""Users and their tokens."""

from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from orchestrator.exceptions import Conflict, InvalidRequest, NotFound
from orchestrator.models import ApiToken
from orchestrator.security.actors import ROLE_NAMES, Actor, actions_in, authorize
from orchestrator.security.tokens import digest_of, new_token
from orchestrator.services import audit

LAST_USED_EVERY = timedelta(minutes=1)


@transaction.atomic
def create_token(
    actor: Actor,
    username: str,
    *,
    name: str = "token",
    days: int | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """Make a token for a user and return its text, which is shown this once.

    Args:
        scopes: all that may be used of the user's rights, see `actors.actions_in`; None for all.

    Raises:
        NotFound: there is no such user.
        InvalidRequest: there is no such scope, or the list is empty.
    """
    authorize(actor, "token.manage")
    if scopes is not None and not actions_in(scopes):
        raise InvalidRequest("a token without a scope may do nothing")
    token = new_token()
    made = ApiToken.objects.create(
        user=_user(username),
        name=name,
        prefix=token.prefix,
        digest=token.digest,
        scopes=None if scopes is None else list(scopes),
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )
    audit.record(actor, "token.manage", f"user:{username}", after=describe_token(made))
    return token.raw


def describe_token(token: ApiToken) -> dict[str, Any]:
    """Return what the audit log tells of a token."""
    return {
        "name": token.name,
        "prefix": token.prefix,
        "scopes": token.scopes,
        "expires_at": token.expires_at,
    }


def token_of(raw: str) -> ApiToken | None:
    """Return a token that holds at this moment, or None. That it was used is written down."""
    return _held(ApiToken.objects.filter(digest=digest_of(raw)))


def token_by_id(pk: int) -> ApiToken | None:
    """Return a token that was looked up before, if it still holds."""
    return _held(ApiToken.objects.filter(pk=pk))


def _held(rows: QuerySet[ApiToken]) -> ApiToken | None:
    """That it was used is written once a minute, not once a request."""
    now = timezone.now()
    token = rows.select_related("user").first()
    if token is None or not token.user.is_active:
        return None
    if token.expires_at is not None and token.expires_at <= now:
        return None
    seen_lately = token.last_used_at is not None and token.last_used_at > now - LAST_USED_EVERY
    if not seen_lately:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def user_of_token(raw: str) -> Any | None:
    """Return the active user that a token stands for, or None."""
    token = token_of(raw)
    return None if token is None else token.user


def user_of_session(session_key: str) -> Any | None:
    """Return the active user who is logged in with a session, or None. Reads the store anew."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]
    return user if user.is_authenticated and user.is_active else None


@transaction.atomic
def create_user(
    actor: Actor, username: str, password: str, *, role: str = "viewer", superuser: bool = False
) -> None:
    """Make a user with a role; a superuser may also enter the admin.

    Raises:
        Conflict: the name is taken.
        InvalidRequest: there is no such role.
    """
    authorize(actor, "user.manage")
    users = get_user_model().objects
    if role not in ROLE_NAMES:
        raise InvalidRequest(f"no role {role}: use one of {', '.join(ROLE_NAMES)}")
    if users.filter(username=username).exists():
        raise Conflict(f"there is a user {username} already")
    told = {"role": None if superuser else role, "superuser": superuser}
    audit.record(actor, "user.manage", f"user:{username}", after=told)
    if superuser:
        users.create_superuser(username=username, password=password)
        return
    user = users.create_user(username=username, password=password)
    user.groups.add(Group.objects.get_or_create(name=role)[0])


def _user(username: str) -> Any:
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"there is no user {username}")
    return user
