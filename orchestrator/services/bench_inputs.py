"""What a node on the bench is given: the cached outputs of the nodes before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nodes.contract import DEFAULT_PORT, Json, NodeConfig
from orchestrator.exceptions import Conflict, MissingInput, NotFound, Problem
from orchestrator.execution.envelope import unseal
from orchestrator.flow.builder import LoadedFlow
from orchestrator.services.bench_cache import (
    BenchCache,
    CachedOutput,
    Freshness,
    freshness,
    inputs_digest,
    settings_digest,
)
from storage.datastore import DataStore


class Source(NamedTuple):
    """A node that brings another its input, when it left by this port and the condition holds."""

    node_id: str
    port: str = DEFAULT_PORT
    condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One workflow on the bench of one session."""

    workflow_id: str
    flow: LoadedFlow
    cache: BenchCache
    store: DataStore
    timeout: float

    def config(self, node_id: str) -> NodeConfig:
        return self.flow.graph.nodes[node_id].config

    def require(self, node_id: str) -> None:
        """Raise when there is no such node.

        Raises:
            NotFound: there is none.
        """
        if node_id not in self.flow.graph.nodes:
            raise NotFound(f"{self.workflow_id} has no node {node_id}")

    def reads(self, node_id: str) -> str | None:
        """The queue that a queue-reader reads; None for other nodes."""
        node = self.flow.graph.nodes[node_id]
        return node.config.options.queue_name if node.node.queue_role == "reader" else None

    def sources(self, node_id: str) -> list[Source]:
        """What brings a node its input, in edge order; for a queue-reader, the queue's writers."""
        queue = self.reads(node_id)
        if queue is None:
            # From the graph's index: a scan of all edges for each node would block the event loop.
            written = self.flow.spec.edges
            edges = (written[edge.index] for edge in self.flow.graph.incoming(node_id))
            return [Source(e.source, e.source_handle, e.condition) for e in edges]
        writers = (n for n in self.flow.graph.nodes.values() if n.node.queue_role == "writer")
        return [Source(n.id) for n in writers if n.config.options.queue_name == queue]


async def freshness_of(bench: Bench, node_id: str, entry: CachedOutput | None) -> Freshness:
    """Tell whether a node's entry holds for its settings and inputs of now."""
    try:
        inputs = inputs_digest(await inputs_of(bench, node_id))
    except Conflict:
        inputs = "none"
    return freshness(entry, settings_digest(bench.config(node_id)), inputs)


async def inputs_of(bench: Bench, node_id: str) -> list[Json]:
    """Return what the node is given: the cached output of each live edge, in edge order.

    Whether a conditional edge is taken is decided in the child: that evaluates an expression.

    Raises:
        MissingInput: a node before it has no cached output.
        Conflict: every cached output went another way, or the queue is empty.
    """
    sources = bench.sources(node_id)
    entries = {s.node_id: await bench.cache.get(s.node_id) for s in sources}
    live = list(_live(sources, entries))
    queue = bench.reads(node_id)
    if queue is not None:
        return live[:1] or await _peek(bench, queue, sources)
    dead = await dead_nodes(bench, node_id) if len(entries) > 1 else set()
    live = [given for given in live if given["source"] not in dead]
    missing = tuple(n for n, entry in entries.items() if entry is None and n not in dead)
    if missing:
        raise MissingInput(missing)
    if sources and not live:
        problems = tuple(Problem(f"nodes.{n}", _where(e)) for n, e in entries.items())
        raise Conflict(f"no cached output leads to node {node_id}", problems=problems)
    return live


async def dead_nodes(bench: Bench, node_id: str) -> set[str]:
    """Return what upstream of a node was not reached, because every output went another way.

    A pinned output counts as reached: that is what it was pinned for.
    """
    upstream = bench.flow.analyzer.upstream(node_id)
    entries = {n: await bench.cache.get(n) for n in upstream}
    dead: set[str] = set()
    for name in upstream:
        entry, sources = entries[name], bench.sources(name)
        if not sources or (entry is not None and entry.origin == "pin"):
            continue
        if all(s.node_id in dead or _left_otherwise(s, entries[s.node_id]) for s in sources):
            dead.add(name)
    return dead


def _left_otherwise(source: Source, entry: CachedOutput | None) -> bool:
    return entry is not None and (entry.output is None or entry.port != source.port)


def _live(sources: Sequence[Source], entries: Mapping[str, CachedOutput | None]) -> Iterator[Json]:
    for source in sources:
        entry = entries[source.node_id]
        if entry is not None and not _left_otherwise(source, entry):
            yield {
                "source": source.node_id,
                "condition": source.condition,
                "data": entry.output,
            }


def _where(entry: CachedOutput | None) -> str:
    if entry is None or entry.output is None:
        return "passed nothing on"
    return f"left by the port {entry.port}"


async def _peek(bench: Bench, queue: str, writers: Sequence[Source]) -> list[Json]:
    """Return the oldest entry of a production queue, which stays in the queue."""
    for entry in await bench.store.queue.peek(bench.workflow_id, queue, 1):
        return [{"source": None, "condition": None, "data": unseal(entry.body).item.data}]
    if writers:
        raise MissingInput(tuple(writer.node_id for writer in writers))
    raise Conflict(f"the queue {queue} is empty: send an input")
