"""Steering: what the tasks of a run ask for, and which of it is done once they have returned.

The priority is cancel > terminate > goto and jump > next_iteration > new tasks > the edges. What
has a smaller priority than something else that was asked for in the same round is not done.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodes.contract import DEFAULT_PORT, Json, NodeConfig, NodeOutput
from orchestrator.exceptions import SteeringRefused
from orchestrator.execution.channels import RunChannel
from orchestrator.execution.context import StepContext
from orchestrator.execution.functions import FunctionNode
from orchestrator.execution.groups import tool_group
from orchestrator.execution.plan import Route, Step
from orchestrator.execution.tasks import function_of
from orchestrator.flow.graph import FlowNode

if TYPE_CHECKING:
    from orchestrator.execution.run_context import RunContext


@dataclass(slots=True, kw_only=True)
class Steering:
    """What one round of a task asked for. None and empty: it did not.

    tasks: new ones, in the order to run. jump: the node to go to. goto: successors are skipped.
    """

    cancelled: str | None = None
    terminated: str | None = None
    tasks: list[Any] = field(default_factory=list)
    jump: str | None = None
    goto: bool = False
    iteration: dict[str, Any] | None = None

    @property
    def iterates(self) -> bool:
        """Whether the task runs again: nothing with a greater priority was asked for."""
        greater = self.terminated is not None or self.jump is not None or self.goto
        return self.iteration is not None and not greater


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """New tasks, and what follows the last of them: the edges of node `after`, as if that had left
    by `port`; or node `jump`; or nothing."""

    tasks: tuple[Any, ...]
    after: str | None = None
    port: str = DEFAULT_PORT
    jump: str | None = None


class DetourStep(Step):
    """A new task that is no node of the graph."""

    __slots__ = ("detour", "port")

    def __init__(self, flow_node: FlowNode, detour: Detour) -> None:
        super().__init__(flow_node)
        self.detour = detour
        self.port = DEFAULT_PORT


class RunStepContext(StepContext):
    """A run as one of its tasks sees it: the parameter `context`."""

    __slots__ = ("_run", "item", "steering")
    item: NodeOutput

    def __init__(self, run: "RunContext", node_id: str) -> None:
        super().__init__(run, node_id)
        self._run = run
        self.steering: Steering | None = None

    @property
    def state(self) -> dict[str, Any]:
        """The state that the task got. Treat it as immutable: what it changes, it returns."""
        return self.item.data

    @property
    def results(self) -> Mapping[str, Any]:
        """What each task has returned last, by name."""
        return self._run.results

    @property
    def channel(self) -> RunChannel:
        return self._run.channel

    @property
    def steps(self) -> int:
        """Tasks begun so far, this one included."""
        return self._run.steps

    @property
    def max_steps(self) -> int:
        return self._run.max_steps

    @property
    def node_states(self) -> Mapping[str, str]:
        return self._run.node_states

    @property
    def idempotency_key(self) -> str:
        """The same when this round is executed again after a crash; another in another round."""
        run = self._run
        rounds = run.completed.get(self._node_id, 0)
        text = f"{run.graph.id}|{self._node_id}|{run.identity}|{rounds}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def emit(self, queue: str, item: NodeOutput) -> None:
        raise SteeringRefused(f"a run has no queue {queue!r}: queues belong to loops")

    def stage(self, effect: Json) -> None:
        raise SteeringRefused("a run stages nothing: effects are committed by loops")

    async def run_group(self, name: str, settings: Mapping[str, Json]) -> dict[str, Json]:
        return await tool_group(name, settings, self.tools).run(self.state, self)

    def new_item(self, data: dict[str, Json]) -> NodeOutput:
        return self.item.with_data(data)

    def checkpoint(self) -> None:
        """Have a checkpoint taken when this task has returned; for a run that is recorded."""
        self._run.checkpoint_asked = True

    def next_task(self, task: Any, goto: bool = False) -> None:
        """Say what runs next, when this task has returned.

        Args:
            task: a new function or task: it runs before the successors. A node of the graph, by
                its name, function or task: the run jumps there, and the successors are skipped.
            goto: skip the successors for a new task, too.

        Raises:
            SteeringRefused: no node has the name, or this task jumps elsewhere already.
            NotPortable: the run is recorded, and nobody could name the new task after a crash.
        """
        steering = self._asked()
        node_id = self._run.graph.find(task)
        if node_id is not None:
            if steering.jump not in (None, node_id):
                raise SteeringRefused(
                    f"'{self._node_id}' jumps to '{steering.jump}' already, and not to '{node_id}'"
                )
            steering.jump = node_id
            return
        if isinstance(task, str):
            raise SteeringRefused(f"no node has the name {task!r}; give the task itself")
        self._run.check_portable(task)
        steering.tasks.append(task)
        steering.goto = steering.goto or goto

    def next_iteration(self, data: dict[str, Json]) -> None:
        """Run this task again with `data` as the state; successors wait for its last round."""
        if not isinstance(data, dict):
            raise SteeringRefused(f"next_iteration takes a state, not {type(data).__name__}")
        self._asked().iteration = data

    def terminate_workflow(self, message: str = "") -> None:
        """End the run when this task has returned; the task counts, and nothing is raised."""
        self._asked().terminated = message

    def cancel_workflow(self, message: str = "") -> None:
        """Cancel the run when this task has returned; the task does not count."""
        self._asked().cancelled = message

    def _asked(self) -> Steering:
        if self.steering is None:
            self.steering = Steering()
        return self.steering


def detour_of(steering: Steering, step: Step, port: str) -> Detour | None:
    """Return the new tasks that are to run behind a step; None if there are none."""
    if not steering.tasks:
        return None
    tasks = tuple(steering.tasks)
    if steering.jump is not None:
        return Detour(tasks=tasks, jump=steering.jump)
    if steering.goto:
        return Detour(tasks=tasks)
    if isinstance(step, DetourStep):  # a new task that asks for another: what was behind it waits
        left = step.detour
        rest = (*tasks, *left.tasks[1:])
        return Detour(tasks=rest, after=left.after, port=left.port, jump=left.jump)
    return Detour(tasks=tasks, after=step.id, port=port)


def make_detour(run: "RunContext", detour: Detour) -> DetourStep:
    """Make the first step of a detour; those behind it are made when it has ended."""
    task = detour.tasks[0]
    function = function_of(task)
    name = str(getattr(task, "name", None) or getattr(function, "__name__", "task"))
    node_id, number = name, 2
    while node_id in run.graph.graph.nodes:
        node_id, number = f"{name}_{number}", number + 1
    config = NodeConfig(id=node_id, type=FunctionNode.identifier)
    node = FunctionNode(
        config, function, state_first=task is function, thread=getattr(task, "thread", False)
    )
    step = DetourStep(
        FlowNode(id=node_id, type=config.type, index=0, config=config, node=node), detour
    )
    if len(detour.tasks) == 1:
        if detour.after is not None:
            step.routes = run.graph.plan.steps[detour.after].routes
        elif detour.jump is not None:
            step.routes = (to(run.graph.plan.steps[detour.jump]),)
        step.port = detour.port
    run.graph.arm(step)
    return step


def to(target: Step) -> Route:
    """Return a way to a step that no join waits for."""
    return Route(DEFAULT_PORT, None, target, 0, True)
