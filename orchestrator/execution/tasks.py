"""Tasks by name: what may be queued or checkpointed is a name and JSON arguments, never code."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import DuplicateTask, NotPortable, RegistryError, UnknownTask

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A call that any process can make which has registered the name.

    name: under which the function is registered.
    arguments: given by keyword, JSON only.
    """

    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


class TaskRegistry:
    """Functions by name. Only what is registered is ever called: a name is never imported."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}
        self._names: dict[Function, str] = {}

    def register(self, name: str, function: Any) -> None:
        """Add a function, or what `@task` made of one; the same once more changes nothing.

        Raises:
            RegistryError: the name is empty, or this is not a function.
            DuplicateTask: another function has the name.
        """
        function = function_of(function)
        if not name or not callable(function):
            raise RegistryError(f"{name!r} needs a name and something that can be called")
        present = self._functions.setdefault(name, function)
        if present is not function and not _reloaded(present, function):
            raise DuplicateTask(f"{name!r} is already the name of a task")
        self._functions[name] = function
        self._names[function] = name

    def get(self, name: str) -> Function:
        """Return the function.

        Raises:
            UnknownTask: there is none of this name.
        """
        try:
            return self._functions[name]
        except (KeyError, TypeError):
            raise UnknownTask(
                f"no task has the name {name!r}; import the module that registers it"
            ) from None

    def spec(self, function: Any, arguments: Mapping[str, Json] | None = None) -> TaskSpec:
        """Return the call as data.

        Args:
            function: a registered function, or what `@task` made of one.

        Raises:
            NotPortable: it is a lambda, a closure, or not registered.
        """
        function = function_of(function)
        name = self._names.get(function) if callable(function) else None
        if name is None:
            shown = getattr(function, "__qualname__", repr(function))
            raise NotPortable(
                f"{shown} cannot be queued or checkpointed: define it at the top of a module and "
                "register it by name"
            )
        return TaskSpec(name=name, arguments=dict(arguments or {}))

    async def call(self, spec: TaskSpec) -> Any:
        """Make the call: a plain function in a thread, an async one awaited.

        Raises:
            UnknownTask: no function has the name; what the function raises passes through.
        """
        function = self.get(spec.name)
        if is_async(function):
            return await function(**spec.arguments)
        result = await asyncio.to_thread(function, **spec.arguments)
        return await result if inspect.isawaitable(result) else result

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._functions)

    def __contains__(self, name: object) -> bool:
        return name in self._functions


def function_of(task: Any) -> Any:
    """Return the function behind what `@task` made, or what was given."""
    return getattr(task, "function", task)


def is_async(function: Function) -> bool:
    """Tell whether a call gives something to await; objects with an async `__call__` do."""
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _reloaded(present: Function, function: Function) -> bool:
    """Tell whether a module was imported again and defines its function anew."""
    place = getattr(present, "__module__", None), getattr(present, "__qualname__", None)
    return place == (
        getattr(function, "__module__", ""),
        getattr(function, "__qualname__", ""),
    )


tasks = TaskRegistry()
"""Where `@task` registers what is defined at the top of a module, under `<module>.<name>`."""


async def call(spec: TaskSpec) -> Any:
    """Make the call with the process-wide registry; see `TaskRegistry.call`."""
    return await tasks.call(spec)
