"""TaskHandlers: how a worker executes a task, by the task's type.

`handlers.register("train", Trainer())` in a module that `manage.py worker --import` names adds a
type; `handlers.register("tool", InThread(ToolHandler()))` changes where the tasks of one run.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from nodes.contract import Json
from nodes.tools import tools
from orchestrator.exceptions import InvalidRequest, RegistryError, UnknownTask
from orchestrator.execution.tasks import TaskSpec, call
from storage.tasks import Task


class TaskHandler(ABC):
    """Executes the tasks of one type. One handler serves all that a worker has in hand at once."""

    @abstractmethod
    async def execute(self, task: Task) -> Json:
        """Do the work and return its value, strict JSON; what it raises is the task's failure.

        At the task's timeout, or when the worker has to end, this is cancelled: end what you began.
        """


class TaskHandlers:
    """Handlers by type."""

    def __init__(self) -> None:
        self._handlers: dict[str, TaskHandler] = {}

    def register(self, type: str, handler: TaskHandler) -> None:
        """Say what executes the tasks of a type, in place of what did before."""
        if not type or not isinstance(handler, TaskHandler):
            raise RegistryError(f"{type!r} needs a name and a TaskHandler")
        self._handlers[type] = handler

    def get(self, type: str) -> TaskHandler:
        """Return the handler of a type.

        Raises:
            UnknownTask: there is none.
        """
        try:
            return self._handlers[type]
        except KeyError:
            raise UnknownTask(f"no handler is registered for tasks of type {type!r}") from None


def spec_of(arguments: Any) -> TaskSpec:
    """Return the call that {"name", "arguments"} stands for.

    Raises:
        InvalidRequest: it is something else.
    """
    name = arguments.get("name")
    given = arguments.get("arguments") or {}
    if not isinstance(name, str) or not isinstance(given, dict):
        raise InvalidRequest('a task needs {"name": text, "arguments": object}')
    return TaskSpec(name=name, arguments=given)


class FunctionHandler(TaskHandler):
    """A registered function: an async one in the worker's event loop, a plain one in a thread."""

    async def execute(self, task: Task) -> Json:
        return await call(spec_of(task.arguments))


class ToolHandler(TaskHandler):
    """A tool, in the same way."""

    async def execute(self, task: Task) -> Json:
        spec = spec_of(task.arguments)
        return await tools.call(spec.name, spec.arguments)


class InThread(TaskHandler):
    """Lets another handler work in a thread of its own, with an event loop of its own, so that it
    may block. A thread cannot be ended: at a timeout it goes on unheard."""

    def __init__(self, inner: TaskHandler) -> None:
        self._inner = inner

    async def execute(self, task: Task) -> Json:
        return await asyncio.to_thread(_run_to_end, self._inner, task)


def _run_to_end(handler: TaskHandler, task: Task) -> Json:
    return asyncio.run(handler.execute(task))


handlers = TaskHandlers()
"""Where modules that `manage.py worker --import` names register handlers of their own."""
handlers.register("task", FunctionHandler())
handlers.register("tool", ToolHandler())
