"""What the bench remembers of each node, and whether that still holds."""

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import quote

from nodes.contract import DEFAULT_PORT, Json, NodeConfig
from storage.base import CacheStore, Missing
from storage.codec import decode, encode

ENTRY_LIMIT = 2 * 1024 * 1024


class Freshness(enum.StrEnum):
    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedOutput:
    """An output on the bench. `settings` and `inputs` are digests of what it was made from.

    output: the item's data, or None when the node passed nothing on.
    origin: `run` or `pin`; at: seconds since the epoch.
    """

    output: dict[str, Json] | None
    port: str = DEFAULT_PORT
    settings: str = ""
    inputs: str = ""
    origin: str = "run"
    at: float = 0.0


class BenchCache:
    """The outputs of one workflow in one session."""

    def __init__(self, store: CacheStore, workflow: str, session: str, ttl: float) -> None:
        self._store = store
        self._prefix = f"bench:{quote(workflow, safe='')}:{quote(session, safe='')}:"
        self._ttl = ttl

    async def get(self, node_id: str) -> CachedOutput | None:
        """Return what is kept of a node, or None."""
        body = await self._store.get(self._key(node_id))
        return None if isinstance(body, Missing) else CachedOutput(**decode(body))

    async def put(self, node_id: str, entry: CachedOutput) -> None:
        """Keep an output; a later one takes its place.

        Raises:
            InvalidPayload: it is not strict JSON, or too large.
        """
        await self._store.set(self._key(node_id), encode(asdict(entry), ENTRY_LIMIT), self._ttl)

    async def delete(self, node_id: str) -> bool:
        return await self._store.delete(self._key(node_id))

    def _key(self, node_id: str) -> str:
        return self._prefix + quote(node_id, safe="")


def freshness(entry: CachedOutput | None, settings: str, inputs: str) -> Freshness:
    """Tell whether an entry was made from these settings and these inputs."""
    if entry is None:
        return Freshness.MISSING
    if entry.origin == "pin":
        return Freshness.PINNED
    same = entry.settings == settings and entry.inputs == inputs
    return Freshness.FRESH if same else Freshness.STALE


def settings_digest(config: NodeConfig) -> str:
    """Return the digest of a node's type, form and options."""
    return _digest([config.type, dict(config.form), repr(config.options)])


def inputs_digest(inputs: Sequence[Json]) -> str:
    """Return the digest of what a node is given, in edge order."""
    return _digest(list(inputs))


def _digest(value: Json) -> str:
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(body.encode()).hexdigest()
