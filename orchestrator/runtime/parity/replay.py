"""Parity: the same items through production's runners and through the bench, and what differs.

The sides share the nodes and nothing else: production runs whole loops in the processes, threads
and event loops of their pools, with sealed envelopes between them and items in any order; the bench
runs one node at a time in a child, with JSON between any two.
"""

from typing import Any

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import Conflict
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.loops import Loop
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.parity.bench_side import BenchSide
from orchestrator.runtime.parity.compare import Comparison, Report, broken_loops
from orchestrator.runtime.parity.production import production_side
from orchestrator.runtime.parity.record import Replay

_LEFT_OUT = ("retry", "max_length", "max_bytes", "overflow")
"""Options that only delay or limit: what they do depends on the moment."""


def replayed(definition: Json) -> dict[str, Json]:
    """Return a valid workflow's JSON as it is replayed: the first attempt counts, and queues
    have room."""
    return {**definition, "nodes": [_plain(node) for node in definition["nodes"]]}


def _plain(node: dict[str, Any]) -> dict[str, Any]:
    data = node.get("data") or {}
    config = {k: v for k, v in (data.get("config") or {}).items() if k not in _LEFT_OUT}
    return {**node, "data": {**data, "config": config}}


def sources(flow: LoadedFlow) -> list[Loop]:
    """Return the loops whose items no other loop of the workflow writes."""
    writers = flow.analyzer.queue_graph()
    return [
        loop for loop in flow.analyzer.loops() if loop.reads is None or not writers[loop.reads][0]
    ]


async def run(replay: Replay) -> Report:
    """Replay the items on both sides and compare. The workflow has passed `in_order`."""
    flow = flow_engine().load(replay.definition)
    loops = in_order(flow)
    production = await production_side(replay, flow)
    if production.broken:  # what it had done by then says nothing of the nodes
        return Report(seed=replay.seed, nodes=[], loops=broken_loops(production))
    side = BenchSide(replay, flow, loops, production, orchestrator_settings())
    bench = await side.run()
    order = dict.fromkeys(node.id for loop in loops for node in loop.nodes)
    return Comparison(flow, bench, production).report(replay.seed, list(order))


def in_order(flow: LoadedFlow) -> list[Loop]:
    """Return the loops, each behind those that write its queue.

    Raises:
        Conflict: loops feed each other: they have no end that could be waited for; or a node goes
            rounds, which the bench, where each node runs alone, has not.
    """
    rounds = [node.id for node in flow.graph.nodes.values() if node.node.repeats is not None]
    if rounds:
        raise Conflict(f"nodes that go rounds cannot be replayed: {', '.join(rounds)}")
    graph = flow.analyzer.queue_graph()
    left, found = list(flow.analyzer.loops()), []
    while left:
        waiting = {loop.id for loop in left}
        ready = [loop for loop in left if not waiting & set(_writers(loop, graph))]
        if not ready:
            names = ", ".join(loop.id for loop in left)
            raise Conflict(f"loops that feed each other cannot be replayed: {names}")
        found += ready
        left = [loop for loop in left if loop not in ready]
    return found


def _writers(loop: Loop, graph: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> Any:
    return graph[loop.reads][0] if loop.reads is not None else ()
