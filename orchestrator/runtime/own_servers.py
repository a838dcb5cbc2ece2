"""Where our own Redis and databases listen: nodes have no business there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_PORTS = {"postgresql": 5432, "mysql": 3306, "oracle": 1521}


def own_servers(
    redis_url: str, databases: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, int]]:
    """Return host and port of each; one that is reached by a socket file or a file has none.

    Args:
        databases: as Django's settings have them.
    """
    redis = urlsplit(redis_url)
    found = []
    if redis.scheme in ("redis", "rediss"):
        found.append((redis.hostname or "localhost", redis.port or 6379))
    for database in databases.values():
        found += _of_database(database)
    return found


def _of_database(database: Mapping[str, Any]) -> list[tuple[str, int]]:
    kind = str(database["ENGINE"]).rpartition(".")[2]
    hosts = str(database.get("HOST") or "")
    if kind not in _PORTS or hosts.startswith("/"):
        return []
    ports = str(database.get("PORT") or _PORTS[kind]).split(",")
    names = hosts.split(",") if hosts else ["localhost"]
    return [
        (name, int(ports[min(index, len(ports) - 1)] or _PORTS[kind]))
        for index, name in enumerate(names)
    ]
