"""What a Redis-protocol server tells of itself, for whoever looks after it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

_LOOKS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """Bytes and seconds.

    used, limit: memory; a limit of 0 is none. clients: connections. writes: whether the last write
    of its append-only file went well. ahead: of our clock. latency: of the median answer.
    """

    name: str
    used: int
    limit: int
    clients: int
    writes: bool
    ahead: float
    latency: float


async def facts_of(client: Any, info: Callable[[], Awaitable[dict[str, Any]]]) -> ServerFacts:
    """Ask a server about itself; it is asked several times for how long it takes."""
    found = await info()
    name = "valkey" if "valkey_version" in found else "redis"
    looks = [await _look(client) for _ in range(_LOOKS)]
    return ServerFacts(
        name=f"{name} {found[f'{name}_version']}",
        used=int(found.get("used_memory", 0)),
        limit=int(found.get("maxmemory", 0)),
        clients=int(found.get("connected_clients", 0)),
        writes=found.get("aof_last_write_status", "ok") == "ok",
        ahead=min((ahead for ahead, _ in looks), key=abs),
        latency=median(seconds for _, seconds in looks),
    )


async def _look(client: Any) -> tuple[float, float]:
    """Return by how much its clock is ahead, and how long it took to answer."""
    begun, asked_at = time.perf_counter(), time.time()
    seconds, microseconds = await client.time()
    took = time.perf_counter() - begun
    return int(seconds) + int(microseconds) / 1e6 - (asked_at + took / 2), took
