"""RunContext: what belongs to one run while it walks through its graph."""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodes.contract import Json, NodeOutput, Tools
from orchestrator.exceptions import (
    EdgeLimitExceeded,
    StepLimitExceeded,
    WorkflowCancelled,
)
from orchestrator.execution.channels import RunChannel
from orchestrator.execution.checkpoints import Snapshot
from orchestrator.execution.context import ExecutionContext, RunEnded, Scope
from orchestrator.execution.functions import StateItem
from orchestrator.execution.joins import Join
from orchestrator.execution.merging import merge_changes
from orchestrator.execution.plan import Route, Step
from orchestrator.execution.run_stores import Stores
from orchestrator.execution.run_types import NodeState, RunLimits, RunStatus
from orchestrator.execution.steering import (
    Detour,
    DetourStep,
    RunStepContext,
    Steering,
    detour_of,
    make_detour,
)
from orchestrator.execution.tasks import tasks
from orchestrator.execution.workflow_engine import Ready, WorkflowEngine, port_of
from storage.base import Channel, QueueStore
from storage.codec import encode

if TYPE_CHECKING:
    from orchestrator.execution.compiled import CompiledGraph
    from orchestrator.execution.recording import Recorder


class RunJoin(Join):
    """A join of a run: when a branch is run again, its newest state counts."""

    __slots__ = ()

    def put(self, place: int, item: NodeOutput | None) -> None:
        if item is not None or place not in self.arrived:
            self.arrived[place] = item


