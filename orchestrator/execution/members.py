"""Members of a group: functions, tasks and groups, made into calls for one state."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from nodes.contract import Json, NodeConfig, Tools
from orchestrator.exceptions import (
    NotPortable,
    SteeringRefused,
    StepLimitExceeded,
    WorkflowCancelled,
)
from orchestrator.execution.functions import FunctionNode
from orchestrator.execution.pools import Here, MemberCall
from orchestrator.execution.run_types import DEFAULT_MAX_STEPS
from orchestrator.execution.tasks import TaskSpec, function_of, is_async, tasks

if TYPE_CHECKING:
    from orchestrator.execution.groups import Group

State = Mapping[str, Any]
_SHARED = frozenset(("channel", "results", "tools", "steps", "max_steps", "node_states", "mode"))


class MemberContext:
    """What a member that declares `context` gets: the context of the group, and control over
    nothing but itself."""

    def __init__(self, parent: Any, name: str, state: State) -> None:
        self._parent = parent
        self._name = name
        self.state = state
        self.next_state: State | None = None
        self.cancelled: str | None = None

    @property
    def idempotency_key(self) -> str:
        """Stable over retries of the group, and of this member alone."""
        return f"{self._parent.idempotency_key}.{self._name}"

    def next_iteration(self, data: State) -> None:
        """Have this member run again, with `data` as its state, when it has returned."""
        if not isinstance(data, dict):
            raise SteeringRefused(f"next_iteration takes a state, not {type(data).__name__}")
        self.next_state = data

    def cancel_workflow(self, message: str = "") -> None:
        """Cancel this member: it counts as failed, whatever it returns."""
        self.cancelled = message

    def next_task(self, task: Any, goto: bool = False) -> NoReturn:
        """Refused: see `SteeringRefused`."""
        self._refuse("next_task")

    def terminate_workflow(self, message: str = "") -> NoReturn:
        """Refused: see `SteeringRefused`."""
        self._refuse("terminate_workflow")

    def checkpoint(self) -> NoReturn:
        """Refused: see `SteeringRefused`."""
        self._refuse("checkpoint")

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED:
            return getattr(self._parent, name)
        raise AttributeError(f"a member of a group has no context.{name}")

    def _refuse(self, control: str) -> NoReturn:
        raise SteeringRefused(
            f"{control} in the member {self._name!r}: a member of a group steers only itself, with "
            "next_iteration and cancel_workflow"
        )

    def after(self) -> State | None:
        """Return the state of the next round, or None behind the last.

        Raises:
            WorkflowCancelled: the member has cancelled itself.
        """
        if self.cancelled is not None:
            raise WorkflowCancelled(self.cancelled or f"the member {self._name!r} cancelled itself")
        return self.next_state


class FunctionMember:
    """A function, or what `@task` made of one: it gets its arguments as a node of a run does."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        self._function: Callable[..., Any] = function_of(function)
        self._node = FunctionNode(
            NodeConfig(id=name, type=FunctionNode.identifier),
            self._function,
            state_first=function is self._function,
            thread=getattr(function, "thread", False),
        )
        self.is_async = is_async(self._function) or getattr(function, "thread", False)

    @property
    def definition(self) -> Json:
        return getattr(self._function, "__qualname__", type(self._function).__name__)

    def call(self, state: State, context: Any, results: State) -> MemberCall:
        run: Callable[[Here], Awaitable[Any]]
        if not self._node.plain:
            run = partial(self._rounds, state, context, results)
        elif self.is_async:
            run = partial(self._apart, dict(state))  # a copy: a member may write into its own
        else:
            run = partial(self._here, dict(state))
        return MemberCall(name=self.name, run=run, is_async=self.is_async)

    def _apart(self, state: State, here: Here) -> Awaitable[Any]:
        called: Awaitable[Any] = self._node.call(state)
        return called

    def _here(self, state: State, here: Here) -> Awaitable[Any]:
        return here(partial(self._function, state))

    async def _rounds(self, state: State, parent: Any, results: State, here: Here) -> Any:
        for _ in range(DEFAULT_MAX_STEPS):
            context = MemberContext(parent, self.name, state)
            arguments, named = await self._node.fill(state, results, _channel(parent), context)
            if self.is_async:
                value = await self._node.call(*arguments, **named)
            else:
                value = await here(partial(self._function, *arguments, **named))
            again = context.after()
            if again is None:
                return value
            state = again
        raise StepLimitExceeded(DEFAULT_MAX_STEPS, (self.name,))

    async def task(self, state: State, context: Any, results: State) -> TaskSpec:
        """Return the call as a task that may leave the process.

        Raises:
            NotPortable: it takes a context, or its function is not registered by name.
        """
        if self._node.contextual:
            raise NotPortable(
                f"the member {self.name!r} takes a context, which does not leave the process"
            )
        arguments, named = await self._node.fill(state, results, _channel(context), None)
        names = list(inspect.signature(self._function).parameters)
        return tasks.spec(self._function, {**dict(zip(names, arguments, strict=False)), **named})


class ToolCall:
    """A tool with its arguments; what leaves the process is the task `tool`."""

    def __init__(self, tool: str, arguments: Mapping[str, Any], tools: Tools) -> None:
        self.spec = TaskSpec(name="tool", arguments={"name": tool, "arguments": dict(arguments)})
        self._call = partial(tools.call, tool, arguments)

    async def __call__(self, here: Here) -> Any:
        return await self._call()


class TaskMember:
    """A call that is given with all its arguments."""

    def __init__(self, name: str, task: TaskSpec | ToolCall) -> None:
        self.name = name
        self._tool = task if isinstance(task, ToolCall) else None
        self._task = task.spec if isinstance(task, ToolCall) else task
        known = self._tool is None and self._task.name in tasks
        self.is_async = not known or is_async(tasks.get(self._task.name))

    @property
    def definition(self) -> Json:
        return [self._task.name, dict(self._task.arguments)]

    def call(self, state: State, context: Any, results: State) -> MemberCall:
        if self._tool is None:
            return task_call(self.name, self._task)
        return MemberCall(name=self.name, run=self._tool, is_async=True)

    async def task(self, state: State, context: Any, results: State) -> TaskSpec:
        return self._task


def task_call(name: str, task: TaskSpec) -> MemberCall:
    """Return the call of a member of which only the task is known; one that nobody has registered
    fails when it is run."""

    def run(here: Here) -> Awaitable[Any]:
        function = tasks.get(task.name)
        called: Awaitable[Any]
        if is_async(function):
            called = function(**task.arguments)
            return called
        return here(partial(function, **task.arguments))

    plain = task.name in tasks and not is_async(tasks.get(task.name))
    return MemberCall(name=name, run=run, is_async=not plain, task=task)


class GroupMember:
    """A group in a group: its members run where that group says."""

    def __init__(self, name: str, group: "Group") -> None:
        self.name = name
        self.is_async = group.is_async
        self._group = group

    @property
    def definition(self) -> Json:
        return self._group.definition

    def call(self, state: State, context: Any, results: State) -> MemberCall:
        return MemberCall(
            name=self.name, run=partial(self._run, state, context, results), is_async=True
        )

    def _run(self, state: State, context: Any, results: State, here: Here) -> Awaitable[Any]:
        return self._group.run(state, context, results)


def _channel(context: Any) -> Any:
    return getattr(context, "channel", None)
