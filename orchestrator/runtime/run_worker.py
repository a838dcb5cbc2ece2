"""execute_run: a worker takes a run, goes on where its newest checkpoint is, and records it.

A run whose worker died is put again, by the redelivery of its task or by `put_abandoned`; whoever
gets it goes on from its newest checkpoint, or from the start if it has none. Steps since then run
twice. The owner before, should it live after all, can write nothing any more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from structlog.contextvars import bound_contextvars

from forms.choices import saved_values
from orchestrator.engine import hand_over
from orchestrator.exceptions import (
    Busy,
    Conflict,
    LeaseLost,
    NodeFailed,
    NotFound,
    OrchestratorError,
    RunTimeout,
    StoreUnavailable,
    WorkflowCancelled,
)
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.run_stores import provide_stores
from orchestrator.execution.runs import Run, RunLimits, RunResult, RunStatus
from orchestrator.runtime import credentials, run_as
from orchestrator.runtime.database import in_thread
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.run_control import check_graph, start_of
from orchestrator.runtime.run_feed import publish_status
from orchestrator.runtime.run_graphs import LoadedGraph, load_graph
from orchestrator.runtime.run_recorder import RunRecorder
from orchestrator.security.secret_values import scrub, scrub_value
from storage.base import Channel, Feed
from storage.datastore import open_store
from storage.runs import STALE_AFTER, GraphStore, RunRecord, RunStore

logger = logging.getLogger(__name__)
MAX_CRASHES = 3
"""So many workers may die with a run, one after the other, before any of them ends a step."""
ABANDONED_AFTER = 30.0
"""Seconds without a sign of life after which a run is put again, if its task is not redelivered."""
CANCELLED = "cancelled by request"
Channels = Callable[[str], Channel] | None
provide_stores(open_store)


async def execute_run(
    run_id: str,
    *,
    runs: RunStore,
    graphs: GraphStore,
    owner: str,
    feed: Feed | None = None,
    channels: Channels = None,
    stale_after: float = STALE_AFTER,
) -> RunRecord | None:
    """Bring a run to its end, and return it; None if there is nothing to do here: it is gone, or
    another living worker has it.

    How it ended is in its record, also when it failed. If this is cancelled, or a store is away,
    the run is let go, and another worker may take it at once.

    Args:
        owner: the id of this worker. feed: told of every step.
        channels: gives the channel of a run by its id; None: it is in the memory of this process.
        stale_after: seconds without a sign of life after which an owner is taken for dead.

    Raises:
        StoreUnavailable: the database or Redis is away; the run goes on when its task comes again.
    """
    run = await _claim(runs, run_id, owner, stale_after)
    if run is None or run.status != "running":
        return run
    try:
        with bound_contextvars(run=run.id, graph=run.graph_id):
            return await _execute(run, runs, graphs, feed, channels)
    except LeaseLost:
        logger.warning("run %s has another owner", run_id)
        return None
    except (StoreUnavailable, asyncio.CancelledError):
        with contextlib.suppress(OrchestratorError):  # then it is found when it is stale
            await asyncio.shield(runs.release(run_id, run.token))
        raise


async def put_abandoned(
    runs: RunStore,
    put: Callable[[RunRecord], Awaitable[Any]],
    *,
    stale_after: float = ABANDONED_AFTER,
) -> None:
    """Put the tasks of runs that nobody works on; `op_id` lets each enter once.

    Args:
        put: puts the task of a run with `op_id`.
    """
    for run in await runs.abandoned(stale_after=stale_after):
        await put(run)


async def _claim(runs: RunStore, run_id: str, owner: str, stale_after: float) -> RunRecord | None:
    """Take the run, also from an owner that gives no sign of life; wait to be sure of that."""
    for last in (False, True):
        try:
            return await runs.claim(run_id, owner, stale_after=stale_after)
        except NotFound:
            return None
        except Busy:
            if not last:
                await asyncio.sleep(stale_after + 0.1)
        except Conflict:
            return await runs.get(run_id)
    return None


async def _execute(
    run: RunRecord, runs: RunStore, graphs: GraphStore, feed: Feed | None, channels: Channels
) -> RunRecord:
    """Go on with a run that was claimed, and write how it ended."""
    if feed is not None:
        await publish_status(feed, run.id, run.status)
    try:
        limits = _limits(run)
        loaded = await _load(run, graphs)
        result = await _walk(run, runs, loaded, limits, feed, channels)
    except (StoreUnavailable, LeaseLost):
        raise
    except OrchestratorError as error:
        result = _failed(run, error)
    except Exception as error:  # a node's clean-up is anybody's code
        logger.exception("run %s failed outside of its nodes", run.id)
        result = _failed(run, NodeFailed(str(error), error_type=type(error).__name__))
    return await _end(run, runs, result, feed)


def _limits(run: RunRecord) -> RunLimits:
    """Return what is left to the run.

    Raises:
        WorkflowCancelled: somebody wants it cancelled. NodeFailed: it ends every worker it has.
        RunTimeout: it has taken all its time.
    """
    if run.cancel_requested:
        raise WorkflowCancelled(CANCELLED)
    if run.crashes >= MAX_CRASHES:
        message = f"{run.crashes} workers died with it, one after the other"
        raise NodeFailed(message, error_type="WorkerLost")
    left = run.timeout
    if left is not None and run.beat_at is not None and run.started_at is not None:
        left -= (run.beat_at - run.started_at).total_seconds()
        if left <= 0:
            raise _too_long(run)
    return RunLimits(max_steps=run.max_steps, timeout=left)


async def _load(run: RunRecord, graphs: GraphStore) -> LoadedGraph:
    """Return the graph, made for this run alone.

    Raises:
        Conflict: it is not the graph with which the run began.
        WorkflowInvalid: it cannot be built here, such as with a node type that is gone.
    """
    await check_graph(graphs, run)
    graph = await graphs.get(run.graph_id)
    loaded = await in_thread(_load_saved)(graph.definition)
    if loaded.digest != run.digest:
        raise Conflict(f"here graph {graph.id} is another than where run {run.id} began")
    nodes = [node.node for node in loaded.flow.graph.nodes.values()]
    await in_thread(run_as.for_graph)(graph.id, loaded.flow.graph.nodes.values())
    if names := credentials.used_by(nodes):
        order = await in_thread(credentials.for_graph)(graph.id, names)
        hand_over(credentials.opened(order), nodes)
    return loaded


def _load_saved(definition: Any) -> LoadedGraph:
    with saved_values():  # a choice whose source is away was checked when the graph was made
        return load_graph(definition)


async def _walk(
    run: RunRecord,
    runs: RunStore,
    loaded: LoadedGraph,
    limits: RunLimits,
    feed: Feed | None,
    channels: Channels,
) -> RunResult:
    """Let the run take place, and write it down step by step."""
    snapshot = await start_of(runs, run)
    async with loaded.compiled as graph:
        config: dict[str, Any] = {"run_id": run.id, "tools": flow_engine().tools}
        if channels is not None:
            config["channel"] = channels(run.id)
            await _empty(config["channel"])  # what is worth keeping is in the snapshot
        context = ExecutionContext.create(graph=graph, start_node=run.entry, config=config)
        recorder = RunRecorder(runs, run, live=lambda: context.state, feed=feed)
        one = Run(graph, context, recorder, limits)
        begun = one.execute(dict(run.initial_state)) if snapshot is None else one.resume(snapshot)
        result = await recorder.watch(begun, lambda: one.cancel(CANCELLED))
        if channels is not None:
            await _empty(config["channel"])
        return result


async def _empty(channel: Channel) -> None:
    for key in await channel.keys():
        await channel.delete(key)


def _too_long(run: RunRecord) -> RunTimeout:
    return RunTimeout(f"the run took longer than {run.timeout:g} s, with all its workers")


def _failed(run: RunRecord, error: OrchestratorError) -> RunResult:
    """Return how a run ends that never came to walk."""
    cancelled = isinstance(error, WorkflowCancelled)
    status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
    return RunResult(
        status=status, state=dict(run.state or run.initial_state), steps=run.steps, error=error
    )


async def _end(run: RunRecord, runs: RunStore, result: RunResult, feed: Feed | None) -> RunRecord:
    late = isinstance(result.error, RunTimeout)  # it speaks of what was left to this worker
    error = None if result.error is None else told(_too_long(run) if late else result.error)
    ended = await runs.update(
        run.id,
        expect={"running"},
        token=run.token,
        status=str(result.status),
        state=scrub_value(result.state),
        steps=result.steps,
        message=scrub(result.message),
        error=scrub_value(error),
    )
    if feed is not None:
        await publish_status(feed, run.id, ended.status, error=ended.error, message=ended.message)
    return ended


def told(error: OrchestratorError) -> dict[str, Any]:
    """Return an error as JSON, as it is kept with a run."""
    found: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, NodeFailed):
        found |= {"node": error.node_id, "error_type": error.error_type}
    if error.problems:
        found["problems"] = [problem._asdict() for problem in error.problems]
    return found
