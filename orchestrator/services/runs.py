"""Runs of graphs: started, looked at, cancelled, resumed, tried again, forked, removed.

Nodes are executed by workers only. What is written here is the wish, in the database, and a task
that tells the workers of it; one that got lost is found by them, because the run waits.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.db.models import Max, Min

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import Conflict, PayloadTooLarge, Problem, StoreUnavailable
from orchestrator.execution.runs import STATE_BYTES
from orchestrator.flow.graph_json import labels_of
from orchestrator.models import Run, RunStep
from orchestrator.runtime import run_control, worker_leases
from orchestrator.runtime.run_feed import PREFIX, publish_status, shown
from orchestrator.runtime.task_runs import task_of
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit, graphs
from orchestrator.services.live import feed_hub
from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore
from orchestrator.services.stores import run_async, shared_store
from storage.codec import encode
from storage.runs import ENDED, RunRecord, StepRecord, new_id
from storage.tasks import TaskQueue, put_and_wait

WAIT_SECONDS = 30.0
LOG_SHOWN = 200
LOG_SENT = 100
LIVE_BYTES = 256 * 1024
_LOOK_EVERY = 0.5
Status = Run.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWish:
    """What a run is to do; see `storage.runs.RunRecord`."""

    graph_id: str
    initial_state: dict[str, Json]
    max_steps: int | None = None
    timeout: float | None = None
    checkpoint_every: int | None = 1
    idempotency_key: str | None = None


def create(actor: Actor, wish: RunWish) -> tuple[RunRecord, bool]:
    """Store a run that waits for a worker, and tell whether it was made now.

    Raises:
        NotFound: there is no such graph.
        PayloadTooLarge: the state is larger than a run may hold.
        Conflict: the idempotency key came with another request before.
    """
    authorize(actor, "run.start", wish.graph_id)
    _check_size(wish.initial_state)
    graph = graphs.find(wish.graph_id)
    record = RunRecord(
        id=new_id(),
        graph_id=graph.id,
        digest=graph.digest,
        initial_state=wish.initial_state,
        state=wish.initial_state,
        entry=graph.definition["entry_point"],
        max_steps=wish.max_steps or orchestrator_settings().MAX_ITERATIONS,
        timeout=wish.timeout,
        checkpoint_every=wish.checkpoint_every,
        idempotency_key=wish.idempotency_key,
        request_digest=_digest(wish),
        runs_on=labels_of(graph.definition),
    )
    made: tuple[RunRecord, bool] = run_async(partial(DjangoRunStore().create, record))
    if made[1]:
        audit.record(actor, "run.start", f"run:{made[0].id}", after={"graph": wish.graph_id})
    return made


async def execute(run: RunRecord, *, created: bool, wait: bool) -> None:
    """Hand a run to the workers, if it was made now, and stay until it ends, at most WAIT_SECONDS.

    Without a worker nobody waits: the run begins when there is one.

    Raises:
        StoreUnavailable: Redis is away; a run that was made now is removed again.
    """
    living = database_sync_to_async(worker_leases.living, thread_sensitive=False)
    wait = wait and bool(await living(run.runs_on))
    if not created:
        await _ended(run.id, WAIT_SECONDS if wait else 0.0)
        return
    queue, coordinator = TaskQueue(shared_store().queue), shared_store().coordinator
    try:
        if wait:
            await put_and_wait(queue, coordinator, task_of(run), WAIT_SECONDS)
        else:
            await queue.put(task_of(run), once=False)
    except StoreUnavailable:
        await _take_back(run)
        raise


def get(actor: Actor, run_id: str) -> RunRecord:
    """Return a run with its newest state.

    Raises:
        NotFound: there is none.
    """
    authorize(actor, "run.read", run_id)
    found: RunRecord = run_async(partial(DjangoRunStore().get, run_id))
    return found


def visited(run_id: str) -> list[str]:
    """Return the nodes that a run has executed, each once, in the order of their first time."""
    rows = RunStep.objects.filter(run=run_id).values("node").annotate(first=Min("position"))
    return list(rows.order_by("first").values_list("node", flat=True))


def log(actor: Actor, run_id: str, *, after: int = 0, limit: int = LOG_SHOWN) -> list[StepRecord]:
    """Return the steps behind a position of the log.

    Raises:
        NotFound: there is no such run.
    """
    authorize(actor, "run.read", run_id)
    return list(run_async(partial(DjangoRunStore().steps, run_id, after=after, limit=limit)))


def cancel(actor: Actor, run_id: str) -> RunRecord:
    """Cancel a run that waits, and ask the worker of one that runs to do it.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended.
    """
    authorize(actor, "run.cancel", run_id)

    async def cancelled() -> RunRecord:
        run: RunRecord = await DjangoRunStore().cancel(run_id)
        if run.status in ENDED:
            await publish_status(shared_store().feed, run_id, run.status)
        return run

    run: RunRecord = run_async(cancelled)
    audit.record(actor, "run.cancel", f"run:{run_id}", after={"status": run.status})
    return run


def resume(actor: Actor, run_id: str) -> RunRecord:
    """Let a run that failed or was cancelled go on from its newest checkpoint.

    Raises:
        NotFound: there is no such run.
        Conflict: it has not ended, or has come to its end.
    """
    authorize(actor, "run.resume", run_id)
    run = _again(partial(run_control.resume, DjangoRunStore(), DjangoGraphStore(), run_id))
    audit.record(actor, "run.resume", f"run:{run_id}", after={"status": run.status})
    return run


def retry(actor: Actor, run_id: str, origin: str) -> RunRecord:
    """Try a run that failed or was cancelled again, from the `error` or from the `start`.

    Raises:
        NotFound: there is no such run.
        Conflict: it has not ended, or has come to its end.
    """
    authorize(actor, "run.retry", run_id)
    how = run_control.restart if origin == "start" else run_control.resume
    run = _again(partial(how, DjangoRunStore(), DjangoGraphStore(), run_id))
    audit.record(actor, "run.retry", f"run:{run_id}", after={"from": origin, "status": run.status})
    return run


def fork(actor: Actor, run_id: str, checkpoint: int) -> RunRecord:
    """Begin a new run of the same graph at a checkpoint of another run.

    Raises:
        NotFound: there is no such run or checkpoint.
        Conflict: the checkpoint is of another version of the graph, or not whole.
    """
    authorize(actor, "run.fork", run_id)
    stores = DjangoRunStore(), DjangoGraphStore()
    run = _again(partial(run_control.fork, *stores, run_id, checkpoint))
    told = {"of": run_id, "checkpoint": checkpoint}
    audit.record(actor, "run.fork", f"run:{run.id}", after=told)
    return run


def delete(actor: Actor, run_id: str) -> None:
    """Remove a run that has ended, with its log and checkpoints.

    Raises:
        NotFound: there is none.
        Conflict: it has not ended.
    """
    authorize(actor, "run.delete", run_id)
    run_async(partial(DjangoRunStore().delete, run_id))
    audit.record(actor, "run.delete", f"run:{run_id}")


def live_state(actor: Actor, run_id: str) -> dict[str, Any]:
    """Return what the socket of a run begins with: the run, and the last steps of its log.

    It is asked for every few seconds, so a state that is large is left out (None), and so are
    the changes of older steps when there is much in them.
    """
    run = get(actor, run_id)
    last = RunStep.objects.filter(run=run_id).aggregate(last=Max("position"))["last"] or 0
    steps = log(actor, run_id, after=max(0, last - LOG_SENT))
    return {
        "run_id": run.id,
        "graph_id": run.graph_id,
        "status": run.status,
        "steps": run.steps,
        "state": run.state if len(orjson.dumps(run.state)) <= LIVE_BYTES else None,
        "error": run.error,
        "message": run.message,
        "log": _briefly([shown(step) for step in steps]),
    }


def _briefly(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the changes of all but the newest steps when they are more than LIVE_BYTES."""
    room = LIVE_BYTES
    for step in reversed(steps):
        room -= len(orjson.dumps(step["changes"]))
        if room < 0:
            step["changes"] = None
    return steps


