"""ToolRegistry: named Python functions that workflows may call."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import (
    DuplicateTool,
    InvalidRequest,
    Problem,
    RegistryError,
    UnknownTool,
)

ToolFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function under a name. It takes JSON values by keyword and returns a JSON value."""

    name: str
    function: ToolFunction
    description: str
    signature: inspect.Signature
    is_async: bool


class ToolRegistry:
    """Tools by name. Only what is registered can be called: a name is never imported."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def register(self, name: str, function: ToolFunction, description: str = "") -> None:
        """Add a function; its docstring is the default description.

        A plain function runs in a thread, an async one in the event loop of its caller.

        Raises:
            RegistryError: the name is empty, or this is not a function.
            DuplicateTool: another function has the name.
        """
        if not name or not callable(function):
            raise RegistryError(f"{name!r} needs a name and something that can be called")
        present = self._tools.get(name)
        if present is not None and present.function is not function:
            raise DuplicateTool(f"{name!r} is already the name of a tool")
        self._tools[name] = Tool(
            name=name,
            function=function,
            description=description or inspect.getdoc(function) or "",
            signature=_signature(function),
            is_async=_is_async(function),
        )

    def get(self, name: str) -> Tool:
        """Return a tool.

        Raises:
            UnknownTool: there is none of this name.
        """
        try:
            return self._tools[name]
        except (KeyError, TypeError):
            raise UnknownTool(f"no tool has the name {name!r}") from None

    async def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool with keyword arguments and return what it returns.

        Raises:
            UnknownTool: there is none of this name.
            InvalidRequest: the arguments do not fit; what the function raises passes through.
        """
        tool = self.get(name)
        try:
            tool.signature.bind(**arguments)
        except TypeError as error:
            problem = Problem("arguments", str(error))
            raise InvalidRequest(f"the tool {name!r}: {error}", problems=(problem,)) from None
        if tool.is_async:
            return await tool.function(**arguments)
        return await asyncio.to_thread(tool.function, **arguments)

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


def _signature(function: ToolFunction) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:  # some functions written in C do not tell theirs
        return inspect.signature(lambda **arguments: None)


def _is_async(function: ToolFunction) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - for objects with an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


tools = ToolRegistry()
"""Where the modules named in the settings register their tools when they are imported."""
