"""Development mode: run one node on the cached outputs of its upstream nodes.

Node code never runs here: a request goes to a child of the BenchPool. Nothing touches a production
queue unless that is asked for; a queue-reader without a cached writer is shown the oldest entry,
which stays where it is.
"""

import asyncio
from typing import Any

from orchestrator.exceptions import NodeTimeout, NotReached
from orchestrator.services.bench.cancel import cancellable
from orchestrator.services.bench.freshness import Freshness
from orchestrator.services.bench.request import Bench, BenchRequest
from orchestrator.services.bench.work import BenchWork, Inputs, sent

_WANTED = {
    "never": frozenset[Freshness](),
    "missing": frozenset({Freshness.MISSING}),
    "stale": frozenset({Freshness.MISSING, Freshness.STALE}),
}


async def execute(bench: Bench, request: BenchRequest) -> dict[str, Any]:
    """Run one node of a bench that was opened for this request, and keep and return its output.

    Raises:
        NotFound, WorkflowInvalid: there is no such node, or its settings are wrong.
        MissingInput: an upstream node has no cached output.
        Conflict: every cached output went another way, or somebody has cancelled the run.
        NodeFailed, NodeTimeout: the node raised, ended its process, or took too long; or all those
            before it together took longer than one node may.
        PayloadTooLarge: its output is too large for the bench.
        Busy: as many nodes as allowed are running.
        StoreUnavailable: Redis is away.
    """
    bench.flow.require_valid(request.node_id)
    work = BenchWork(bench, request.node_id)
    await work.open()
    return await cancellable(work.cache, request.node_id, _execute(work, request))


async def _execute(work: BenchWork, request: BenchRequest) -> dict[str, Any]:
    ran: list[str] = []
    if request.input is not None:
        work.standings.tell_all(work.order)
        inputs: Inputs = sent(request.input)
    else:
        ran = await _prepare(work, _WANTED[request.run_upstream])
        inputs = await work.inputs(work.node_id)
    answer = await work.run(work.node_id, inputs, write=request.write)
    written = len(answer["emitted"]) if request.write else 0
    return {
        "workflow_id": work.bench.name,
        "node_id": work.node_id,
        "session": work.bench.session,
        **{name: value for name, value in answer.items() if name != "wrote"},
        "used": inputs.used,
        "ran_upstream": ran,
        "written": {"queues": written, "files": answer.get("wrote", [])},
    }


async def _prepare(work: BenchWork, wanted: frozenset[Freshness]) -> list[str]:
    """Run what is wanted upstream within the time of one request, however many nodes that is."""
    if not wanted:
        work.standings.tell_all(work.order)
        return []
    try:
        async with asyncio.timeout(work.bench.timeout):
            return await _run_upstream(work, wanted)
    except TimeoutError:
        raise NodeTimeout(
            f"the nodes before it took longer than {work.bench.timeout:g} s: what they made so far "
            "is kept, send the request again to go on",
            node_id=work.node_id,
            error_type="NodeTimeout",
        ) from None


async def _run_upstream(work: BenchWork, wanted: frozenset[Freshness]) -> list[str]:
    """Run what is missing (or stale) upstream of the node, in order, and name what was run."""
    needed = _needed(work, wanted)
    ran = []
    for node_id in work.order:
        standing = work.standings.tell(node_id)
        is_wanted = node_id in needed and standing.freshness in wanted and not standing.feed.dead
        if node_id == work.node_id or not is_wanted:
            continue
        try:
            await work.run(node_id, await work.inputs(node_id))
            ran.append(node_id)
        except NotReached:
            continue
    return ran


def _needed(work: BenchWork, wanted: frozenset[Freshness]) -> set[str]:
    """Return the nodes whose outputs are asked for: nothing before one that is not run anyway."""
    entries, given = work.kept.entries, work.kept.given

    def enough(node_id: str) -> bool:
        entry = entries.get(node_id)
        if node_id in given or (entry is not None and entry.pinned and node_id != work.node_id):
            return True
        settled = entry is not None and Freshness.STALE not in wanted
        return settled and node_id != work.node_id

    return set(work.bench.flow.sources_first([work.node_id], enough))
