"""Recorder: what a recorded run tells its observer, and the snapshots from which it goes on."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import NodeFailed, OrchestratorError
from orchestrator.execution.checkpoints import Snapshot, changes
from orchestrator.execution.functions import StateItem
from orchestrator.execution.plan import Step
from orchestrator.execution.run_types import RunObserver
from orchestrator.execution.steering import Detour, DetourStep, make_detour
from orchestrator.execution.tasks import Function, function_of, tasks
from storage.runs import StepRecord

if TYPE_CHECKING:
    from orchestrator.execution.run_context import RunContext
    from orchestrator.execution.workflow_engine import Ready


TRAIL = 1000


class Recorder:
    """Keeps what a run has ahead of it, and tells an observer what is behind it.

    pending: the steps that execute or are next, with the states they get. Together with the joins
    that is all that the run has still to do; both change without a wait in between.
    rounds: of tasks that run again. faults: nodes that raised, and what.
    trail: the nodes that have ended, the last TRAIL of them: a checkpoint must not grow for ever.
    """

    def __init__(self, run: "RunContext", observer: RunObserver) -> None:
        self.pending: Ready = []
        self.rounds: dict[str, int] = {}
        self.faults: list[tuple[str, Exception]] = []
        self.trail: deque[str] = deque(maxlen=TRAIL)
        self._ended = 0
        self._run = run
        self._observer = observer
        self._told = asyncio.Lock()

    async def ended(
        self, step: Step, item: NodeOutput, port: str, ready: "Ready", *, again: bool
    ) -> None:
        """Take note that a step has ended and what runs next, and tell the observer."""
        run = self._run
        place = next(i for i, (s, it) in enumerate(self.pending) if s is step and it is item)
        self.pending[place : place + 1] = ready
        self.trail.append(step.id)
        self._ended = number = self._ended + 1
        after = run.gave[step.id].data
        record = self._record(step, number, item.data, after, port)
        if again:
            self.rounds[step.id] = record.round + 1
        else:
            self.rounds.pop(step.id, None)
        every = self._observer.checkpoint_every
        due = run.checkpoint_asked or (every is not None and number % every == 0)
        run.checkpoint_asked = False
        snapshot = await self.snapshot() if due else None
        async with self._told:  # branches end at any time; the observer hears of one at a time
            await self._observer.step(record)
            if snapshot is not None:
                await self._observer.checkpoint(snapshot)

    async def failed(self, reason: OrchestratorError) -> None:
        """Tell of the nodes that raised, and of where the run can be taken up again.

        A node behind which a condition raised is in the reason only.
        """
        number = sum(self._run.completed.values())
        faults = list(self.faults)
        if isinstance(reason, NodeFailed) and all(n != reason.node_id for n, _ in faults):
            faults.append((reason.node_id, reason))
        for node_id, error in faults:
            found = [(s, i) for s, i in self.pending if s.id == node_id]
            if found:
                number += 1
                step, item = found[0]
                known = error.error_type if isinstance(error, NodeFailed) else ""
                kind = known or type(error).__name__
                text = f"{kind}: {error}"
                record = self._record(step, number, item.data, item.data, None, text)
                await self._observer.step(record)
        await self._observer.checkpoint(await self.snapshot())

    def resumed(self, snapshot: Snapshot) -> None:
        """Count on from where another run was."""
        self.rounds = dict(snapshot.flags["rounds"])
        self.trail.extend(snapshot.flags["path"])
        self._ended = snapshot.steps

    def _record(
        self,
        step: Step,
        number: int,
        before: dict[str, Any],
        after: dict[str, Any],
        port: str | None,
        error: str | None = None,
    ) -> StepRecord:
        seconds = max(0.0, step.ended_at - step.started_at)
        return StepRecord(
            number=number,
            node=step.id,
            started_at=datetime.now(UTC) - timedelta(seconds=seconds),
            seconds=seconds,
            port=port,
            changes=changes(before, after),
            error=error,
            round=self.rounds.get(step.id, 0),
        )

    async def snapshot(self) -> Snapshot:
        """Return all that is needed to go on from here."""
        run = self._run
        joins = {
            node_id: {place: item.data if item else None for place, item in join.arrived.items()}
            for node_id, join in (run.joins or {}).items()
        }
        flags = {
            "initial": run.initial,
            "outputs": self._outputs(),
            "path": list(self.trail),
            "rounds": dict(self.rounds),
            "terminated": run.terminated,
        }
        made = Snapshot(
            digest=run.graph.digest,
            state=run.newest,
            pending=[_pending(step, item) for step, item in self.pending],
            joins=joins,
            completed=dict(run.completed),
            results=run.results,
            steps=self._ended,
            budgets=dict(run.budgets),
            flags=flags,
        )
        channel = run.open_channel  # its values are those of a moment later, if it is on a server
        return replace(made, channel=await channel.dump()) if channel is not None else made

    def _outputs(self) -> dict[str, Json]:
        """What a later join compares with, and what the run ends with: [state, is an end]."""
        run = self._run
        waiting = {id(item) for _, item in self.pending}
        for join in (run.joins or {}).values():
            waiting.update(id(item) for item in join.arrived.values())
        bases = set(run.graph.bases.values())
        ends = {n: not it.taken and id(it) not in waiting for n, it in run.gave.items()}
        return {
            node_id: [item.data, ends[node_id]]
            for node_id, item in run.gave.items()
            if ends[node_id] or node_id in bases
        }


async def restore(run: "RunContext", snapshot: Snapshot) -> "Ready":
    """Bring a new run to where another was, and return what it has to do next."""
    flags = snapshot.flags
    run.newest = dict(snapshot.state)
    run.initial = flags["initial"]
    run.terminated = flags["terminated"]
    run.resumed(snapshot)
    run.budgets = dict(snapshot.budgets)
    for node_id, (data, is_end) in flags["outputs"].items():
        result = snapshot.results.get(node_id)
        run.gave[node_id] = item = StateItem(run.run_id, data, run, result)
        item.taken = not is_end
    run.joins = {node_id: _join(run, node_id, came) for node_id, came in snapshot.joins.items()}
    if run.recorder is not None:
        run.recorder.resumed(snapshot)
    if snapshot.channel:
        await run.channel.load(snapshot.channel)
    return [_ready(run, entry) for entry in snapshot.pending]


def _join(run: "RunContext", node_id: str, came: Mapping[int, Json]) -> Any:
    join = run.new_join(run.graph.plan.steps[node_id].arrivals)
    for place, data in came.items():
        join.arrived[int(place)] = None if data is None else StateItem(run.run_id, data, run)
    return join


def _ready(run: "RunContext", entry: Mapping[str, Json]) -> tuple[Step, NodeOutput]:
    item = StateItem(run.run_id, dict(entry["data"]), run)
    if "detour" not in entry:
        return run.graph.plan.steps[entry["node"]], item
    kept = entry["detour"]
    named = tuple(_named(task) for task in kept["tasks"])
    detour = Detour(tasks=named, after=kept["after"], port=kept["port"], jump=kept["jump"])
    return make_detour(run, detour), item


def _pending(step: Step, item: NodeOutput) -> dict[str, Json]:
    entry: dict[str, Json] = {"node": step.id, "data": item.data}
    if isinstance(step, DetourStep):
        detour = step.detour
        entry["detour"] = {
            "tasks": [_name(task) for task in detour.tasks],
            "after": detour.after,
            "port": detour.port,
            "jump": detour.jump,
        }
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedTask:
    """What `@task` made, found again by the name it is registered by."""

    name: str
    function: Function
    thread: bool


def _name(task: Any) -> dict[str, Json]:
    """Return a new task as JSON; `name` is None for a plain function on the state."""
    is_task = function_of(task) is not task
    return {
        "task": tasks.spec(task).name,
        "name": task.name if is_task else None,
        "thread": getattr(task, "thread", False),
    }


def _named(kept: Mapping[str, Json]) -> Any:
    function = tasks.get(kept["task"])
    if kept["name"] is None:
        return function
    return _NamedTask(name=kept["name"], function=function, thread=kept["thread"])
