"""The audit log: who did what to what, when and from where."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from orchestrator.models import AuditEntry
from orchestrator.security.actors import Actor, authorize
from orchestrator.security.redaction import redact

MAX_VALUE = 16 * 1024
"""Characters of JSON that are kept of what was before and after."""
SHOWN = (
    "id", "at", "actor_id", "actor", "action", "object", "before", "after", "address", "agent",
    "token",
)  # fmt: skip
RECORDED = (
    "bench.execute", "credential.create", "credential.delete", "credential.replace",
    "credential.rotate", "dead_letter.discard", "dead_letter.edit", "dead_letter.replay",
    "graph.create", "graph.delete", "login", "login.failed", "logout", "production.drain",
    "production.pause", "production.resume", "production.start", "production.stop", "queue.purge",
    "run.cancel", "run.delete", "run.fork", "run.resume", "run.retry", "run.start", "runner.drain",
    "token.manage", "tool.call", "user.manage", "workflow.create", "workflow.delete",
    "workflow.save",
)  # fmt: skip
"""The actions that there are entries of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries; None does not restrict."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def rows(self) -> QuerySet[AuditEntry]:
        wanted = {
            "actor": self.actor,
            "action": self.action,
            "object": self.object,
            "at__gte": self.since,
            "at__lte": self.until,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        return AuditEntry.objects.filter(**given)


def record(
    actor: Actor, action: str, object: str = "", *, before: Any = None, after: Any = None
) -> None:
    """Write down what an actor does. In a transaction it is there if, and only if, that is.

    Args:
        object: what it is done to, such as `workflow:hello`.
        before, after: JSON values. Secrets are taken out; what is long is kept as its digest.
    """
    AuditEntry.objects.create(
        actor_id=actor.id,
        actor=actor.name[:150],
        action=action,
        object=object[:300],
        before=_kept(before),
        after=_kept(after),
        address=actor.origin.address,
        agent=actor.origin.agent,
        token=actor.origin.token,
    )


def list_all(actor: Actor, wanted: AuditFilter) -> QuerySet[AuditEntry]:
    """Return entries, newest first."""
    authorize(actor, "audit.read")
    return wanted.rows()


def export(actor: Actor, wanted: AuditFilter) -> Iterator[str]:
    """Return entries as lines of JSON, oldest first; asked at once, read while it is sent."""
    authorize(actor, "audit.read")
    rows = wanted.rows().order_by("id").iterator(chunk_size=500)
    return (json.dumps(describe(row), cls=DjangoJSONEncoder) + "\n" for row in rows)


def describe(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as JSON."""
    return {name: getattr(entry, name) for name in SHOWN}


def _kept(value: Any) -> Any:
    if value is None:
        return None
    text = json.dumps(value, cls=DjangoJSONEncoder)
    if len(text) > MAX_VALUE:
        return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}
    return redact(json.loads(text)).value