def _again(make: Callable[[], Awaitable[RunRecord]]) -> RunRecord:
    """Make a run that waits, and tell the workers."""

    async def made() -> RunRecord:
        run = await make()
        await TaskQueue(shared_store().queue).put(task_of(run))
        await publish_status(shared_store().feed, run.id, run.status)
        return run

    return run_async(made)


async def _take_back(run: RunRecord) -> None:
    """Remove a run that was not handed over; one that a worker has found all the same stays."""
    store = DjangoRunStore()
    with contextlib.suppress(Conflict):
        await store.update(run.id, expect={Status.PENDING}, status=Status.CANCELLED)
        await store.delete(run.id)


async def _ended(run_id: str, seconds: float) -> None:
    """Stay until a run that was handed over before has ended, at most so many seconds."""
    store = DjangoRunStore()
    with contextlib.suppress(TimeoutError), feed_hub().client(f"{PREFIX}{run_id}") as client:
        async with asyncio.timeout(seconds):
            while (await store.get(run_id)).status not in ENDED:
                with contextlib.suppress(TimeoutError):  # an event may get lost
                    await asyncio.wait_for(client.get(), _LOOK_EVERY)


def _check_size(state: dict[str, Json]) -> None:
    try:
        encode(state, STATE_BYTES)
    except PayloadTooLarge as error:
        problem = Problem("initial_state", error.message)
        raise PayloadTooLarge(f"initial_state: {error.message}", problems=(problem,)) from None


def _digest(wish: RunWish) -> str:
    """Return what tells requests with one idempotency key apart."""
    body = json.dumps(asdict(replace(wish, idempotency_key=None)), sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()
