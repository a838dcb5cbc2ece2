"""The examination of `manage.py doctor`: everything the system needs, and what to do about it."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping

import django

from orchestrator.security.actors import Actor, authorize
from orchestrator.services.doctor import database, machine, server, work
from orchestrator.services.doctor.findings import Finding, Status, ok, patiently, warn

Look = Callable[[], Iterable[Finding]]
_ALWAYS: Mapping[str, Look] = {
    "keys": machine.keys,
    "disk": machine.disk,
    "egress": machine.egress,
    "logs": machine.logs,
    "traces": machine.traces,
    "database": database.look,
    "redis": server.look,
}
_WITH_DATABASE: Mapping[str, Look] = {
    "runners": work.runners,
    "workers": work.workers,
    "loops": work.loops,
    "dead letters": work.dead_letters,
}


def examine(actor: Actor) -> Iterator[Finding]:
    """Look at one thing after the other and give what is found, as it is found."""
    authorize(actor, "health.read")
    yield ok("python", f"{platform.python_version()}, Django {django.get_version()}")
    for name, look in _ALWAYS.items():
        yield from patiently(name, look)
    there = patiently("database", lambda: [ok("database", "")] if database.is_there() else [])
    for name, look in _WITH_DATABASE.items():
        if there and there[0].status is Status.OK:
            yield from patiently(name, look)
        else:
            yield warn(name, "not known without the database", "See the database first.")
