"""Functions as nodes of a run: how they get their arguments, and what becomes of the answer."""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nodes.contract import DEFAULT_PORT, NodeConfig, NodeContext, NodeKind, NodeOutput, PoolType
from orchestrator.exceptions import NodeFailed, Problem, RegistryError
from orchestrator.execution.channels import RunChannel
from orchestrator.execution.places import within
from orchestrator.execution.tasks import Function, is_async
from storage.records import MISSING

if TYPE_CHECKING:
    from orchestrator.execution.run_context import RunContext

CONTEXT, STATE = "context", "state"
_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


_NO_METADATA: dict[str, Any] = {}


class StateItem(NodeOutput):
    """The state of a run on its way. `taken`: a node has it, or a join; what nobody took is what
    the run ends with. `result`: what the node returned that made it."""

    __slots__ = ("result", "run", "taken")

    def __init__(
        self, item_id: str, data: dict[str, Any], run: "RunContext", result: Any = None
    ) -> None:
        self.id = item_id
        self.data = data
        self.metadata = _NO_METADATA
        self.run = run
        self.taken = False
        self.result = result

    def with_data(self, data: dict[str, Any]) -> "StateItem":
        return StateItem(self.id, data, self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One that is filled by name. default: MISSING if it has none."""

    name: str
    default: Any
    positional: bool


class FunctionNode:
    """A function as a node: `nodes.contract.Node` without settings.

    Args:
        state_first: the first parameter gets the state whatever its name; else only `state` does.
        thread: a plain function is called in a thread, and does not hold the event loop up.

    Raises:
        RegistryError: this is not a function whose parameters can be told.
    """

    identifier: ClassVar[str] = "function"
    kind: ClassVar[NodeKind] = NodeKind.BLOCKING
    execution_pool: ClassVar[PoolType] = PoolType.ASYNC
    input_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    output_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    stateful: ClassVar[bool] = False
    queue_role: ClassVar[str | None] = None
    staged: ClassVar[bool] = False
    repeats: ClassVar[str | None] = None
    flushes_many: ClassVar[bool] = False
    flush_after: float | None = None
    templated = False
    state: Any = None

    def __init__(
        self, config: NodeConfig, function: Function, *, state_first: bool, thread: bool = False
    ) -> None:
        self.config = config
        self.function = function
        self.state_first = state_first
        self.thread = thread
        self.upstream: frozenset[str] | None = None
        """The nodes whose results fill parameters; None: any."""
        parameters = _parameters(function)
        self.takes_state = state_first and bool(parameters) and parameters[0].name != CONTEXT
        self.parameters = tuple(parameters[1:] if self.takes_state else parameters)
        self.contextual = any(p.name == CONTEXT for p in self.parameters)
        self.call = _called(function, thread, config.id)
        self.plain = self.takes_state and not self.parameters
        """Whether it wants the state and nothing else."""
        self.execute: Callable[..., Any] = self._with_context if self.contextual else self._by_name

    def copy(self) -> "FunctionNode":
        """Return a node of the same function, of which nothing is known to be upstream."""
        return FunctionNode(
            self.config, self.function, state_first=self.state_first, thread=self.thread
        )

    async def _by_name(self, item: StateItem) -> StateItem:
        return await self._with_context(item, None)

    async def _with_context(self, item: StateItem, context: NodeContext | None) -> StateItem:
        run = item.run
        results: Mapping[str, Any] = run.results
        if self.upstream is not None:
            results = {name: results[name] for name in self.upstream if name in results}
        return self.answered(item, await self.invoke(item.data, results, run.open_channel, context))

    async def invoke(
        self,
        state: Mapping[str, Any],
        results: Mapping[str, Any],
        channel: RunChannel | None,
        context: Any,
    ) -> Any:
        """Call the function with its parameters filled by name, and return what it returns.

        Raises:
            NodeFailed: a parameter has no value.
        """
        arguments, named = await self.fill(state, results, channel, context)
        return await self.call(*arguments, **named)

    async def fill(
        self,
        state: Mapping[str, Any],
        results: Mapping[str, Any],
        channel: RunChannel | None,
        context: Any,
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments by place and by name.

        Each gets a result of that name, or a key of the state, of the channel, or its default.

        Raises:
            NodeFailed: a parameter has no value.
        """
        arguments: list[Any] = [dict(state)] if self.takes_state else []
        named = {}
        for parameter in self.parameters:
            name = parameter.name
            if name == CONTEXT:
                value = context
            elif name in results:
                value = results[name]
            elif name in state:
                value = state[name]
            else:
                value = dict(state) if name == STATE else await self._other(parameter, channel)
            if parameter.positional:
                arguments.append(value)
            else:
                named[name] = value
        return arguments, named

    async def _other(self, parameter: Parameter, channel: RunChannel | None) -> Any:
        if channel is not None:
            value = await channel.get(parameter.name, MISSING)
            if value is not MISSING:
                return value
        if parameter.default is not MISSING:
            return parameter.default
        raise NodeFailed(
            f"the task '{self.config.id}' has no value for its parameter '{parameter.name}': no "
            "task before it, key of the state or of the channel has this name, and it has no "
            "default",
            node_id=self.config.id,
            error_type="MissingArgument",
        )

    def answered(self, item: StateItem, value: Any) -> StateItem:
        """Return the state after the function returned a value: a dict is merged into it, another
        value of a task becomes the key of its name.

        Raises:
            TypeError: a function on the state returned something else than a dict or None.
        """
        if isinstance(value, dict):
            return StateItem(item.id, {**item.data, **value}, item.run, value)
        if value is None:
            return StateItem(item.id, item.data, item.run)
        if not self.state_first:
            return StateItem(item.id, {**item.data, self.config.id: value}, item.run, value)
        raise TypeError(
            f"'{self.config.id}' returned {type(value).__name__}: a function on the state returns "
            "a dict of what it changed, or None"
        )

    def ports(self) -> tuple[str, ...]:
        return self.output_ports

    def validate(self) -> list[Problem]:
        return []

    def writes_path(self) -> str | None:
        return None

    async def init(self) -> None:
        """There is nothing to set up."""

    async def cleanup(self) -> None:
        """There is nothing to release."""

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        return None

    def render(self, item: NodeOutput) -> None:
        """There are no templates."""


def _parameters(function: Function) -> list[Parameter]:
    if not callable(function):
        raise RegistryError(f"{function!r} is not a function")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        raise RegistryError(f"{function!r} does not tell its parameters; wrap it") from None
    return [
        Parameter(
            name=p.name,
            default=MISSING if p.default is p.empty else p.default,
            positional=p.kind is p.POSITIONAL_ONLY,
        )
        for p in signature.parameters.values()
        if p.kind in _NAMED
    ]


def _called(function: Function, thread: bool, node_id: str) -> Callable[..., Any]:
    """Return the function as one that is awaited."""
    if is_async(function):
        return function

    async def in_line(*args: Any, **named: Any) -> Any:
        value = function(*args, **named)
        return await value if inspect.isawaitable(value) else value

    async def in_thread(*args: Any, **named: Any) -> Any:
        return await asyncio.to_thread(within, node_id, function, *args, **named)

    return in_thread if thread else in_line


def names_before(
    node_id: str, sources: Callable[[str], Sequence[str]], known: Mapping[str, Any]
) -> frozenset[str]:
    """Return the nodes that lead to a node; in a cycle it is one of them itself."""
    found: set[str] = set()
    ahead = [node_id]
    while ahead:
        new = [s for s in sources(ahead.pop()) if s not in found and s in known]
        found.update(new)
        ahead += new
    return frozenset(found)
