"""What runs in the processes of Ray: an actor that keeps a process alive, and a task of ours.

Ray imports this module before the settings are there, so what needs them is imported in functions.
"""

import asyncio
import contextlib
import os
import queue
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.runtime import lifeline

if TYPE_CHECKING:
    from orchestrator.runtime.cluster import Process

SERVE = "orchestrator.services.elsewhere.serve"
"""What executes a task: a function by its name, as `manage.py runner` is a command by its name."""
WAITS, GOES_ON = "waits", "goes on"
"""What a task tells before its value: that it waits for a group, and that it no longer does."""
Told = str | bytes
_OF_RAY = {"RAY_CLIENT_MODE", "RAY_JOB_ID", "RAY_LD_PRELOAD_ON_WORKERS", "RAY_RAYLET_PID"}
_OF_A_MACHINE = {
    "CUDA_VISIBLE_DEVICES", "HOME", "HOSTNAME", "LOGNAME", "OLDPWD", "OMP_NUM_THREADS", "PATH",
    "PWD", "PYTHONHOME", "PYTHONPATH", "RAY_ADDRESS", "SHELL", "SHLVL", "TERM", "TMPDIR", "USER",
    "VIRTUAL_ENV", "_", lifeline.VARIABLE,
}  # fmt: skip
_POLL = 0.2
_END = 10.0


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment holds on every machine."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_A_MACHINE and name not in _OF_RAY and not name.startswith("LD_")
    }


class Host:
    """An actor with one process below it, which a local cluster keeps alive. Ray makes the actor
    anew, wherever there is room, when its own process or its machine is gone."""

    def __init__(
        self, name: str, role: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        from orchestrator.runtime.cluster import Process, Role
        from orchestrator.runtime.cluster_local import LocalCluster
        from orchestrator.runtime.task_handlers import handlers

        inherited = {key: value for key, value in os.environ.items() if key not in _OF_RAY}
        self._life = uuid.uuid4().hex
        self._cluster = LocalCluster(handlers, {**inherited, **environment})
        process = Process(name=name, role=Role(role), arguments=tuple(arguments))
        self._begun = asyncio.get_running_loop().create_task(self._begin(process))

    async def _begin(self, process: "Process") -> None:
        await self._cluster.host(process)

    async def told(self) -> tuple[str, str, int, int]:
        """Return the id of this life of the actor, its machine, and the pid and the starts of the
        process in it."""
        await self._begun
        (hosted,) = await self._cluster.hosted()
        return self._life, socket.gethostname(), hosted.pid, hosted.starts

    async def drain(self) -> None:
        """Let the process end as by TERM."""
        await self._begun
        await self._cluster.close()

    async def kill(self) -> None:
        """End the process at once, for good."""
        await self._begun
        self._cluster.kill()
        await self._cluster.close()


def execute(body: bytes, environment: Mapping[str, str]) -> Iterator[Told]:
    """Execute a task, and yield its answer at last; see `task_processes.value_of`.

    Before that it tells when it WAITS and when it GOES_ON. Being interrupted cancels the task.
    """
    serve = _prepare(environment)
    told: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
    serving = _Serving(serve(body, told.put), told)
    serving.start()
    try:
        while (event := _next(told)) is not None:
            yield event
    finally:
        serving.cancel()
        serving.join(_END)


def _next(told: "queue.SimpleQueue[Told | None]") -> Told | None:
    """Wait for what is told, and look up often: an interrupt of Ray's wakes nobody.

    A function of its own, for Python may raise it at the jump of a loop, where `finally` of the
    same function does not see it.
    """
    while True:
        with contextlib.suppress(queue.Empty):
            return told.get(timeout=_POLL)


class _Serving(threading.Thread):
    """Runs a coroutine in an event loop of its own, puts what it returns, and then None."""

    def __init__(
        self, work: Coroutine[Any, Any, bytes], told: "queue.SimpleQueue[Told | None]"
    ) -> None:
        super().__init__(name="task", daemon=True)
        self._work = work
        self._told = told
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._serve())

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_done())

    async def _until_done(self) -> None:
        await asyncio.wait([self._task])

    async def _serve(self) -> None:
        try:
            self._told.put(await self._work)
        finally:
            self._told.put(None)

    def cancel(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._task.cancel)


def _prepare(
    environment: Mapping[str, str],
) -> Callable[[bytes, Callable[[Told], None]], Coroutine[Any, Any, bytes]]:
    """Make this process one of ours, once, and return what serves a task."""
    from django.apps import apps

    if not apps.ready:
        os.environ.update(environment)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django

        django.setup()
    from django.utils.module_loading import import_string

    served: Callable[[bytes, Callable[[Told], None]], Coroutine[Any, Any, bytes]]
    served = import_string(SERVE)
    return served
