"""The supervisor's side of a host process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from nodes.contract import PoolType
from orchestrator.flow.loops import Loop
from orchestrator.runtime import host
from orchestrator.runtime.forked import ForkedChild, fork, line

logger = logging.getLogger(__name__)

BLOCKED_AFTER = 2.0
_SILENCE = 1.0
"""Seconds that a report of a blocked event loop may take."""
_LINE_LIMIT = 64 * 1024 * 1024


class HostProcess:
    """A running host and the keys of the loops it was given.

    Args:
        isolated: it runs one loop, which hurts nobody else while it blocks.
        patience: seconds for which it may block before it has to be ended.
        on_message: called with this host and each message of it, in the event loop.
        on_death: called once with this host, when it has ended.
    """

    def __init__(
        self,
        *,
        isolated: bool,
        patience: float,
        on_message: Callable[["HostProcess", dict[str, Any]], None],
        on_death: Callable[["HostProcess"], None],
    ) -> None:
        self.isolated = isolated
        self.patience = patience
        self.keys: set[str] = set()
        self.leaving = False
        self._on_message = on_message
        self._on_death = on_death
        self._child: ForkedChild | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._heard_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    async def start(self) -> None:
        self._child = await asyncio.to_thread(fork, host.main, name="host")
        self._child.connection.setblocking(False)
        reader, self._writer = await asyncio.open_connection(
            sock=self._child.connection, limit=_LINE_LIMIT
        )
        self._heard_at = time.monotonic()
        self._listener = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while raw := await reader.readline():
                self._heard_at = time.monotonic()
                self._on_message(self, orjson.loads(raw))
        except ConnectionError:
            logger.debug("host %d is gone", self.pid)
        except (OSError, ValueError) as error:
            logger.warning("host %d: %s", self.pid, error)
        self.kill()
        self._on_death(self)

    def send(self, message: dict[str, Any]) -> None:
        """Give an order; a host that is gone misses nothing, its end is reported anyway."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line(message))

    @property
    def silent(self) -> bool:
        """Whether not even its watch thread gets to run."""
        return time.monotonic() - self._heard_at > self.patience + _SILENCE

    def hear(self) -> None:
        """Count as a sign of life that nobody could listen for one."""
        self._heard_at = time.monotonic()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    async def leave(self, grace: float) -> None:
        """Let the host drain, and end it when it takes longer than `grace` seconds."""
        self.leaving = True
        self.send({"op": "exit"})
        if self._listener is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await asyncio.shield(self._listener)
        self.kill()


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a call that is under way may swallow a cancellation."""
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=1)


def start_order(
    key: str,
    loop_to_run: Loop,
    definition: Any,
    restore: dict[str, Any] | None = None,
    credentials: Mapping[str, Any] = MappingProxyType({}),
    **assignment: Any,
) -> dict[str, Any]:
    """Return the order to run a loop of a definition; the assignment is a SlotAssignment's.

    Args:
        restore: what to begin with if Redis knows nothing of the slot, see `restores.find`.
        credentials: what its nodes may open, sealed, see `credentials.sealed`.
    """
    return {
        "op": "start",
        "key": key,
        "pool": "thread" if loop_to_run.pool is PoolType.THREAD else "async",
        "definition": definition,
        "assignment": assignment,
        "restore": restore,
        "credentials": dict(credentials),
    }
