"""What the bench remembers of each node, by workflow, session and node.

A node may have an *output*, which it gave or which was put in its place, and a *given input*, which
it gets instead of what the nodes before it have left. Of each there is a small head, so that one
look at a whole workflow reads no payload.
"""

import enum
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import orjson

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.exceptions import InvalidPayload, PayloadTooLarge
from storage.base import CacheStore
from storage.codec import decode_own, encode
from storage.records import Missing

OUTPUT_LIMIT = 6 * 1024 * 1024
"""Bytes of an output or a given input."""

H = TypeVar("H", "CachedOutput", "GivenInput")

PARTS = ("run", "given", "output", "input")
"""What is kept of a node: the two heads, and what they are of."""


class Origin(enum.StrEnum):
    """Where an output or a given input comes from. All but RUN count as pinned."""

    RUN = "run"
    PIN = "pin"
    TAP = "tap"
    DEAD_LETTER = "dead_letter"
    QUEUE = "queue"


class Fed(enum.StrEnum):
    """What a node was run with: what is before it, what was sent, or a look into its queue."""

    UPSTREAM = "upstream"
    SENT = "sent"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedOutput:
    """The head of an output.

    digest, bytes: of the output. passed: False when the node passed nothing on.
    settings, inputs: digests of what it was made from; of a pinned one `settings` belongs to the
        state. at: seconds since the epoch.
    state: the node's after the run, with which it goes on: its own cursor, never production's.
    """

    port: str = DEFAULT_PORT
    passed: bool = True
    digest: str = ""
    bytes: int = 0
    settings: str = ""
    inputs: str = ""
    fed: str = Fed.UPSTREAM
    origin: str = Origin.RUN
    at: float = field(default_factory=time.time)
    state: Json = None

    @property
    def pinned(self) -> bool:
        return self.origin != Origin.RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """The head of a given input. `of` names what it was loaded from: `{"dead_letter": 12}`."""

    origin: str
    digest: str = ""
    bytes: int = 0
    at: float = field(default_factory=time.time)
    of: Json = None


@dataclass(slots=True, kw_only=True)
class Remembered:
    """What was read, by node id. outputs and inputs are JSON bytes, and only those asked for."""

    entries: dict[str, CachedOutput] = field(default_factory=dict)
    given: dict[str, GivenInput] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    inputs: dict[str, bytes] = field(default_factory=dict)


class BenchCache:
    """The outputs and given inputs of one workflow in one session."""

    def __init__(self, store: CacheStore, workflow: str, session: str, ttl: float) -> None:
        self.store = store
        self._prefix = f"bench:{quote(workflow, safe='')}:{quote(session, safe='')}:"
        self.ttl = ttl

    def key(self, node_id: str, part: str) -> str:
        return f"{self._prefix}{quote(node_id, safe='')}:{part}"

    async def read(
        self, heads: Sequence[str], outputs: Iterable[str] = (), inputs: Iterable[str] = ()
    ) -> Remembered:
        """Return the heads of these nodes, and the payloads asked for, in one round trip."""
        wanted = [(n, part) for n in heads for part in ("run", "given")]
        wanted += [(n, "output") for n in outputs] + [(n, "input") for n in inputs]
        values = await self.store.get_many([self.key(*place) for place in wanted])
        found: dict[str, dict[str, Any]] = {"run": {}, "given": {}, "output": {}, "input": {}}
        for (node_id, part), value in zip(wanted, values, strict=True):
            if not isinstance(value, Missing):
                found[part][node_id] = value
        return Remembered(
            entries={n: _head(CachedOutput, body) for n, body in found["run"].items()},
            given={n: _head(GivenInput, body) for n, body in found["given"].items()},
            outputs=found["output"],
            inputs=found["input"],
        )

    async def put(self, node_id: str, entry: CachedOutput, body: bytes) -> None:
        """Keep an output with its head; later ones take their place."""
        head = payload("state", node_id, _fields(entry))
        await self.store.set_many(
            {self.key(node_id, "run"): head, self.key(node_id, "output"): body}, self.ttl
        )

    async def give(self, node_id: str, given: GivenInput, body: bytes) -> None:
        """Keep a given input with its head."""
        head = encode(_fields(given))
        await self.store.set_many(
            {self.key(node_id, "given"): head, self.key(node_id, "input"): body}, self.ttl
        )

    async def forget(self, node_id: str) -> None:
        """Remove what is remembered of a node: output, cursor, given input."""
        for part in PARTS:
            await self.store.delete(self.key(node_id, part))


def payload(what: str, node_id: str, data: Json) -> bytes:
    """Return an output or an input as JSON bytes.

    Raises:
        PayloadTooLarge, InvalidPayload: naming the node.
    """
    try:
        return encode(data, OUTPUT_LIMIT)
    except PayloadTooLarge:
        size = len(orjson.dumps(data))
        raise PayloadTooLarge(
            f"the {what} of node {node_id} has {size} bytes: the bench keeps at most {OUTPUT_LIMIT}"
        ) from None
    except InvalidPayload as error:
        raise InvalidPayload(f"the {what} of node {node_id} cannot be kept: {error}") from None


def digest_of(value: Json) -> str:
    """Return the digest of JSON, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _fields(head: CachedOutput | GivenInput) -> dict[str, Json]:
    """Return the fields of a head; `asdict` would copy a state to its depth."""
    return {name: getattr(head, name) for name in head.__slots__}


def _head(kind: type[H], body: bytes) -> H:
    try:
        return kind(**decode_own(body))
    except TypeError:  # somebody else has written there
        raise InvalidPayload("the bench's cache holds what it has not made") from None
