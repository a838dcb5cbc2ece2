"""Execute one task in a process that a cluster has made for it, on whatever machine."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module

from structlog.contextvars import bound_contextvars

from orchestrator.conf import orchestrator_settings
from orchestrator.execution.pools import register_executor
from orchestrator.runtime import worker_leases
from orchestrator.runtime.database import in_thread
from orchestrator.runtime.database_patience import limit_answers
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.ray_processes import GOES_ON, WAITS, Told
from orchestrator.runtime.task_errors import failure, kinds_of
from orchestrator.runtime.task_groups import DistributedExecutor
from orchestrator.runtime.task_handlers import handlers
from orchestrator.runtime.task_processes import answer
from orchestrator.security.output import redact_prints
from orchestrator.services.workers import register_runs
from storage.datastore import DataStore, open_store
from storage.tasks import Task, TaskQueue, TaskResult


async def serve(body: bytes, tell: Callable[[Told], None]) -> bytes:
    """Execute a task and return its answer; see `task_processes.value_of`.

    Args:
        tell: called with WAITS and GOES_ON around each wait for a group, whose members may come
            back to the worker that has the task in hand.
    """
    try:
        _prepare()
        task = Task.decode(body)
        store = open_store(orchestrator_settings().REDIS_URL)
        try:
            with bound_contextvars(task=task.id, task_type=task.type):
                result = await _execute(task, store, tell)
        finally:
            await store.close()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # what the task raised to end its process, too
        return answer(failure(error), kinds_of(error))
    return answer(result)


@cache
def _prepare() -> None:
    """Import what registers tasks and nodes here, once."""
    limit_answers()
    redact_prints()
    for module in orchestrator_settings().TASK_MODULES:
        import_module(module)
    flow_engine()


async def _execute(task: Task, store: DataStore, tell: Callable[[Told], None]) -> TaskResult:
    @contextmanager
    def waiting() -> Iterator[None]:
        tell(WAITS)
        try:
            yield
        finally:
            tell(GOES_ON)

    async def living() -> int:
        return int(await in_thread(worker_leases.living)(task.runs_on))

    register_runs(f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}", store)
    executor = DistributedExecutor(
        TaskQueue(store.queue),
        store.coordinator,
        workers=living,
        runs_on=task.runs_on,
        while_waiting=waiting,
    )
    register_executor("distributed", lambda: executor)
    result = TaskResult(ok=True, value=await handlers.get(task.type).execute(task))
    result.encode()
    return result
