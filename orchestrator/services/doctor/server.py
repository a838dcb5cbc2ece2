"""The Redis-protocol server: may it be used, has it room, how quick, what time has it."""

import uuid
from collections.abc import Iterator

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import StoreRefused, StoreUnavailable
from orchestrator.services.doctor.findings import Finding, apart, fail, ok, warn
from orchestrator.services.stores import with_store
from storage.datastore import DataStore
from storage.server_facts import ServerFacts

SLOW = 0.02
FILLED, FULL = 0.8, 0.97
_TTL = 1.0


def look() -> Iterator[Finding]:
    try:
        yield from _look()
    except StoreRefused as error:
        yield fail("redis", error.message, "Set what it names; docs/configuration.md has the rest.")
    except StoreUnavailable as error:
        advice = "Start it, or correct REDIS_URL. `manage.py up` has a server of its own."
        yield fail("redis", error.message, advice)


async def _ask(store: DataStore) -> tuple[list[str], ServerFacts | None]:
    allowed = await store.check(allow_unsafe=orchestrator_settings().ALLOW_UNSAFE_STORE)
    facts = await store.facts()
    await store.cache.set(f"doctor:{uuid.uuid4().hex}", b"1", _TTL)
    return allowed, facts


def _look() -> Iterator[Finding]:
    allowed, facts = with_store(_ask)
    if facts is None:
        yield fail("redis", "REDIS_URL is memory://, which is of one process", "Name a server.")
        return
    for finding in allowed:
        yield warn("redis", finding, "Nothing is guaranteed while ALLOW_UNSAFE_STORE is set.")
    yield _answers(facts)
    if not allowed:
        yield ok("redis safety", "it evicts nothing and keeps an append-only file")
    if not facts.writes:
        advice = "See its log, most likely its disk is full; until then writes are refused."
        yield fail("redis safety", "its append-only file could not be written", advice)
    yield _memory(facts)
    yield apart("redis clock", "Redis", facts.ahead)


def _answers(facts: ServerFacts) -> Finding:
    took = f"{facts.latency * 1000:.1f} ms"
    message = f"{facts.name} answers within {took} and has {facts.clients} clients"
    if facts.latency <= SLOW:
        return ok("redis", message)
    return warn("redis", message, "Every commit waits for it: bring it nearer, or find its load.")


def _memory(facts: ServerFacts) -> Finding:
    used = f"{facts.used / 2**20:.0f} MB"
    if not facts.limit:
        return ok("redis memory", f"{used} are used, without a limit")
    share = facts.used / facts.limit
    message = f"{used} of {facts.limit / 2**20:.0f} MB are used"
    if share < FILLED:
        return ok("redis memory", message)
    advice = "Drain or purge queues, or raise maxmemory: loops that write wait when it is full."
    return (fail if share > FULL else warn)("redis memory", message, advice)
