"""Groups: members compute on one state, share through the channel and wait at the barrier."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeAlias

from nodes.contract import (
    DEFAULT_PORT,
    Json,
    NodeConfig,
    NodeContext,
    NodeKind,
    NodeOutput,
    PoolType,
    Tools,
)
from nodes.group_rules import OPTIONS, errors_key, group_problems, settings_problems
from orchestrator.exceptions import NodeFailed, Problem, WorkflowInvalid
from orchestrator.execution.functions import StateItem
from orchestrator.execution.members import FunctionMember, GroupMember, TaskMember, ToolCall
from orchestrator.execution.outcomes import Outcome, cut_off
from orchestrator.execution.policies import Policy, make_rule
from orchestrator.execution.pools import (
    GroupExecutor,
    Here,
    InlineExecutor,
    find_executor,
    side_by_side,
)
from orchestrator.execution.tasks import TaskSpec, function_of

Member: TypeAlias = "Callable[..., Any] | TaskSpec | Group"


class Group:
    """Members and the rule by which their group succeeds.

    All members get the same state and wait for each other at the end. A member is a function of
    the state (and of a `context`, if it declares one), what `@task` made of one, a TaskSpec, or a
    group.

    Args:
        members: by name; or (name, member) pairs, or members that have a name of their own.
        policy: `strict`: any failure fails the group; `best_effort`: none does; `at_least_n`: `n`
            members must succeed; `critical`: the members named in `critical` must; or a function
            of the list of outcomes that raises. A group whose policy cannot be met any more is
            over at once: what has not ended is cancelled.
        timeout, member_timeout: seconds for the group, and for each member; a member that is late
            has failed with NodeTimeout.
        executor: `inline`, `thread`, `process`, `distributed`, or an executor of your own. A group
            in the group has its own.

    Raises:
        WorkflowInvalid: with every problem; paths are those of the arguments.
    """

    def __init__(
        self,
        name: str,
        members: Mapping[str, Member] | Iterable[Any],
        *,
        policy: str | Policy = "strict",
        n: int | None = None,
        critical: Sequence[str] = (),
        timeout: float | None = None,
        member_timeout: float | None = None,
        executor: str | GroupExecutor = "inline",
    ) -> None:
        pairs = _pairs(members)
        names = [member_name for member_name, _ in pairs]
        self.name = name
        self._settings: dict[str, Any] = {
            "policy": policy,
            "n": n,
            "critical": critical,
            "timeout": timeout,
            "member_timeout": member_timeout,
            "executor": executor,
        }
        _refuse(name, group_problems(name, names, **self._settings))
        self._errors_key = errors_key(name)
        self._limits = {"timeout": timeout, "member_timeout": member_timeout}
        self._executor = executor
        self._rule = make_rule(policy, names, n, critical)
        self._members = [_member(*pair) for pair in pairs]
        self._refuse_endless()

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members, in their order."""
        return tuple(member.name for member in self._members)

    @property
    def is_async(self) -> bool:
        """Whether no member computes in the event loop."""
        return self._executor != "inline" or all(member.is_async for member in self._members)

    @property
    def definition(self) -> dict[str, Json]:
        """What the group is, in JSON types and by names: what makes it another one, changes it."""
        settings = {
            key: sorted(value) if key == "critical" else _shown(value)
            for key, value in self._settings.items()
        }
        return {**settings, "members": [[m.name, m.definition] for m in self._members]}

    async def run(
        self,
        state: Mapping[str, Any],
        context: NodeContext | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run the members on a state and return their results by name.

        If members failed and the policy allows that, `<group>_errors` says of each what it failed
        with: `{"type", "message"}`.

        Args:
            results: of the tasks before, by which parameters of members are filled.

        Raises:
            GroupFailed: the policy is not met; it names each failed member and its error.
            NotPortable: a member cannot go where the executor runs it; none has begun.
        """
        outcomes = await self._outcomes(state, context, results or {})
        self._rule.settle(self.name, outcomes)
        found = {outcome.name: outcome.value for outcome in outcomes if outcome.ok}
        if len(found) < len(outcomes):
            found[self._errors_key] = {
                outcome.name: {"type": outcome.error_type, "message": outcome.message}
                for outcome in outcomes
                if not outcome.ok
            }
        return found

    async def _outcomes(
        self, state: Mapping[str, Any], context: Any, before: Mapping[str, Any]
    ) -> list[Outcome]:
        executor = find_executor(self._executor)
        stop = self._rule.stop()
        calls = [member.call(state, context, before) for member in self._members]
        if not executor.portable:
            return await executor.run(calls, **self._limits, stop=stop)
        near, away = [], []
        for call, member in zip(calls, self._members, strict=True):
            if isinstance(member, GroupMember):
                near.append(call)
                continue
            try:
                call.task = await member.task(state, context, before)
            except NodeFailed as error:  # a parameter has no value: the member fails, and not all
                call.run = partial(_fail, error)
                near.append(call)
            else:
                away.append(call)
        both = ((InlineExecutor(), near), (executor, away))
        found = await side_by_side([part for part in both if part[1]], self._limits, stop)
        return [found.get(call.name) or cut_off(call.name) for call in calls]

    def _refuse_endless(self) -> None:
        limits = [key for key, seconds in self._limits.items() if seconds is not None]
        if limits and not self.is_async:
            plain = [member.name for member in self._members if not member.is_async]
            told = (
                f"cannot end {', '.join(plain)}, which runs in the event loop: make it async, or "
                "choose the executor thread or process"
            )
            _refuse(self.name, [Problem(limits[0], told)])


class GroupNode:
    """A group as a node of a graph: its results are merged into the state."""

    identifier: ClassVar[str] = "group"
    kind: ClassVar[NodeKind] = NodeKind.BLOCKING
    execution_pool: ClassVar[PoolType] = PoolType.ASYNC
    input_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    output_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    stateful: ClassVar[bool] = False
    queue_role: ClassVar[str | None] = None
    staged: ClassVar[bool] = False
    repeats: ClassVar[str | None] = None
    flushes_many: ClassVar[bool] = False
    templated = False
    flush_after: float | None = None

    def __init__(self, config: NodeConfig, group: Group) -> None:
        self.config = config
        self.group = group
        self.state: Json = None
        self.upstream: frozenset[str] | None = None
        """The nodes whose results fill parameters of members; None: any."""

    def ports(self) -> tuple[str, ...]:
        return self.output_ports

    def validate(self) -> list[Problem]:
        return []  # a group refuses what is wrong when it is made

    def writes_path(self) -> str | None:
        return None

    async def init(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        return None

    def render(self, item: NodeOutput) -> None: ...

    async def execute(self, item: NodeOutput, context: NodeContext) -> NodeOutput:
        """Run the group on the item's data."""
        before = getattr(context, "results", {})
        if self.upstream is not None:
            before = {name: before[name] for name in self.upstream if name in before}
        found = await self.group.run(item.data, context, before)
        state = {**item.data, **found}
        if isinstance(item, StateItem):
            return StateItem(item.id, state, item.run, found)
        return item.with_data(state)


def tool_group(name: str, settings: Mapping[str, Any], tools: Tools) -> Group:
    """Make a group of tools from its JSON form.

    Args:
        settings: policy, n, critical, timeout, member_timeout, executor, and members:
            `[{"name", "tool", "arguments"}]`. A member with `members` in the place of a tool is a
            group with settings of its own.

    Raises:
        WorkflowInvalid: see Group.
    """
    _refuse(name, settings_problems(name, settings))
    return _tool_group(name, settings, tools)


def _tool_group(name: str, settings: Mapping[str, Any], tools: Tools) -> Group:
    options = {key: value for key in OPTIONS if (value := settings.get(key)) is not None}
    members = [(each["name"], _tool_member(each, tools)) for each in settings["members"]]
    return Group(name, members, **options)


def _tool_member(settings: Mapping[str, Any], tools: Tools) -> Member:
    if "members" in settings:
        return _tool_group(settings["name"], settings, tools)
    return ToolCall(settings["tool"], settings.get("arguments") or {}, tools)


def _pairs(members: Mapping[str, Any] | Iterable[Any]) -> list[tuple[str, Any]]:
    if isinstance(members, Mapping):
        return list(members.items())
    return [m if isinstance(m, tuple) else (_name_of(m), m) for m in members]


def _name_of(member: Any) -> str:
    return str(getattr(member, "name", None) or getattr(function_of(member), "__name__", ""))


def _member(name: str, member: Any) -> FunctionMember | TaskMember | GroupMember:
    if isinstance(member, Group):
        return GroupMember(name, member)
    if isinstance(member, TaskSpec | ToolCall):
        return TaskMember(name, member)
    return FunctionMember(name, member)


async def _fail(error: NodeFailed, here: Here) -> NoReturn:
    raise error


def _shown(value: Any) -> Json:
    plain = value is None or isinstance(value, str | int | float)
    return value if plain else _name_of(value) or type(value).__name__


def _refuse(group: str, problems: Iterable[Problem]) -> None:
    found = tuple(problems)
    if found:
        told = "; ".join(f"{problem.path}: {problem.message}" for problem in found)
        raise WorkflowInvalid(f"the group {group!r}: {told}", problems=found)
