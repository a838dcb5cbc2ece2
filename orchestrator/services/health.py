"""Whether this process can do its work, and what keeps it from that."""

import threading
from concurrent.futures import Future
from functools import cache
from typing import Any

from django.db import Error, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import CredentialsClosed, OrchestratorError
from orchestrator.security.actors import Actor
from orchestrator.services import credential_keys, workers
from orchestrator.services.status import runners_alive
from orchestrator.services.stores import with_store
from storage.datastore import DataStore

OK = "ok"
PATIENCE = 3.0
"""Seconds that the database has for its answers."""
_AWAY = "cannot be reached"
_UNKNOWN = "not known while the database is away"
_PROBE_TTL = 60.0


def ready(checked: dict[str, str], actor: Actor | None) -> dict[str, Any]:
    """Return what is there and what is not; `ready` says whether requests can be served.

    Args:
        checked: what `checks` gave.
        actor: who is told why, and how many runners and workers are alive, with a right to
            `health.read`. Anybody else is told what has failed and no more.
    """
    answer = {"ready": all(reason == OK for reason in checked.values())}
    if actor is None or not actor.may("health.read"):
        short = {name: OK if reason == OK else "failed" for name, reason in checked.items()}
        return {**answer, "checks": short}
    return {**answer, "checks": checked, **alive(checked)}


def alive(checked: dict[str, str]) -> dict[str, int]:
    """Return how many runners and workers are alive, as far as the database can be asked."""
    known = checked["database"] == OK
    return {
        "runners_alive": runners_alive() if known else 0,
        "workers_alive": workers.alive() if known else 0,
    }


def checks() -> dict[str, str]:
    """Return of each thing that has to be there `ok`, or what is wrong with it."""
    return {**_look(), "redis": _redis()}


def _redis() -> str:
    """Ask whether the server can keep what it is given, and have it keep something."""
    allow_unsafe = orchestrator_settings().ALLOW_UNSAFE_STORE

    async def probe(store: DataStore) -> None:
        await store.check(allow_unsafe=allow_unsafe)
        await store.cache.set("probe", b"1", _PROBE_TTL)

    try:
        with_store(probe, patience=2)
    except OrchestratorError as error:
        return error.message
    return OK


_looking: Future[dict[str, str]] | None = None
_lock = threading.Lock()


def _look() -> dict[str, str]:
    """Look at the database in a thread that may hang in it; whoever asks meanwhile waits for the
    same look."""
    global _looking
    with _lock:
        if _looking is None or _looking.done():
            _looking = Future()
            threading.Thread(target=_answer, args=(_looking,), daemon=True).start()
        looking = _looking
    try:
        return looking.result(PATIENCE)
    except TimeoutError:
        return _without(f"does not answer within {PATIENCE:g} s")


def _answer(looking: Future[dict[str, str]]) -> None:
    try:
        looking.set_result(_database())
    except Error:
        looking.set_result(_without(_AWAY))
    except BaseException as error:
        looking.set_exception(error)
    finally:
        connections.close_all()


def _without(reason: str) -> dict[str, str]:
    return {"database": reason, "migrations": _UNKNOWN, "keys": _UNKNOWN}


def _database() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if names := pending():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        told = f"pending: {', '.join(names[:3])}{more}; run manage.py migrate"
        return {"database": OK, "migrations": told, "keys": "not known before the migrations"}
    return {"database": OK, "migrations": OK, "keys": _keys()}


def pending() -> list[str]:
    """Return the migrations of this release that the database has not had, as `app.name`."""
    applied = MigrationRecorder(connection).applied_migrations()
    return [f"{app}.{name}" for app, name in sorted(_migrations() - set(applied))]


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return what this release brings."""
    loader = MigrationLoader(None)
    return frozenset(loader.disk_migrations or ())


def _keys() -> str:
    try:
        credential_keys.check_keys()
    except CredentialsClosed as error:
        return error.message
    return OK
