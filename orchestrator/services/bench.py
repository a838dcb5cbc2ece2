"""Development mode: run one node on the cached outputs of its upstream nodes.

Node code never runs here: a request goes to a child of the BenchPool. Nothing touches a production
queue; a queue-reader without a cached writer is shown the oldest entry, which stays where it is.
"""

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.utils.text import slugify

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import Conflict, NodeTimeout
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services.bench_cache import (
    BenchCache,
    CachedOutput,
    Freshness,
    inputs_digest,
    settings_digest,
)
from orchestrator.services.bench_inputs import Bench, dead_nodes, freshness_of, inputs_of
from orchestrator.services.bench_request import BenchRequest, definition, with_overrides
from orchestrator.services.stores import shared_store

if TYPE_CHECKING:
    from orchestrator.runtime.bench import BenchPool

_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, "BenchPool"] = WeakKeyDictionary()


async def execute(actor: Actor, request: BenchRequest) -> dict[str, Any]:
    """Run one node, keep its output, and return it.

    Raises:
        NotFound: there is no such workflow or node.
        WorkflowInvalid: the workflow, with the form and the config of the request, is not valid.
        MissingInput: an upstream node has no cached output.
        Conflict: every cached output went another way.
        NodeFailed, NodeTimeout: the node raised, ended its process, or took too long; or all those
            before it together took longer than one node may.
        Busy: as many nodes as allowed are running.
        StoreUnavailable: Redis is away.
    """
    authorize(actor, "bench.execute", request.workflow_id)
    raw = await sync_to_async(definition)(request)
    bench = await _open(actor, request.workflow_id, with_overrides(raw, request), request.session)
    bench = replace(bench, timeout=request.timeout or bench.timeout)
    ran = []
    if request.input is None:
        ran = await _prepare(bench, request.node_id, request.run_upstream)
    answer = await _run(bench, request.node_id, request.input)
    return {**answer, "ran_upstream": ran}


async def look(
    actor: Actor, workflow_id: str, node_id: str, session: str | None = None
) -> dict[str, Any]:
    """Return what is cached of a saved workflow's node, and whether it still holds.

    Raises:
        NotFound: there is no such workflow or node.
    """
    authorize(actor, "bench.read", workflow_id)
    bench = await _open_saved(actor, workflow_id, node_id, session)
    entry = await bench.cache.get(node_id)
    return {
        "workflow_id": workflow_id,
        "node_id": node_id,
        "freshness": str(await freshness_of(bench, node_id, entry)),
        "output": entry.output if entry else None,
        "port": entry.port if entry else None,
        "origin": entry.origin if entry else None,
        "at": entry.at if entry else None,
    }


async def pin(
    actor: Actor,
    workflow_id: str,
    node_id: str,
    data: dict[str, Json],
    port: str = DEFAULT_PORT,
    session: str | None = None,
) -> dict[str, Any]:
    """Take `data` for the node's output until it is run again or let go.

    Raises:
        NotFound: there is no such workflow or node.
        Conflict: the node has no such port.
    """
    authorize(actor, "bench.write", workflow_id)
    bench = await _open_saved(actor, workflow_id, node_id, session)
    ports = bench.flow.graph.nodes[node_id].node.ports()
    if port not in ports:
        raise Conflict(f"node {node_id} has no port {port}: {', '.join(ports)}")
    entry = CachedOutput(output=data, port=port, origin="pin", at=time.time())
    await bench.cache.put(node_id, entry)
    return await look(actor, workflow_id, node_id, session)


async def forget(actor: Actor, workflow_id: str, node_id: str, session: str | None = None) -> None:
    """Remove what is cached of a node.

    Raises:
        NotFound: there is no such workflow or node.
    """
    authorize(actor, "bench.write", workflow_id)
    bench = await _open_saved(actor, workflow_id, node_id, session)
    await bench.cache.delete(node_id)


def bench_pool() -> "BenchPool":
    """Return the warm children of this event loop."""
    from orchestrator.runtime.bench import BenchPool

    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = BenchPool(orchestrator_settings())
    return _pools[loop]


async def close_bench() -> None:
    """End the children of this event loop, if there are any."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.close()


async def _open(actor: Actor, workflow_id: str | None, raw: Json, session: str | None) -> Bench:
    flow = await sync_to_async(flow_engine().load)(raw)
    settings = orchestrator_settings()
    name = workflow_id or f"unsaved:{slugify(flow.spec.name)}"
    session = session or f"user-{actor.id}"
    store = shared_store()
    cache = BenchCache(store.cache, name, session, settings.BENCH_TTL)
    return Bench(
        workflow_id=name, flow=flow, cache=cache, store=store, timeout=settings.BENCH_TIMEOUT
    )


async def _open_saved(actor: Actor, workflow_id: str, node_id: str, session: str | None) -> Bench:
    request = BenchRequest(node_id=node_id, workflow_id=workflow_id)
    raw = await sync_to_async(definition)(request)
    bench = await _open(actor, workflow_id, raw, session)
    bench.require(node_id)
    return bench


async def _run(bench: Bench, node_id: str, data: dict[str, Json] | None = None) -> dict[str, Any]:
    bench.require(node_id)
    if data is not None:
        inputs: list[Json] = [{"source": None, "condition": None, "data": data}]
    else:
        inputs = await inputs_of(bench, node_id)
    answer = await bench_pool().run(
        {
            "workflow_id": bench.workflow_id,
            "workflow": bench.flow.spec.raw,
            "node_id": node_id,
            "inputs": inputs,
            "timeout": bench.timeout,
        }
    )
    entry = CachedOutput(
        output=answer.get("output"),
        port=answer.get("port") or DEFAULT_PORT,
        settings=settings_digest(bench.config(node_id)),
        inputs=inputs_digest(inputs),
        at=time.time(),
    )
    await bench.cache.put(node_id, entry)
    return {"workflow_id": bench.workflow_id, "node_id": node_id, **answer}


async def _prepare(bench: Bench, node_id: str, mode: str) -> list[str]:
    """Run what is wanted upstream within the time of one request, however many nodes that is."""
    try:
        async with asyncio.timeout(bench.timeout):
            return await _run_upstream(bench, node_id, mode)
    except TimeoutError:
        raise NodeTimeout(
            f"the nodes before it took longer than {bench.timeout:g} s: what they made so far is "
            "kept, send the request again to go on",
            node_id=node_id,
            error_type="NodeTimeout",
        ) from None


async def _run_upstream(bench: Bench, node_id: str, mode: str) -> list[str]:
    """Run what is missing (or stale) upstream of a node, in order, and name what was run."""
    bench.require(node_id)
    ran = []
    if mode != "never":
        wanted = {Freshness.MISSING} | ({Freshness.STALE} if mode == "stale" else set())
        for ancestor in bench.flow.analyzer.upstream(node_id):
            entry = await bench.cache.get(ancestor)
            if await freshness_of(bench, ancestor, entry) not in wanted:
                continue
            if ancestor not in await dead_nodes(bench, node_id):
                await _run(bench, ancestor)
                ran.append(ancestor)
    return ran