class RunContext(ExecutionContext):
    """One run. Made by `ExecutionContext.create`.

    completed: how often each node was, by id. gave: the state that each gave last.
    path: the nodes in the order they began, and how many that may be is `room`.
    stopped: the nodes that failed or were cancelled. over: the run ended, and not with an error.
    budgets: what is left of the budgets of edges, by edge id.
    earlier, completed_before, path_before, steps_before: results and so on before it was resumed.
    """

    run_id: str = ""
    tools: Tools
    recorder: "Recorder | None" = None
    checkpoint_asked: bool = False
    ending: RunEnded | None = None
    terminated: str | None = None
    over: bool = False
    earlier: Mapping[str, Any] = {}
    completed_before: Mapping[str, int] = {}
    path_before: Sequence[str] = ()
    steps_before: int = 0
    _channel: RunChannel | None = None
    _make_channel: Callable[[], Channel] | None = None
    _stores: Stores | None = None
    _run_scope: Scope | None = None

    def __init__(self, graph: "CompiledGraph", start_node: str, limits: RunLimits) -> None:
        self.graph = graph
        self.start_node = start_node
        self.limits = limits
        self.max_steps = self.room = limits.max_steps
        self.initial: dict[str, Any] = {}
        self.newest: dict[str, Any] = {}
        self.path: list[str] = []
        self.gave: dict[str, StateItem] = {}
        self.completed: dict[str, int] = {}
        self.stopped: dict[str, NodeState] = {}
        self.budgets: dict[str, int] = {}
        self.steered: dict[str, Steering] = {}

    @property
    def run(self) -> "RunContext":  # type: ignore[override]
        return self

    # what others see of it

    @property
    def state(self) -> dict[str, Any]:
        """The newest state; of a run that has ended, the final one."""
        return self.newest

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Nodes begun, each round of a cycle counted."""
        return self.steps_before + len(self.path)

    @property
    def results(self) -> dict[str, Any]:
        """What each node returned last."""
        return {**self.earlier, **{name: item.result for name, item in self.gave.items()}}

    @property
    def channel(self) -> RunChannel:
        """The run's shared key and value."""
        if self._channel is None:
            made = self._make_channel() if self._make_channel else self._opened().channel()
            self._channel = RunChannel(made)
        return self._channel

    @property
    def open_channel(self) -> RunChannel | None:
        """The channel, if there can be anything in it."""
        if self._channel is None and self._make_channel is None and self._stores is None:
            return None
        return self.channel

    @property
    def queue(self) -> QueueStore:
        """The queues of the backend that was chosen, for what leaves the process."""
        return self._opened().queue()

    def _opened(self) -> Stores:
        if self._stores is None:
            self._stores = Stores("memory", "memory", "", self.identity)
        return self._stores

    async def close(self) -> None:
        """Give the connections back, of a context on Redis."""
        if self._stores is not None:
            await self._stores.close()

    @property
    def identity(self) -> str:
        """The id of the run; one is made for a run that was given none."""
        self.run_id = self.run_id or uuid.uuid4().hex
        return self.run_id

    @property
    def node_states(self) -> dict[str, NodeState]:
        """The state of every node of the graph, and of new tasks."""
        unreached = NodeState.SKIPPED if self.over else NodeState.PENDING
        states = dict.fromkeys(self.graph.graph.nodes, unreached)
        states.update(dict.fromkeys(self.completed, NodeState.COMPLETED))
        states.update(dict.fromkeys(self.executing, NodeState.EXECUTING))
        return states | self.stopped

    @property
    def executing(self) -> list[str]:
        """The nodes that have begun and not ended, also because they failed."""
        ended = Counter(self.completed) - Counter(self.completed_before)
        return list((Counter(self.path) - ended).elements())

    @property
    def pending(self) -> list[str]:
        """The nodes that execute or are next, and the joins that wait."""
        if self.recorder is not None:
            ahead = [step.id for step, _ in self.recorder.pending]
        else:
            ahead = [node_id for node_id in self.executing if node_id not in self.stopped]
        return [*ahead, *(self.joins or ())]

    @property
    def scope(self) -> Scope:  # type: ignore[override]
        if self._run_scope is None:
            self._run_scope = Scope(
                workflow=self.graph.id, version=0, activation=0, loop="", mode="run",
                tools=self.tools, max_steps=self.max_steps,
            )  # fmt: skip
        return self._run_scope

    # what the engine asks of it

    def at(self, step: Step, item: NodeOutput) -> RunStepContext:
        return RunStepContext(self, step.id)

    def new_join(self, size: int) -> Join:
        return RunJoin(size)

    def merge(self, step: Step, items: Sequence[NodeOutput]) -> NodeOutput | None:
        """Join what the branches changed since they forked."""
        if len(items) < 2:
            return items[0] if items else None
        base = self.gave.get(self.graph.bases.get(step.id, ""))
        for item in items:
            item.taken = True  # type: ignore[attr-defined]
        data = merge_changes(base.data if base else self.initial, [item.data for item in items])
        return items[0].with_data(data)

    def note(self, ready: "Sequence[tuple[Step, NodeOutput]]") -> None:
        if self.recorder is not None:
            self.recorder.pending += ready

    def turn(self, route: Route) -> Step:
        edge = route.limited
        if edge is None or edge.budget is None:
            return route.target
        left = self.budgets.get(edge.id, edge.budget)
        if left > 0:
            self.budgets[edge.id] = left - 1
            return route.target
        if edge.on_limit is not None:
            return self.graph.plan.steps[edge.on_limit]
        raise EdgeLimitExceeded(edge.budget, (*self.path, edge.target))

    async def advance(
        self, engine: WorkflowEngine, step: Step, item: NodeOutput, output: NodeOutput | None
    ) -> Ready:
        """Tell what runs after a step, by what it asked for or else by its edges, and record it."""
        steering = self.steered.pop(step.id, None) if self.steered else None
        port = port_of(step, item, output) if step.conditional else _port_of(step)
        ready = self._next(engine, step, output, port, steering)
        if self.recorder is not None:
            again = steering is not None and steering.iterates
            await self.recorder.ended(step, item, port, ready, again=again)
        if self.terminated is not None:
            raise RunEnded(RunStatus.TERMINATED, self.terminated)
        return ready

    def _next(
        self,
        engine: WorkflowEngine,
        step: Step,
        output: NodeOutput | None,
        port: str,
        steering: Steering | None,
    ) -> Ready:
        if steering is None:
            if isinstance(step, DetourStep) and len(step.detour.tasks) > 1 and output is not None:
                left = step.detour
                rest = Detour(
                    tasks=left.tasks[1:], after=left.after, port=left.port, jump=left.jump
                )
                return [(make_detour(self, rest), output)]
            return engine.leave(self, step, output, port)
        if steering.terminated is not None:
            self.terminated = steering.terminated
            return []
        state = output if output is not None else self.gave[step.id]
        if steering.iterates:
            return [(step, state.with_data(dict(steering.iteration or {})))]
        detour = detour_of(steering, step, port)
        if detour is not None:
            return [(make_detour(self, detour), state)]
        return [(self.graph.plan.steps[steering.jump or ""], state)]

    # what its steps tell it

    def limit(self, limits: RunLimits) -> None:
        """Have other limits."""
        self.limits = limits
        self.max_steps = limits.max_steps
        self.room = limits.max_steps - self.steps_before

    def resumed(self, snapshot: Snapshot) -> None:
        """Count on from where another run was."""
        self.earlier = snapshot.results
        self.completed = dict(snapshot.completed)
        self.completed_before = snapshot.completed
        self.path_before = snapshot.flags["path"]
        self.steps_before = snapshot.steps
        self.room = self.max_steps - snapshot.steps

    def begin(self, node_id: str, item: StateItem) -> None:
        """Take note that a node begins with a state.

        Raises:
            RunEnded: the run was cancelled, or has taken as many steps as it may.
        """
        if self.ending is not None:
            raise self.ending
        if len(self.path) >= self.room:
            error = StepLimitExceeded(self.max_steps, (*self.path, node_id))
            raise RunEnded(RunStatus.FAILED, error.message, error)
        self.path.append(node_id)
        item.taken = True

    def end(self, node_id: str, item: StateItem, output: Any) -> StateItem | None:
        """Take note of what a node returned, and return it as the state it made."""
        if output.__class__ is not StateItem:
            made = self._state_of(node_id, item, output)
        else:
            made = output.with_data(output.data) if output is item else output
            if made.result is None and made.data is not item.data:
                made.result = _changed(item.data, made.data)
        if self.recorder is not None:
            encode(made.data, self.limits.state_bytes)
        self.stopped.pop(node_id, None)
        self.completed[node_id] = self.completed.get(node_id, 0) + 1
        self.gave[node_id] = made
        self.newest = made.data
        return made if output is not None else None

    def _state_of(self, node_id: str, item: StateItem, output: Any) -> StateItem:
        if output is None:  # it passes nothing on: what it got is where this way ends
            return item.with_data(item.data)
        if not isinstance(output, NodeOutput):
            raise TypeError(f"'{node_id}' returned {type(output).__name__}, which is no item")
        return StateItem(item.id, output.data, self, _changed(item.data, output.data))

    def failed(self, node_id: str, item: StateItem, error: BaseException) -> None:
        """Take note that a node raised, and keep the state it got as the run's."""
        if isinstance(error, Exception):
            self.stopped[node_id] = NodeState.FAILED
            self.newest = item.data
            if self.recorder is not None:
                self.recorder.faults.append((node_id, error))
        else:
            self.stopped[node_id] = NodeState.CANCELLED

    def steer(self, node_id: str, item: StateItem, steering: Steering) -> None:
        """Keep what a node asked for until it is left.

        Raises:
            RunEnded: it cancelled the run.
        """
        if steering.cancelled is not None:
            self.stopped[node_id] = NodeState.CANCELLED
            self.newest = item.data
            raise cancelled(steering.cancelled)
        self.steered[node_id] = steering

    def check_portable(self, task: Any) -> None:
        """Raise NotPortable for a task that a recorded run could not name."""
        if self.recorder is not None:
            tasks.spec(task, {})

    def final_state(self) -> dict[str, Any]:
        """Return what the last nodes of all branches gave, as a join would have it."""
        ends = [item for item in self.gave.values() if not item.taken]
        if len(ends) == 1:
            return ends[0].data
        if not ends:
            return self.newest
        steps = self.graph.plan.steps
        loose = [(n, item) for n, item in self.gave.items() if not item.taken]
        loose.sort(key=lambda end: steps[end[0]].rank if end[0] in steps else (0, 0))
        return merge_changes(self.initial, [item.data for _, item in loose])


def cancelled(message: str) -> RunEnded:
    """Return the end of a run that was cancelled."""
    error = WorkflowCancelled(message)
    return RunEnded(RunStatus.CANCELLED, message, error)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Json]:
    """Return what a node that is no function put into the state."""
    return {k: v for k, v in after.items() if k not in before or before[k] is not v}


def _port_of(step: Step) -> str:
    return step.port if isinstance(step, DetourStep) else "default"
