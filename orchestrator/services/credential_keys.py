"""The keys under which credentials are kept: are they the right ones, and changing them."""

import logging
import uuid

from django.db import DatabaseError, transaction

from orchestrator.exceptions import CredentialsClosed
from orchestrator.models import Credential, KeyCanary
from orchestrator.runtime.credentials import keyring
from orchestrator.security.actors import Actor, authorize
from orchestrator.security.keyring import VARIABLE, Keyring
from orchestrator.services import audit

logger = logging.getLogger(__name__)
_CANARY = "canary"
_BATCH = 200


def rotate(actor: Actor) -> int:
    """Seal everything under the first key, and return how many credentials there are.

    What is running is not disturbed. It may be interrupted, and run again.

    Raises:
        CredentialsClosed: one cannot be opened; those before it are done.
    """
    authorize(actor, "credential.manage")
    ring, done = keyring(), 0
    with transaction.atomic():
        for canary in list(KeyCanary.objects.select_for_update()):
            KeyCanary.objects.filter(pk=canary.pk).update(sealed=ring.rotated(canary.sealed))
    last = uuid.UUID(int=0)
    while some := _rotate_some(ring, last):
        last, done = some[-1].pk, done + len(some)
    audit.record(actor, "credential.rotate", after={"count": done})
    return done


@transaction.atomic
def _rotate_some(ring: Keyring, after: uuid.UUID) -> list[Credential]:
    rows = Credential.objects.select_for_update().filter(pk__gt=after).order_by("pk")
    found = list(rows[:_BATCH])
    for row in found:
        try:
            fresh = ring.rotated(row.sealed)
        except CredentialsClosed as error:
            raise CredentialsClosed(f"the credential {row.name}: {error.message}") from None
        Credential.objects.filter(pk=row.pk).update(sealed=fresh)
    return found


def check_keys() -> None:
    """Raise unless the keys are there and open what is stored; every process asks at its start.

    Raises:
        CredentialsClosed: they do not.
    """
    ring = keyring()
    for canary in KeyCanary.objects.all():
        try:
            ring.open(_CANARY, canary.sealed)
        except CredentialsClosed:
            raise CredentialsClosed(
                "the credentials in the database were sealed under other keys: "
                f"give back the key that was used, behind the new one, in {VARIABLE}"
            ) from None


def check_at_start() -> None:
    """Compare the keys with what is stored, unless the database is away: no process goes on with
    keys that open nothing.

    Raises:
        CredentialsClosed: there are no keys, or others than those that were used.
    """
    try:
        check_keys()
    except DatabaseError as error:
        logger.warning("the keys cannot be compared with what is stored: %s", error)


def keep_canary() -> None:
    """Seal the canary, if there is none yet."""
    if not KeyCanary.objects.exists():
        KeyCanary.objects.create(sealed=keyring().seal(_CANARY, {}))
