"""Child processes that are kept running until they are told to drain."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.exceptions import OrchestratorError
from orchestrator.runtime.embedded import EmbeddedServer, open_server

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
SETTLED_AFTER = 30.0
"""Seconds; a child that lived so long is started again without growing delays."""


_POLL = 0.5


class Backoff:
    """How long to wait before the next start: doubling, until something has lived for a while."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY

    def after(self, lived: float) -> float:
        """Return the delay after a life of so many seconds."""
        delay = FIRST_DELAY if lived > SETTLED_AFTER else self._next
        self._next = min(delay * 2, LONGEST_DELAY)
        return delay


class Child:
    """A command in a session of its own, so that no signal of the terminal reaches it.

    `descriptors` are inherited by it; `grace` is how long it may drain before it is killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        descriptors: Sequence[int],
        folder: Path,
        grace: float,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._descriptors = descriptors
        self._folder = folder
        self._grace = grace
        self.starts = 0
        """How often it was started."""
        self._process: asyncio.subprocess.Process | None = None
        self._draining = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    def start(self) -> None:
        """Run it, and run it again whenever it ends."""
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    async def drain(self) -> None:
        """Ask it to end, and wait; kill it when it takes too long."""
        self._draining.set()
        if self._keeper is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._keeper], timeout=self._grace)
        if not done:
            logger.warning("%s did not drain in %.0f s and is killed", self.name, self._grace)
            self.kill()
        await self._keeper

    def kill(self) -> None:
        """End it and its process group at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _keep(self) -> None:
        backoff = Backoff()
        now = asyncio.get_running_loop().time
        while not self._draining.is_set():
            begun = now()
            try:
                end = f"ended with {await self._live()}"
            except OSError as error:  # there may be memory, or a process, again soon
                end = f"could not be started: {error.strerror}"
            if self._draining.is_set():
                return
            delay = backoff.after(now() - begun)
            logger.error("%s %s; next start in %.1f s", self.name, end, delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), delay)

    async def _live(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            env=self._environment,
            pass_fds=self._descriptors,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self.starts += 1
        if self._draining.is_set():  # told so while the process was being made
            self._signal(signal.SIGTERM)
        return await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class ServerKeeper:
    """The embedded server of a data folder, started again whenever it ends.

    `holds` are the descriptors that keep it alive; children inherit them. They hold the lock of the
    folder, not one process, so they are good for the servers of later starts as well.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._servers: list[EmbeddedServer] = []
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> tuple[str, int]:
        """Join or start the server; return its URL, and the descriptor that keeps it alive."""
        server = await asyncio.to_thread(open_server, self._data_dir)
        self._servers.append(server)
        self._keeper = asyncio.create_task(self._keep(), name="server")
        return server.url, server.hold

    async def close(self) -> bool:
        """Let go of it, and tell whether it has ended: others may still use it."""
        if self._keeper is not None:
            self._keeper.cancel()
        ended = True
        for server in self._servers:
            ended = await asyncio.to_thread(server.close)
        return ended

    async def _keep(self) -> None:
        backoff = Backoff()
        now = asyncio.get_running_loop().time
        begun = now()
        while True:
            await asyncio.sleep(_POLL)
            if await asyncio.to_thread(self._servers[-1].alive):
                continue
            delay = backoff.after(now() - begun)
            logger.error("the embedded server ended; next start in %.1f s", delay)
            await asyncio.sleep(delay)
            begun = now()
            try:
                self._servers.append(await asyncio.to_thread(open_server, self._data_dir))
            except OrchestratorError as error:
                logger.error("%s", error)
