"""Tasks, and what `>>` and `|` make of them."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from typing import Any, overload

from nodes.contract import NodeConfig
from orchestrator.execution.functions import CONTEXT, STATE, FunctionNode
from orchestrator.execution.groups import Group
from orchestrator.execution.tasks import Function, tasks

_flows: ContextVar["list[Flow] | None"] = ContextVar("flows", default=None)


class Flow:
    """Tasks and groups connected with `>>`. heads and tails: where it begins and ends."""

    def __init__(
        self,
        nodes: dict[str, Any],
        edges: list[tuple[str, str]],
        heads: list[str],
        tails: list[str],
    ) -> None:
        self.nodes, self.edges, self.heads, self.tails = nodes, edges, heads, tails

    def __rshift__(self, other: Any) -> "Flow":
        return self.before(other)

    def __rrshift__(self, other: Any) -> "Flow":
        return flow_of(other).before(self)

    def before(self, other: Any) -> "Flow":
        """Return this with all of its tails leading to all heads of the other."""
        then = flow_of(other)
        edges = [(tail, head) for tail in self.tails for head in then.heads]
        nodes = {**self.nodes, **then.nodes}
        flow = Flow(nodes, [*self.edges, *edges, *then.edges], self.heads, then.tails)
        open_flows = _flows.get()
        if open_flows is not None:
            open_flows.append(flow)
        return flow

    @staticmethod
    def begin() -> "Token[list[Flow] | None]":
        """Collect what is connected from now on."""
        return _flows.set([])

    @staticmethod
    def end(token: "Token[list[Flow] | None]") -> "list[Flow]":
        """Return what was connected since `begin`."""
        found = _flows.get() or []
        _flows.reset(token)
        return found


class Task:
    """A function whose parameters are filled by name; call it and it is the function still.

    name: of its node and of its result. function: as it was defined.
    """

    def __init__(self, function: Function, *, name: str | None = None, thread: bool = False):
        self.function = function
        self.name = name or function.__name__
        self.thread = thread
        self.__doc__ = function.__doc__
        self.__name__ = self.name
        self.__wrapped__ = function

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.function(*args, **named)

    def __rshift__(self, other: Any) -> Flow:
        return flow_of(self).before(other)

    def __rrshift__(self, other: Any) -> Flow:
        return flow_of(other).before(self)

    def __or__(self, other: Any) -> "Parallel":
        return Parallel([self]).beside(other)

    def __repr__(self) -> str:
        return f"<task {self.name}>"


class Parallel:
    """Tasks and groups that run side by side: what `|` makes. It becomes a strict Group."""

    def __init__(self, members: Iterable[Any]) -> None:
        self.members = list(members)
        self.name = " | ".join(member.name for member in self.members)

    def __or__(self, other: Any) -> "Parallel":
        return self.beside(other)

    def __ror__(self, other: Any) -> "Parallel":
        return Parallel([other]).beside(self)

    def beside(self, other: Any) -> "Parallel":
        """Return this with one more task or group, or with all that another has."""
        more = other.members if isinstance(other, Parallel) else [other]
        return Parallel([*self.members, *more])

    def __rshift__(self, other: Any) -> Flow:
        return flow_of(self).before(other)

    def __rrshift__(self, other: Any) -> Flow:
        return flow_of(other).before(self)

    def group(self, name: str | None = None, **options: Any) -> Group:
        """Return the group, for another policy or executor than the default: see Group."""
        return Group(name or self.name, [(m.name, member_of(m)) for m in self.members], **options)


def flow_of(part: Any) -> Flow:
    """Return a flow of one part.

    Raises:
        TypeError: it is no task, group or flow.
    """
    if isinstance(part, Flow):
        return part
    if isinstance(part, Parallel):
        part = part.group()
    if isinstance(part, Task | Group):
        return Flow({part.name: part}, [], [part.name], [part.name])
    raise TypeError(f"{part!r} is no task: put @task before its definition")


def member_of(part: Any) -> Any:
    """Return a task as a member of a group: a function of the group's state and context.

    One that takes nothing but the state is left as it is, and may run wherever its group does.
    """
    if not isinstance(part, Task):
        return part
    config = NodeConfig(id=part.name, type=FunctionNode.identifier)
    node = FunctionNode(config, part.function, state_first=False, thread=part.thread)
    if {p.name for p in node.parameters} <= {STATE, CONTEXT}:
        return part.function

    async def member(state: Any, context: Any) -> Any:
        return await node.invoke(state, context.results, context.channel, context)

    return member


@overload
def task(function: Function) -> Task: ...
@overload
def task(*, name: str | None = None, thread: bool = False) -> Callable[[Function], Task]: ...
def task(
    function: Function | None = None, *, name: str | None = None, thread: bool = False
) -> Task | Callable[[Function], Task]:
    """Make a task of a function: `@task`, or `@task(name=...)`.

    Its parameters are filled by name: the result of a task before it, a key of the state, of the
    channel, its default; `state` gets all of the state and `context` steers the run. What it
    returns is its result. A dict is merged into the state, another value becomes the key of the
    task's name.

    One that is defined at the top of a module is registered as `<module>.<name>`, or under the name
    that is given, so that it can be queued and checkpointed.

    Args:
        thread: call a plain function in a thread; in line it holds the event loop up.
    """

    def make(function: Function) -> Task:
        made = Task(function, name=name, thread=thread)
        place = f"{function.__module__}.{function.__qualname__}"
        if "<" not in place:
            tasks.register(name or place, function)
        return made

    return make if function is None else make(function)
