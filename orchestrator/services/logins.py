"""Logins with a password: counted, limited, and written down.

A try is counted before the password is looked at and taken back when it was right, so that a
hundred at once are a hundred. Whoever is over a limit gets the answer of a wrong password, whatever
was sent, for a name that is there as for one that is not.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orchestrator.models import LoginCount
from orchestrator.security.actors import Actor, origin_of
from orchestrator.services import audit

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_ADDRESS = 50
_BITS = {4: 32, 6: 64}
"""How much of an address tells one network from another: whoever has an IPv6 address has 2**64."""


class LimitedBackend(ModelBackend):
    """Django's own, behind the limits. Without a request nobody from outside is asking."""

    def authenticate(
        self, request: Any, username: Any = None, password: Any = None, **kwargs: Any
    ) -> Any:
        if request is None or not isinstance(username, str) or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        counts = counts_of(username, str(request.META.get("REMOTE_ADDR") or ""))
        if not _count(counts):
            raise PermissionDenied
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            _forgive(counts)
        else:
            _record_failure(request, username)
        return user


def counts_of(username: str, address: str) -> tuple[tuple[str, int], ...]:
    """Return the (key, limit) pairs that a try counts for."""
    account = f"account:{username.strip().casefold()}"
    return (_digest(account), PER_ACCOUNT), (_digest(f"address:{_network(address)}"), PER_ADDRESS)


def connect() -> None:
    """Write down who logs in and out, whichever page it is done on."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit-login")
    user_logged_out.connect(_logged_out, dispatch_uid="audit-logout")


def _count(counts: Sequence[tuple[str, int]]) -> bool:
    """Count a try for each key, and tell whether it is within all limits; if not, for none."""
    now = timezone.now()
    LoginCount.objects.filter(since__lte=now - WINDOW).delete()
    with transaction.atomic():
        LoginCount.objects.bulk_create(
            (LoginCount(key=key, since=now) for key, _ in counts), ignore_conflicts=True
        )
        for key, limit in counts:
            within = LoginCount.objects.filter(key=key, failed__lt=limit)
            if not within.update(failed=F("failed") + 1):
                transaction.set_rollback(True)
                return False
    return True


def _forgive(counts: Sequence[tuple[str, int]]) -> None:
    """Forget the failures of an account that was entered, and this one try of the address."""
    (account, _), (address, _) = counts
    LoginCount.objects.filter(key=account).delete()
    LoginCount.objects.filter(key=address, failed__gt=0).update(failed=F("failed") - 1)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _network(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None) or address
    bits = mapped.max_prefixlen - _BITS[mapped.version]
    return f"{mapped.version}:{int(mapped) >> bits}"


def _logged_in(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if "REMOTE_ADDR" in request.META:  # Django's test client logs in without a request
        audit.record(_actor(request, user), "login", f"user:{user.get_username()}")


def _logged_out(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if user is not None and "REMOTE_ADDR" in request.META:
        audit.record(_actor(request, user), "logout", f"user:{user.get_username()}")


def _record_failure(request: Any, username: str) -> None:
    """Write it down; a name that is nobody's may be a password in the wrong field."""
    known = get_user_model().objects.filter(username=username).exists()
    audit.record(_actor(request, None), "login.failed", f"user:{username}" if known else "")


def _actor(request: Any, user: Any) -> Actor:
    name = user.get_username() if user is not None else "anonymous"
    return Actor(id=getattr(user, "pk", None), name=name, origin=origin_of(request.META))
