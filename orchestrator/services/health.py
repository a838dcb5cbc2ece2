"""Whether the project can do its work."""

from typing import Any

from django.db import DatabaseError, connection

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import workers
from orchestrator.services.status import runners_alive
from orchestrator.services.stores import with_store


def ready(actor: Actor) -> dict[str, Any]:
    """Return what is there and what is away; `ready` says whether requests can be served."""
    authorize(actor, "health.read")
    checks = {"database": _database(), "redis": _redis()}
    known = checks["database"] == "ok"
    return {
        "ready": all(reason == "ok" for reason in checks.values()),
        "checks": checks,
        "runners_alive": runners_alive() if known else 0,
        "workers_alive": workers.alive() if known else 0,
    }


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "cannot be reached"
    return "ok"


def _redis() -> str:
    allow_unsafe = orchestrator_settings().ALLOW_UNSAFE_STORE
    try:
        with_store(lambda store: store.check(allow_unsafe=allow_unsafe), patience=2)
    except OrchestratorError as error:
        return error.message
    return "ok"
