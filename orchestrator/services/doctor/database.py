"""The database: is it there, is it up to date, how quick, what time has it."""

import time
from collections.abc import Iterator
from statistics import median

from django.db import Error, connection, connections
from django.db.models.functions import Now

from orchestrator.models import Runner
from orchestrator.runtime.leases import living
from orchestrator.services import health
from orchestrator.services.doctor.findings import Finding, Status, apart, fail, ok, warn

SLOW = 0.05
_LOOKS = 7


def is_there() -> bool:
    """Tell whether it answers and has our tables."""
    try:
        living()
    except Error:
        return False
    finally:
        connections.close_all()
    return True


def look() -> Iterator[Finding]:
    try:
        yield from _look()
    except Error as error:
        told = str(error).strip().splitlines()
        message = f"cannot be used: {told[0] if told else type(error).__name__}"
        yield fail("database", message, "Start it, or correct DATABASE_URL.")
    finally:
        connections.close_all()


def _look() -> Iterator[Finding]:
    yield _answers()
    migrations = _migrations()
    yield migrations
    yield apart("database clock", "the database", _ahead())
    if migrations.status is Status.OK:  # else there may be no tables
        yield from _shared()


def _answers() -> Finding:
    took = []
    for _ in range(_LOOKS):
        begun = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        took.append(time.perf_counter() - begun)
    latency = median(took)
    message = f"{_name()} answers within {latency * 1000:.1f} ms"
    if latency <= SLOW:
        return ok("database", message)
    advice = "Give it a machine nearer by, or a quicker disk: leases are renewed through it."
    return warn("database", message, advice)


def _name() -> str:
    if connection.vendor == "sqlite":
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    version = ".".join(map(str, connection.get_database_version()))
    return f"{connection.display_name} {version}"


def _migrations() -> Finding:
    if not (pending := health.pending()):
        return ok("migrations", "all are applied")
    return fail(
        "migrations",
        f"{len(pending)} are pending, the first is {pending[0]}",
        "Run `manage.py migrate` before the processes of this release.",
    )


def _ahead() -> float:
    """Return by how many seconds its clock is ahead of ours."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NOW[connection.vendor]}")
        (epoch,) = cursor.fetchone()
    return float(epoch) - (before + time.time()) / 2


_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
}


def _shared() -> Iterator[Finding]:
    """A file cannot be shared by machines."""
    if connection.vendor != "sqlite":
        return
    hosts = set(Runner.objects.filter(expires_at__gt=Now()).values_list("host", flat=True))
    if len(hosts) > 1:
        yield fail(
            "database",
            f"runners of {len(hosts)} machines use SQLite, which is a file of one machine",
            "Use PostgreSQL: DATABASE_URL=postgres://…",
        )
