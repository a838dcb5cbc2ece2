"""What may become of a run that stands still: resumed, retried, or forked from a checkpoint.

Each makes a run `pending`; whoever calls this puts the task of the run afterwards, with `op_id`.
"""

from typing import Any

from orchestrator.exceptions import Conflict, InvalidPayload
from orchestrator.execution.checkpoints import Snapshot, decode
from storage.runs import ACTIVE, GraphStore, RunRecord, RunStore, new_id

RESUMABLE = frozenset({"failed", "cancelled"})


def op_id(run: RunRecord) -> str:
    """Return the id of the task that executes a run: another for each attempt, and for each owner
    that was lost."""
    owner = f":{run.token}" if run.status == "running" else ""
    return f"run:{run.id}:{run.attempt}{owner}"


async def resume(
    runs: RunStore, graphs: GraphStore, run_id: str, checkpoint: int | None = None
) -> RunRecord:
    """Let a run that failed or was cancelled go on.

    Args:
        checkpoint: where; None at the newest that is whole, or from the start if there is none.

    Raises:
        NotFound: there is no such run or checkpoint.
        Conflict: it is finished or has not ended, its graph is another one by now, or the
            checkpoint is of another graph or not whole.
    """
    run = await _resumable(runs, graphs, run_id)
    state, steps = run.state, run.steps
    if checkpoint is not None:
        snapshot = await snapshot_of(runs, run, checkpoint)
        state, steps = snapshot.state, snapshot.steps
    return await _reopen(runs, run, resume_from=checkpoint, state=state, steps=steps)


async def restart(runs: RunStore, graphs: GraphStore, run_id: str) -> RunRecord:
    """Let a run that failed or was cancelled begin again, with its initial state.

    Raises:
        NotFound, Conflict: as `resume`.
    """
    run = await _resumable(runs, graphs, run_id)
    return await _reopen(runs, run, resume_from=0, state=run.initial_state, steps=0)


async def fork(
    runs: RunStore, graphs: GraphStore, run_id: str, checkpoint: int | None = None
) -> RunRecord:
    """Make a new run that goes on from a checkpoint of another, which may be in any status.

    Args:
        checkpoint: its number; None for the newest.

    Raises:
        NotFound: there is no such run or checkpoint.
        Conflict: the graph is another one by now, or the checkpoint is of another graph or torn.
    """
    run = await runs.get(run_id)
    await check_graph(graphs, run)
    if checkpoint is None:
        newest = await runs.newest(run_id)
        checkpoint = newest.number if newest is not None else 1
    snapshot = await snapshot_of(runs, run, checkpoint)
    body = (await runs.checkpoint(run_id, checkpoint)).body
    made = RunRecord(
        id=new_id(),
        graph_id=run.graph_id,
        digest=run.digest,
        initial_state=run.initial_state,
        entry=run.entry,
        state=snapshot.state,
        steps=snapshot.steps,
        max_steps=run.max_steps,
        timeout=run.timeout,
        checkpoint_every=run.checkpoint_every,
        runs_on=run.runs_on,
        parent={"run": run.id, "checkpoint": checkpoint},
    )
    return (await runs.create(made, checkpoint=body))[0]


async def check_graph(graphs: GraphStore, run: RunRecord) -> None:
    """Raise Conflict if the graph of a run is not the one it began with."""
    graph = await graphs.get(run.graph_id)
    if graph.digest != run.digest:
        raise Conflict(f"run {run.id} began with another version of graph {graph.id}")


async def snapshot_of(runs: RunStore, run: RunRecord, number: int) -> Snapshot:
    """Return a checkpoint of a run.

    Raises:
        NotFound: there is none with this number.
        Conflict: it is not whole, or of another graph.
    """
    try:
        snapshot = decode((await runs.checkpoint(run.id, number)).body)
    except InvalidPayload as error:
        raise Conflict(f"checkpoint {number} of run {run.id}: {error.message}") from None
    if snapshot.digest != run.digest:
        raise Conflict(f"checkpoint {number} of run {run.id} is of another graph")
    return snapshot


async def start_of(runs: RunStore, run: RunRecord) -> Snapshot | None:
    """Return the newest whole snapshot of a run, at which a worker begins; None for the start.

    What this attempt has written comes first, then what it was told to resume from; a checkpoint
    that is torn or of another graph is passed over for the one before it.
    """
    found = await _whole(runs, run, attempt=run.attempt)
    if found is None:
        last = run.resume_from
        found = await _whole(runs, run, before=None if last is None else last + 1)
    return found


async def _whole(
    runs: RunStore, run: RunRecord, *, before: int | None = None, attempt: int | None = None
) -> Snapshot | None:
    while True:
        record = await runs.newest(run.id, before=before, attempt=attempt)
        if record is None:
            return None
        try:
            snapshot = decode(record.body)
            if snapshot.digest == run.digest:
                return snapshot
        except InvalidPayload:
            pass
        before = record.number


async def _resumable(runs: RunStore, graphs: GraphStore, run_id: str) -> RunRecord:
    run = await runs.get(run_id)
    if run.status in ACTIVE:
        raise Conflict(f"run {run_id} has not ended: it is {run.status}")
    if run.status not in RESUMABLE:
        raise Conflict(f"run {run_id} is finished: it is {run.status}")
    await check_graph(graphs, run)
    return run


async def _reopen(runs: RunStore, run: RunRecord, **fields: Any) -> RunRecord:
    """Begin another attempt; of several at a time one wins."""
    return await runs.update(
        run.id,
        expect={run.status},
        status="pending",
        attempt=run.attempt + 1,
        error=None,
        message="",
        cancel_requested=False,
        crashes=0,
        beat_at=None,
        started_at=None,
        **fields,
    )
