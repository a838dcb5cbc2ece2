"""Tickets: each opens one socket, once, within half a minute.

For a program that can send no header with a socket, as a page of another host cannot: it asks the
API for a ticket and puts that into the socket's address, where no lasting secret belongs.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from orchestrator.models import ApiToken, SocketTicket
from orchestrator.security.actors import Actor, authorize

LIFETIME = timedelta(seconds=30)


def create(actor: Actor, *, token: ApiToken | None = None, session_key: str = "") -> str:
    """Make a ticket for whoever asks, by token or by session, and return its text.

    Raises:
        NotAllowed: the actor may not watch.
    """
    authorize(actor, "production.status")
    now = timezone.now()
    SocketTicket.objects.filter(expires_at__lte=now).delete()
    raw = secrets.token_urlsafe(32)
    SocketTicket.objects.create(
        digest=_digest(raw),
        user_id=actor.id,
        token=token,
        session_key=session_key,
        expires_at=now + LIFETIME,
    )
    return raw


@transaction.atomic
def redeem(raw: str) -> SocketTicket | None:
    """Use a ticket up, and return it if it still holds."""
    ticket = SocketTicket.objects.filter(digest=_digest(raw)).first()
    if ticket is None:
        return None
    used, _ = SocketTicket.objects.filter(pk=ticket.pk).delete()  # of two, one deletes it
    return ticket if used and ticket.expires_at > timezone.now() else None


def _digest(raw: str) -> str:
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
