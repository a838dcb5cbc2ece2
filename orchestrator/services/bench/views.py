"""Looking at what the bench remembers, and changing it by hand."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.exceptions import Conflict
from orchestrator.services.bench.cache import (
    CachedOutput,
    GivenInput,
    Origin,
    Remembered,
    digest_of,
    payload,
)
from orchestrator.services.bench.freshness import Freshness, Standing, Standings
from orchestrator.services.bench.pools import bench_pool
from orchestrator.services.bench.request import Bench
from orchestrator.services.bench.work import BenchWork, Inputs, sent
from orchestrator.services.workflows import require_template_rights

_UNBUILT: Mapping[str, Any] = {
    "freshness": str(Freshness.MISSING),
    "why": "it is not finished: it cannot be built",
    **dict.fromkeys(("port", "origin", "at", "bytes", "given")),
}


async def overview(bench: Bench) -> dict[str, Any]:
    """Return the freshness of every node, from one look at the cache."""
    bench.flow.flow.require_valid()
    order = bench.flow.sources_first(bench.flow.node_ids)
    kept = await bench.cache.read(order)
    found = Standings(bench.flow, kept).tell_all(order)
    return {
        "workflow_id": bench.name,
        "session": bench.session,
        "nodes": {
            **{node_id: _row(node_id, found, kept) for node_id in bench.flow.node_ids},
            **dict.fromkeys(bench.flow.unbuilt, _UNBUILT),
        },
    }


async def look(bench: Bench, node_id: str) -> dict[str, Any]:
    """Return what is remembered of a node, and whether it still holds.

    Raises:
        NotFound: there is no such node.
    """
    bench.flow.require(node_id)
    order = bench.flow.sources_first([node_id])
    kept = await bench.cache.read(order, [node_id], [node_id])
    found = Standings(bench.flow, kept).tell_all(order)
    row = _row(node_id, found, kept)
    if row["given"] is not None:
        row["given"]["input"] = _value(kept.inputs.get(node_id))
    return {
        "workflow_id": bench.name,
        "node_id": node_id,
        "session": bench.session,
        **row,
        "output": _value(kept.outputs.get(node_id)),
    }


async def pin(
    bench: Bench,
    node_id: str,
    data: dict[str, Json],
    port: str = DEFAULT_PORT,
    origin: str = Origin.PIN,
) -> dict[str, Any]:
    """Take `data` for the node's output until it is run again or let go. Its cursor stays.

    Raises:
        NotFound: there is no such node.
        Conflict: the node has no such port.
        PayloadTooLarge: it is too large for the bench.
    """
    ports = bench.flow.ports(node_id)
    port = port.lower()
    if port not in ports:
        raise Conflict(f"node {node_id} has no port {port}: {', '.join(ports)}")
    body = payload("output", node_id, data)
    before = (await bench.cache.read([node_id])).entries.get(node_id)
    state, settings = (before.state, before.settings) if before is not None else (None, "")
    entry = CachedOutput(
        port=port, digest=digest_of(data), bytes=len(body), origin=origin, state=state,
        settings=settings,
    )  # fmt: skip
    await bench.cache.put(node_id, entry, body)
    return await look(bench, node_id)


async def give(
    bench: Bench, node_id: str, data: dict[str, Json], origin: str, of: Mapping[str, Json]
) -> dict[str, Any]:
    """Let a node have this input instead of what the nodes before it have left.

    Raises:
        NotFound: there is no such node.
        PayloadTooLarge: it is too large for the bench.
    """
    bench.flow.require(node_id)
    body = payload("input", node_id, data)
    given = GivenInput(origin=origin, digest=digest_of(data), bytes=len(body), of=dict(of))
    await bench.cache.give(node_id, given, body)
    return await look(bench, node_id)


async def forget(bench: Bench, node_id: str) -> None:
    """Remove what is remembered of a node: output, given input, and cursor.

    Raises:
        NotFound: there is no such node.
    """
    bench.flow.require(node_id)
    await bench.cache.forget(node_id)


async def merged_input(bench: Bench, node_id: str) -> dict[str, Any]:
    """Return what a node would be given, and the paths that its templates may name.

    Raises:
        MissingInput, Conflict: as when it is run.
    """
    inputs = await _inputs(bench, node_id, None)
    answer = await bench_pool().run(
        {"op": "input", "inputs": inputs.data, "timeout": bench.timeout}, bench.owner
    )
    return {"input": answer["input"], "paths": answer["paths"], "used": inputs.used}


async def render(
    bench: Bench, node_id: str, template: str, data: dict[str, Json] | None = None
) -> dict[str, Any]:
    """Preview a template of a node with the input that it would be given, or with `data`.

    Raises:
        MissingInput, Conflict: as when it is run.
    """
    inputs = await _inputs(bench, node_id, data)
    config = bench.flow.require(node_id).config
    require_template_rights(bench.actor, [config])
    request = {
        "op": "render",
        "template": template,
        "advanced": config.options.advanced_templates,
        "inputs": inputs.data,
        "timeout": bench.timeout,
    }
    answer = await bench_pool().run(request, bench.owner)
    return {**{k: v for k, v in answer.items() if k != "log"}, "used": inputs.used}


async def _inputs(bench: Bench, node_id: str, data: dict[str, Json] | None) -> Inputs:
    work = BenchWork(bench, node_id)
    if data is not None:
        return sent(data)
    await work.open()
    work.standings.tell_all(work.order)
    return await work.inputs(node_id)


def _row(node_id: str, found: Mapping[str, Standing], kept: Remembered) -> dict[str, Any]:
    standing, entry = found[node_id], kept.entries.get(node_id)
    given = kept.given.get(node_id)
    return {
        "freshness": str(standing.freshness),
        "why": standing.why,
        "port": entry.port if entry else None,
        "origin": entry.origin if entry else None,
        "at": entry.at if entry else None,
        "bytes": entry.bytes if entry else None,
        "given": _shown(given) if given else None,
    }


def _shown(given: GivenInput) -> dict[str, Any]:
    return {name: value for name, value in asdict(given).items() if name != "digest"}


def _value(body: bytes | None) -> Json:
    return None if body is None else orjson.loads(body)
