"""One request at work: what nodes are given, and running them in children."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from channels.db import database_sync_to_async

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.exceptions import (
    Conflict,
    InvalidPayload,
    MissingInput,
    NotReached,
    PayloadTooLarge,
)
from orchestrator.execution.envelope import unseal
from orchestrator.runtime.credentials import Order, sealed, used_by
from orchestrator.services.bench.cache import CachedOutput, Fed, Origin, digest_of, payload
from orchestrator.services.bench.flow import Source
from orchestrator.services.bench.freshness import Freshness, Standings, inputs_digest
from orchestrator.services.bench.pools import bench_pool
from orchestrator.services.bench.request import Bench
from orchestrator.services.bench.write import put_into_queues
from orchestrator.services.workflows import require_template_rights

_sealed = database_sync_to_async(sealed, thread_sensitive=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a node is given: as a child takes it, its digest, and as it is told of."""

    data: list[dict[str, Json]]
    digest: str
    used: list[dict[str, Any]]
    fed: str = Fed.UPSTREAM


class BenchWork:
    """What is remembered of a node and all before it, and runs that add to it."""

    def __init__(self, bench: Bench, node_id: str) -> None:
        self.bench = bench
        self.node_id = node_id
        bench.flow.require(node_id)
        self.order = bench.flow.sources_first([node_id])
        self.cache = bench.cache

    async def open(self) -> None:
        """Read what is remembered, and what the node itself will need, in one round trip."""
        needed = [source.node_id for source in self.bench.flow.sources(self.node_id)]
        self.kept = await self.cache.read(self.order, needed, [self.node_id])
        self.standings = Standings(self.bench.flow, self.kept)

    async def inputs(self, node_id: str) -> Inputs:
        """Return what a node that was told of is given.

        Whether a conditional edge is taken is decided in the child: that evaluates an expression.

        Raises:
            MissingInput: a node before it has no output.
            Conflict: every output went another way, or the queue is empty.
        """
        feed = self.standings.found[node_id].feed
        given = self.kept.given.get(node_id)
        if given is not None:
            await self._fetch("input", [node_id])
            data = orjson.loads(self.kept.inputs[node_id])
            return _alone(data, given.digest, given.origin, at=given.at)
        if not feed.live and self.bench.flow.reads(node_id) is not None:
            return await self._peek(node_id, feed.missing)
        if feed.missing:
            raise MissingInput(feed.missing)
        if feed.dead:
            ways = tuple(self.standings.ways(node_id))
            raise Conflict(f"no cached output leads to node {node_id}", problems=ways)
        await self._fetch("output", [source.node_id for source in feed.live])
        return Inputs(
            data=[self._given(source) for source in feed.live],
            digest=feed.digest,
            used=[self._used(source.node_id) for source in feed.live],
        )

    async def run(self, node_id: str, inputs: Inputs, *, write: bool = False) -> dict[str, Any]:
        """Run a node in a child and keep its output.

        Raises:
            WorkflowInvalid, NotAllowed: its settings are wrong, or not for this actor.
            NotReached: no condition is true; this is kept, too, so that a join does not wait.
            PayloadTooLarge: the output is too large for the bench; nothing is kept.
        """
        self.bench.flow.require_valid(node_id)
        require_template_rights(self.bench.actor, [self.bench.flow.require(node_id).config])
        credentials = await self._credentials(node_id)
        settings = self.bench.flow.settings(node_id)
        made = {"settings": settings, "inputs": inputs.digest, "fed": inputs.fed}
        state = self._state(node_id, settings)
        try:
            answer = await bench_pool().run(
                {
                    "op": "execute",
                    "workflow_id": self.bench.name,
                    "node": self.bench.flow.json(node_id),
                    "inputs": inputs.data,
                    "state": state,
                    "write": write,
                    "credentials": credentials,
                    "timeout": self.bench.timeout,
                },
                self.bench.owner,
            )
        except NotReached:
            await self._keep(node_id, None, state=state, **made)
            raise
        except PayloadTooLarge as error:
            raise PayloadTooLarge(f"node {node_id}: {error.message}") from None
        output = answer.get("output")
        body = payload("output", node_id, output)
        if write:
            await put_into_queues(self.bench, node_id, answer["emitted"])
        port = answer.get("port") or DEFAULT_PORT
        await self._keep(node_id, output, body, port=port, state=answer.get("state"), **made)
        return answer

    async def _credentials(self, node_id: str) -> Order:
        """Return what the node may open, if this actor may use it."""
        names = used_by([self.bench.flow.require(node_id).node])
        return await _sealed(self.bench.actor, names) if names else {}

    async def _keep(self, node_id: str, output: Json, body: bytes = b"null", **made: Any) -> None:
        entry = CachedOutput(
            passed=output is not None, digest=digest_of(output), bytes=len(body), **made
        )
        await self.cache.put(node_id, entry, body)
        self.kept.entries[node_id] = entry
        self.kept.outputs[node_id] = body
        self.standings.tell(node_id)

    def _state(self, node_id: str, settings: str) -> Json:
        """Return the state that a node goes on with; with other settings it begins anew."""
        entry = self.kept.entries.get(node_id)
        return entry.state if entry is not None and entry.settings == settings else None

    def _given(self, source: Source) -> dict[str, Json]:
        data = orjson.loads(self.kept.outputs[source.node_id])
        return {"source": source.node_id, "condition": source.condition, "data": data}

    def _used(self, node_id: str) -> dict[str, Any]:
        entry = self.kept.entries[node_id]
        freshness = str(self.standings.found[node_id].freshness)
        return {
            "node_id": node_id,
            "origin": entry.origin,
            "freshness": freshness,
            "port": entry.port,
            "at": entry.at,
        }

    async def _fetch(self, part: str, node_ids: Sequence[str]) -> None:
        """Read payloads that are not here yet.

        Raises:
            MissingInput: one has gone meanwhile.
        """
        here = self.kept.inputs if part == "input" else self.kept.outputs
        wanted = [n for n in node_ids if n not in here]
        if wanted:
            found = await self.cache.read((), **{f"{part}s": wanted})  # type: ignore[arg-type]
            here |= found.inputs if part == "input" else found.outputs
        gone = tuple(n for n in wanted if n not in here)
        if gone:
            raise MissingInput(gone)

    async def _peek(self, node_id: str, writers: tuple[str, ...]) -> Inputs:
        """Return the oldest entry of a production queue, which stays in the queue."""
        queue = self.bench.flow.reads(node_id) or ""
        for entry in await self.bench.store.queue.peek(self.bench.name, queue, 1):
            try:
                data = unseal(entry.body).item.data
            except InvalidPayload as error:
                raise Conflict(f"the oldest entry of {queue} cannot be read: {error}") from None
            return _alone(data, digest_of(data), Origin.QUEUE, Fed.QUEUE)
        if writers:
            raise MissingInput(writers)
        raise Conflict(f"the queue {queue} is empty: send an input")


def sent(data: dict[str, Json]) -> Inputs:
    """Return an input that came with the request."""
    return _alone(data, digest_of(data), "sent", Fed.SENT)


def _alone(
    data: Json, digest: str, origin: str, fed: str = Fed.UPSTREAM, at: float | None = None
) -> Inputs:
    used = {
        "node_id": None,
        "origin": origin,
        "freshness": str(Freshness.PINNED),
        "port": None,
        "at": time.time() if at is None else at,
    }
    return Inputs(
        data=[{"source": None, "condition": None, "data": data}],
        digest=inputs_digest([(None, None, digest)]),
        used=[used],
        fed=fed,
    )
