"""The Ray cluster: hosted processes live below actors, groups and runs are tasks of Ray."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    WorkerCrashedError,
)

from nodes.contract import Json
from orchestrator.exceptions import Conflict, InvalidRequest, NodeFailed, NotFound
from orchestrator.execution.pools import find_executor
from orchestrator.runtime import ray_processes
from orchestrator.runtime.cluster import TRAVELS, Cluster, Hosted, Process, resources_of
from orchestrator.runtime.cluster_local import GRACE
from orchestrator.runtime.ray_processes import GOES_ON, WAITS, Told
from orchestrator.runtime.task_handlers import TaskHandlers
from orchestrator.runtime.task_processes import value_of
from storage.tasks import Task

logger = logging.getLogger(__name__)

LIVES = 3
"""So many processes of Ray may die with one task before it is given up."""
_ANSWER = 2.0
_MARGIN = 10.0
_CANCEL = 5.0
_DIED = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)
_host = ray.remote(max_restarts=-1, max_task_retries=0)(ray_processes.Host)
_execute = ray.remote(num_returns="streaming", max_retries=0)(ray_processes.execute)
_NAMED = ("num_cpus", "num_gpus", "memory")
"""Resources that Ray takes by these names; any other is a custom one."""


@dataclass(slots=True)
class _Actor:
    """starts: by the id of each life of the actor that was seen."""

    process: Process
    handle: Any
    placed: Any
    host: str = ""
    starts: dict[str, int] = field(default_factory=dict)


class RayCluster(Cluster):
    """The cluster that `RAY_ADDRESS` names; this machine has to be a node of it.

    Hosted processes drain by themselves when this process is gone, however it ends, and when their
    actor is.

    Raises:
        InvalidRequest: there is no cluster to join.
    """

    has_resources: ClassVar[bool] = True

    def __init__(self, handlers: TaskHandlers, environment: Mapping[str, str]) -> None:
        super().__init__(handlers, environment)
        self._joined = not ray.is_initialized()
        if self._joined:
            _join(environment.get("RAY_ADDRESS", ""))
        address = ray.get_runtime_context().gcs_address
        self._environment = ray_processes.settings_of(environment) | {"RAY_ADDRESS": address}
        self._actors: dict[str, _Actor] = {}

    async def host(self, process: Process) -> None:
        if process.name in self._actors:
            raise Conflict(f"a process {process.name!r} is hosted already")
        handle = _host.options(**_placed(process.resources)).remote(
            process.name, process.role.value, list(process.arguments), self._environment
        )
        placed = handle.__ray_ready__.remote()
        self._actors[process.name] = _Actor(process, handle, placed)

    async def hosted(self) -> Sequence[Hosted]:
        return await asyncio.gather(*(_told(actor) for actor in self._actors.values()))

    async def drain(self, name: str) -> None:
        if name not in self._actors:
            raise NotFound(f"no process {name!r} is hosted")
        actor = self._actors[name]
        try:
            if _has_place(actor):
                async with asyncio.timeout(GRACE + _MARGIN):
                    await actor.handle.drain.remote()
        except (RayError, TimeoutError) as error:  # whatever lives below it drains by itself
            logger.warning("%s could not be told to drain: %s", name, _brief(error))
        _end(actor)
        self._actors.pop(name, None)

    def kill(self) -> None:
        actors = list(self._actors.values())
        ending = [actor.handle.kill.remote() for actor in actors if _has_place(actor)]
        if ending:
            ray.wait(ending, num_returns=len(ending), timeout=_ANSWER)
        for actor in actors:
            _end(actor)
        self._actors.clear()

    async def execute(self, task: Task) -> Json:
        if task.type not in TRAVELS:
            return await self.handlers.get(task.type).execute(task)
        self.handlers.get(task.type)  # raises for a type that nothing is registered for
        for _ in range(LIVES):
            try:
                return await self._elsewhere(task)
            except _DIED as error:
                logger.warning("%s %s: its process ended: %s", task.type, task.id, _brief(error))
        message = f"{LIVES} processes died with it, one after the other"
        raise NodeFailed(message, error_type="ProcessEnded")

    async def _elsewhere(self, task: Task) -> Json:
        """Execute a task in a process of Ray's; one that dies is an error of _DIED."""
        wanted = _placed(resources_of(task.runs_on))
        stream = _execute.options(name=f"{task.type} {task.id}", **wanted).remote(
            task.encode(), self._environment
        )
        try:
            return value_of(await _answer(_events(stream)))
        except asyncio.CancelledError:
            await _cancel(stream)
            raise

    async def close(self) -> None:
        await asyncio.gather(*(self.drain(name) for name in list(self._actors)))
        if self._joined:
            self._joined = False
            await asyncio.to_thread(ray.shutdown)


