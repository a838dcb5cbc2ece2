"""Loop: a part of a graph that one runner runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodes.contract import PoolType
from orchestrator.flow.graph import Edge, FlowNode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loop:
    """A producer and everything downstream of it up to the queue boundary.

    id: the producer's node id.
    nodes: in topological order, the producer first.
    pool: the highest that one of its nodes asks for.
    reads, writes: names of queues.
    stateful: a node other than the producer keeps state.
    runs_on: every label that one of its nodes asks for, sorted.
    back_edges: the edges that close a cycle, seen from the producer.
    """

    id: str
    producer: FlowNode
    nodes: tuple[FlowNode, ...]
    pool: PoolType
    reads: str | None
    writes: tuple[str, ...]
    stateful: bool
    replicas: int
    runs_on: tuple[str, ...] = ()
    back_edges: tuple[Edge, ...] = ()


def make_loop(nodes: Sequence[FlowNode], back_edges: Iterable[Edge] = ()) -> Loop:
    """Return the loop of a producer and what is downstream of it, in this order."""
    producer, *others = nodes
    writers = [n for n in nodes if n.node.queue_role == "writer"]
    reads = producer.config.options.queue_name if producer.node.queue_role == "reader" else None
    return Loop(
        id=producer.id,
        producer=producer,
        nodes=tuple(nodes),
        pool=max(_pool(node) for node in nodes),
        reads=reads,
        writes=tuple(dict.fromkeys(q for n in writers if (q := n.config.options.queue_name))),
        stateful=any(n.node.stateful for n in others),
        replicas=producer.config.options.replicas,
        runs_on=tuple(sorted({label for n in nodes for label in n.config.options.runs_on})),
        back_edges=tuple(back_edges),
    )


def _pool(node: FlowNode) -> PoolType:
    return max(node.node.execution_pool, node.config.options.pool or PoolType.ASYNC)
