"""InProcess: a handler's work in a child process, which a timeout really ends."""

import asyncio
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from structlog.contextvars import bind_contextvars

from nodes.contract import Json
from orchestrator.exceptions import NodeFailed
from orchestrator.runtime.forked import ForkedChild, fork, line
from orchestrator.runtime.task_errors import error_of, failure, kinds_of
from orchestrator.runtime.task_handlers import TaskHandler
from storage.tasks import TASK_BYTES, Task, TaskResult

_JOIN = 5.0


class InProcess(TaskHandler):
    """Lets another handler work in a child process, one for each task. A child is ended with all
    that it started: at the task's timeout, when its task is done, and when its worker dies.

    Args:
        inner: an instance of a class at the top of a module.
        modules: imported in the child before, such as those that register tasks.
    """

    def __init__(self, inner: TaskHandler, modules: Sequence[str] = ()) -> None:
        self._main = partial(_serve, inner, tuple(modules))

    async def execute(self, task: Task) -> Json:
        forking = asyncio.ensure_future(asyncio.to_thread(fork, self._main, name=f"task {task.id}"))
        try:
            child = await asyncio.shield(forking)
        except asyncio.CancelledError:
            forking.add_done_callback(_end_late)
            raise
        try:
            return await _converse(child, task)
        finally:
            child.kill()
            await asyncio.shield(asyncio.to_thread(child.forget, _JOIN))


def _end_late(forking: "asyncio.Future[ForkedChild]") -> None:
    if not forking.cancelled() and forking.exception() is None:
        forking.result().connection.close()
        forking.result().kill()


async def _converse(child: ForkedChild, task: Task) -> Json:
    child.connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=child.connection, limit=2 * TASK_BYTES)
    try:
        writer.write(task.encode() + b"\n")
        await writer.drain()
        raw = await reader.readline()
    except ConnectionError:
        raw = b""
    finally:
        writer.close()
    if not raw:
        code = await asyncio.to_thread(child.join, _JOIN)
        raise NodeFailed(f"the process of the task ended with {code}", error_type="ProcessEnded")
    return value_of(raw)


def answer(result: TaskResult, kinds: Sequence[str] = ()) -> bytes:
    """Return how a task has ended in another process, as `value_of` takes it back.

    Args:
        kinds: the names of the error's class and of its bases, if it failed.
    """
    return line({"result": result.as_json(), "kinds": list(kinds)})


def value_of(raw: bytes) -> Json:
    """Return the value of a task that another process has executed; raises what it raised, as
    NodeFailed."""
    told = orjson.loads(raw)
    result = TaskResult(**told["result"])
    if not result.ok:
        raise error_of(result, tuple(told["kinds"]))
    return result.value


def _serve(inner: TaskHandler, modules: Sequence[str], connection: socket.socket) -> None:
    """Execute one task in this process, which then ends."""
    raw = connection.makefile("rb").readline()
    if raw:
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        connection.sendall(_executed(inner, modules, raw))
    os._exit(0)


def _end_with_parent(connection: socket.socket) -> None:
    while connection.recv(64):
        pass
    os.killpg(0, signal.SIGKILL)


def _executed(inner: TaskHandler, modules: Sequence[str], raw: bytes) -> bytes:
    kinds: tuple[str, ...] = ()
    begun = time.perf_counter()
    try:
        for module in modules:
            importlib.import_module(module)
        task = Task.decode(raw)
        bind_contextvars(task=task.id, task_type=task.type)
        value: Any = asyncio.run(inner.execute(task))
        result = TaskResult(ok=True, value=value)
        result.encode()
    except BaseException as error:  # what the task raised to end its process, too
        kinds = kinds_of(error)
        result = failure(error, time.perf_counter() - begun)
    return answer(result, kinds)