def _join(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidRequest("CLUSTER=ray needs RAY_ADDRESS, such as 10.0.0.1:6379")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER):
            pass  # Ray itself would try for minutes
        ray.init(address, namespace="orchestrator", configure_logging=False)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise InvalidRequest(f"no Ray cluster answers at {address}: {_brief(error)}") from None


def _placed(resources: Mapping[str, float]) -> dict[str, Any]:
    """Return the options of an actor or a task. Without resources it takes none: processes wait
    more than they compute, and one that waits for tasks must not keep their places."""
    named = {name: resources[name] for name in _NAMED if name in resources}
    custom = {name: amount for name, amount in resources.items() if name not in _NAMED}
    return {"num_cpus": 0, "resources": custom, "scheduling_strategy": "SPREAD", **named}


def _has_place(actor: _Actor) -> bool:
    """Tell whether Ray has found a place for it, so that it answers."""
    return bool(ray.wait([actor.placed], timeout=0)[0])


async def _told(actor: _Actor) -> Hosted:
    pid = 0
    if _has_place(actor):
        with contextlib.suppress(RayError, TimeoutError):  # it is being made anew
            async with asyncio.timeout(_ANSWER):
                life, actor.host, pid, starts = await actor.handle.told.remote()
            actor.starts[life] = starts
    return Hosted(
        process=actor.process, host=actor.host, pid=pid, starts=sum(actor.starts.values())
    )


def _end(actor: _Actor) -> None:
    with contextlib.suppress(RayError):
        ray.kill(actor.handle, no_restart=True)


async def _events(stream: Any) -> AsyncIterator[Told]:
    async for reference in stream:
        yield await reference


async def _answer(events: AsyncIterator[Told]) -> bytes:
    """Return the answer of a task, and leave its room to others while it waits for groups."""
    room: Callable[[], AbstractContextManager[None]] | None = None
    answer = b""
    with ExitStack() as stack:
        waiting: list[ExitStack] = []
        async for event in events:
            if event == WAITS:
                room = room or _room()
                waiting.append(stack.enter_context(ExitStack()))
                waiting[-1].enter_context(room())
            elif event == GOES_ON:
                waiting.pop().close()
            else:
                assert isinstance(event, bytes)
                answer = event
    return answer


def _room() -> Callable[[], AbstractContextManager[None]]:
    """Return what lets this worker take more while a task waits; nothing does without a worker."""
    try:
        executor = find_executor("distributed")
    except InvalidRequest:
        return nullcontext
    room: Callable[[], AbstractContextManager[None]] = getattr(
        executor, "while_waiting", nullcontext
    )
    return room


async def _cancel(stream: Any) -> None:
    """Cancel a task, and end its process if that does not help: a thread cannot be cancelled."""
    for force in (False, True):
        ray.cancel(stream, force=force)
        try:
            async with asyncio.timeout(_CANCEL):
                await stream.completed()
        except TimeoutError:
            continue
        except RayError:  # it says that it was cancelled
            pass
        return


def _brief(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
