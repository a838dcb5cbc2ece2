"""Everything on one machine: the embedded server, the web process, a runner and a worker.

They are children, started in this order and drained in the reverse one. None outlives this process
for longer than its drain takes, however this process ends; see `lifeline`.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestrator.exceptions import Conflict, StoreUnavailable
from orchestrator.runtime import lifeline, private, web
from orchestrator.runtime.children import Child, ServerKeeper
from orchestrator.runtime.cluster import Process, Role
from orchestrator.runtime.cluster_local import LocalCluster
from orchestrator.runtime.store_check import check_store
from orchestrator.runtime.task_handlers import handlers
from storage.datastore import open_store

ROOT = Path(__file__).parents[2]
LAST_RUN_PATIENCE = 90.0
WEB_GRACE = web.DRAIN_SECONDS + 10.0
_POLL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring up.

    redis_url: empty for the embedded server.
    migrate: called in a thread, with the URL of the server, before any other child is started.
    prepare: called in a thread while the children start; returns what to tell at the end.
    tell: shows a text to the person who waits.
    """

    data_dir: Path
    port: int
    redis_url: str
    migrate: Callable[[str], None]
    prepare: Callable[[], str]
    tell: Callable[[str], None]


class Up:
    """One run of `manage.py up`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._web: Child | None = None
        self._cluster: LocalCluster | None = None

    async def run(self) -> None:
        """Bring everything up, and return after the drain that a signal begins.

        Raises:
            Conflict: another run works in this data folder, or the port is taken.
            StoreRefused, StoreUnavailable: there is no Redis-protocol server.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        async with AsyncExitStack() as stack:
            await self._until_stopped(self._bring_up(stack))

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._plan.tell("Draining. Ctrl-C ends everything at once.")
        elif number == signal.SIGINT:
            for part in (self._web, self._cluster):
                if part is not None:
                    part.kill()
            os._exit(130)  # the embedded server ends with the last process that holds its lock

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (working, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _bring_up(self, stack: AsyncExitStack) -> None:
        plan = self._plan
        inherited = [await self._claim_folder(stack)]
        listener = stack.enter_context(_listen(plan.port))
        redis_url = plan.redis_url
        if redis_url:
            await _refuse_unfit(redis_url)
        else:
            keeper = ServerKeeper(plan.data_dir)
            stack.push_async_callback(self._close_server, keeper)
            redis_url, hold = await keeper.open()
            inherited.append(hold)
        await asyncio.to_thread(plan.migrate, redis_url)
        web.open_access_log(plan.data_dir)
        await self._start_children(stack, listener, redis_url, inherited)
        summary = await asyncio.to_thread(plan.prepare)
        await _until_healthy(plan.port)
        plan.tell(summary)
        await self._stop.wait()

    async def _claim_folder(self, stack: AsyncExitStack) -> int:
        """Keep others out of the data folder; children keep a lock for as long as they drain."""
        folder = private.make_folder(self._plan.data_dir)
        own = lifeline.claim(folder / "up.lock")
        if own is None:
            raise Conflict(f"`manage.py up` runs already in {folder}: stop it, or set DATA_DIR.")
        stack.callback(os.close, own)
        shared = lifeline.claim(folder / "children.lock")
        if shared is None:
            self._plan.tell("Waiting for the processes of the last run, which still drain.")
            shared = await _claim_patiently(folder / "children.lock")
        stack.callback(os.close, shared)
        return shared

    async def _start_children(
        self, stack: AsyncExitStack, listener: socket.socket, redis_url: str, inherited: list[int]
    ) -> None:
        lifeline_end, own_end = os.pipe()
        stack.callback(os.close, own_end)
        stack.callback(os.close, lifeline_end)
        environment = {
            **os.environ,
            "DATA_DIR": str(self._plan.data_dir),
            "PORT": str(self._plan.port),
            "REDIS_URL": redis_url,
        }
        self._web = Child(
            "web",
            [sys.executable, "-m", web.__name__],
            environment={
                **environment,
                lifeline.VARIABLE: str(lifeline_end),
                web.SOCKET_VARIABLE: str(listener.fileno()),
            },
            descriptors=[lifeline_end, listener.fileno(), *inherited],
            folder=ROOT,
            grace=WEB_GRACE,
        )
        stack.push_async_callback(self._web.drain)
        self._web.start()
        self._cluster = LocalCluster(handlers, environment, inherited)
        stack.push_async_callback(self._cluster.close)
        for role in Role:
            await self._cluster.host(Process(name=role.value, role=role))
        stack.callback(listener.close)  # first of all: nobody connects to what drains

    async def _close_server(self, keeper: ServerKeeper) -> None:
        if not await keeper.close():
            self._plan.tell("The embedded server stays for another process that uses it.")


def _listen(port: int) -> socket.socket:
    """Open the port here, so that it stays ours while the web process is started again."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=2048)
    except OSError as error:
        raise Conflict(f"Port {port} cannot be used ({error.strerror}): set PORT.") from None


async def _refuse_unfit(redis_url: str) -> None:
    """Refuse a server here that would end the runner again and again; one that is away may come."""
    store = open_store(redis_url)
    try:
        with contextlib.suppress(StoreUnavailable):
            await check_store(store)
    finally:
        await store.close()


async def _claim_patiently(lock: Path) -> int:
    deadline = asyncio.get_running_loop().time() + LAST_RUN_PATIENCE
    while (fd := lifeline.claim(lock)) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise Conflict(f"Processes of the last run still use {lock.parent}.")
        await asyncio.sleep(_POLL)
    return fd


async def _until_healthy(port: int) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(request)
                if b" 200 " in await reader.readline():
                    return
        await asyncio.sleep(_POLL)
