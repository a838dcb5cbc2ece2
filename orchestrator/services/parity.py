"""Parity of the bench and production for one workflow, on items of one's choice."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import InvalidPayload, InvalidRequest
from orchestrator.flow.builder import LoadedFlow
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.parity import replay
from orchestrator.runtime.parity.compare import Report
from orchestrator.runtime.parity.record import Replay
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import credential_use, taps
from orchestrator.services.bench.cache import BenchCache
from orchestrator.services.bench.request import session_of
from orchestrator.services.examples import copy_data
from orchestrator.services.stores import with_store
from orchestrator.services.workflows import find, find_version
from storage.codec import decode
from storage.datastore import DataStore

Given = dict[str, list[dict[str, Json]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRequest:
    """What to compare.

    workflow: the id of a saved one, or the path of a file, which needs no database.
    origin: `tap`, `cache` or `file` for items that take the place of the producers'; None for
    their own. path: of that file. loop: whose items it holds, if its lines do not say.
    session: of the bench, for `cache`.
    """

    workflow: str
    origin: str | None = None
    path: Path | None = None
    loop: str | None = None
    items: int = 20
    seed: int | None = None
    session: str | None = None


def compare(actor: Actor, request: ParityRequest) -> Report:
    """Replay items through both sides and return what differs.

    Raises:
        OSError: a file cannot be read.
        InvalidPayload: a file is not JSON.
        WorkflowInvalid: it is no valid workflow.
        NotFound: there is no such workflow.
        InvalidRequest: there are no such items, or it uses credentials.
        Conflict: its loops feed each other.
        StoreUnavailable: Redis is away, for `tap` and `cache`.
    """
    authorize(actor, "bench.execute", request.workflow)
    name, definition = _definition(request)
    flow = flow_engine().load(definition)
    if names := credential_use.used_in(flow.graph):
        raise InvalidRequest(f"it uses credentials, which parity has none of: {', '.join(names)}")
    replay.in_order(flow)
    seed = random.randrange(10**6) if request.seed is None else request.seed
    given = _given(actor, request, flow)
    wanted = Replay(
        workflow=f"parity-{name}",
        definition=replay.replayed(definition),
        items=request.items,
        seed=seed,
        given=given,
    )
    return asyncio.run(replay.run(wanted))


def _definition(request: ParityRequest) -> tuple[str, Json]:
    path = Path(request.workflow)
    if path.suffix != ".json":
        return request.workflow, find_version(find(request.workflow)).definition
    path = path.resolve()
    definition = decode(path.read_bytes())
    copy_data(path.parent / "data", path.parent.name)
    return path.stem, definition


def _given(actor: Actor, request: ParityRequest, flow: LoadedFlow) -> Given | None:
    if request.origin is None:
        return None
    if request.origin == "file":
        given = _from_file(request, flow)
    elif Path(request.workflow).suffix == ".json":
        raise InvalidRequest(f"a file has no {request.origin}: name a saved workflow")
    elif request.origin == "tap":
        given = _from_taps(actor, request.workflow, flow)
    else:
        given = _from_cache(actor, request, flow)
    given = {loop: items[: request.items] for loop, items in given.items() if items}
    if not given:
        raise InvalidRequest(f"there are no items of the workflow's sources: {request.origin}")
    return given


def _from_file(request: ParityRequest, flow: LoadedFlow) -> Given:
    if request.path is None:
        raise InvalidRequest("name the file of the items")
    loops = [loop.id for loop in flow.analyzer.loops()]
    given: Given = {}
    for number, raw in enumerate(request.path.read_bytes().splitlines(), 1):
        if not raw.strip():
            continue
        place = f"{request.path}, line {number}"
        try:
            line = decode(raw)
        except InvalidPayload as error:
            raise InvalidPayload(f"{place}: {error.message}") from None
        if request.loop is None:
            if not (isinstance(line, dict) and line.keys() == {"loop", "data"}):
                raise InvalidRequest(
                    f'{place}: not {{"loop": ..., "data": ...}}, and no loop named'
                )
            loop, data = line["loop"], line["data"]
        else:
            loop, data = request.loop, line
        if loop not in loops:
            raise InvalidRequest(f"{place}: no loop {loop!r}; there are {', '.join(loops)}")
        if not isinstance(data, dict):
            raise InvalidRequest(f"{place}: an item's data is an object")
        given.setdefault(loop, []).append(data)
    return given


def _from_taps(actor: Actor, workflow_id: str, flow: LoadedFlow) -> Given:
    """Return what sources gave in production, the oldest first, as far as the samples are whole."""
    given: Given = {}
    for loop in replay.sources(flow):
        samples = reversed(taps.samples(actor, workflow_id, loop.id))
        outputs = [s["output"] for s in samples if not s["truncated"]]
        given[loop.id] = [output for output in outputs if isinstance(output, dict)]
    return given


def _from_cache(actor: Actor, request: ParityRequest, flow: LoadedFlow) -> Given:
    """Return what the bench remembers of the sources, pins included."""
    session = request.session or session_of(actor)
    sources = [loop.id for loop in replay.sources(flow)]

    async def read(store: DataStore) -> dict[str, bytes]:
        ttl = orchestrator_settings().BENCH_TTL
        cache = BenchCache(store.cache, request.workflow, session, ttl)
        return (await cache.read(sources, outputs=sources)).outputs

    outputs = {node_id: decode(body) for node_id, body in with_store(read).items()}
    return {node_id: [data] for node_id, data in outputs.items() if isinstance(data, dict)}
