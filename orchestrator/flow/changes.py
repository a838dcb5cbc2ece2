"""What differs between two versions of a workflow, loop by loop."""

from collections.abc import Mapping
from dataclasses import asdict

from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.digests import digest_of
from orchestrator.flow.loops import Loop


def digests(flow: LoadedFlow) -> dict[str, str]:
    """Return a SHA-256 for each loop, in hex, of all that its runner depends on.

    That is its nodes (id, type, form, options), the edges between them in their order, and the
    slots that write the queue it reads; not names and positions, nor any other loop.
    """
    return {loop.id: _digest(flow, loop) for loop in flow.analyzer.loops()}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the loops that are new or differ."""
    return {loop for loop, digest in after.items() if before.get(loop) != digest}


def _digest(flow: LoadedFlow, loop: Loop) -> str:
    edges = (flow.spec.edges[place] for place in _places(flow, loop))
    depends = {
        "loop": loop.id,
        "reads": loop.reads,
        "writers": flow.analyzer.writers_of(loop),
        "replicas": loop.replicas,
        "nodes": [
            [node.id, node.type, node.config.form, asdict(node.config.options)]
            for node in sorted(loop.nodes, key=lambda node: node.id)
        ],
        "edges": [
            [edge.source, edge.source_handle, edge.target, edge.target_handle, edge.condition]
            for edge in edges
        ],
    }
    return digest_of(depends)


def _places(flow: LoadedFlow, loop: Loop) -> list[int]:
    """Return where in the JSON the edges of the loop are; a queue's ends are in its nodes."""
    return sorted(edge.index for node in loop.nodes for edge in flow.graph.walked(node.id))
