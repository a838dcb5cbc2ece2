"""One workflow run by this process and its hosts alone: no database, no other runner.

It is a runner in small. Loops run in hosts and in their own pools, as they do in production; a host
that dies or is blocked costs its loops a start in processes of their own. What is missing is what
needs the database: leases that others could take over (the tokens are moments of time instead), and
a table for dead letters, which go to a file.
"""

import asyncio
import contextlib
import enum
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from orchestrator.exceptions import StoreUnavailable
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.loops import Loop
from orchestrator.runtime import clock
from orchestrator.runtime.hosts import HostProcess, end_all, start_order
from orchestrator.runtime.placement import Placement
from orchestrator.runtime.store_check import check_store
from storage.codec import decode
from storage.datastore import DataStore

logger = logging.getLogger(__name__)

GRACE = 25.0
MAX_CRASHES = 10
_BATCH = 200
_WATCH_EVERY = 0.25
_OUTBOX_EVERY = 1.0
_NEVER = 1e9
"""Seconds until the leases end, which nobody else can take."""


class Outcome(enum.StrEnum):
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True, eq=False)
class LocalSlot:
    """One copy of a loop. `status` is the newest snapshot of its runner."""

    loop: Loop
    number: int
    host: HostProcess | None = None
    crashes: int = 0
    outcome: Outcome | None = None
    error: str = ""
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.loop.id}/{self.number}"

    @property
    def state(self) -> str:
        """Its state in one word; a loop that has ended says how."""
        return str(self.outcome or self.status.get("state", "pending"))

    @property
    def reason(self) -> str:
        return self.error or str(self.status.get("reason", ""))


class LocalRun:
    """One run of a workflow, from its start until every loop has ended.

    Args:
        workflow: the id below which the store keeps its queues and states.
        block_limit: seconds for which a loop may block a process of its own.
        dead_letters: file to which items that failed for good are appended, as JSON lines.
        credentials: what the nodes may open, sealed.
        watch: called with this run some times a second, and once at the end.
    """

    def __init__(
        self,
        workflow: str,
        flow: LoadedFlow,
        store: DataStore,
        *,
        dead_letters: Path,
        block_limit: float,
        credentials: Mapping[str, Any] = MappingProxyType({}),
        watch: Callable[["LocalRun"], None] = lambda run: None,
    ) -> None:
        self.workflow = workflow
        self.name = flow.graph.name or workflow
        self.dead_letters = dead_letters
        self.dead_count = 0
        self.slots = [
            LocalSlot(loop=loop, number=number)
            for loop in flow.analyzer.loops()
            for number in range(loop.replicas)
        ]
        self._by_name = {slot.name: slot for slot in self.slots}
        self._definition = flow.spec.raw
        self._credentials = credentials
        self._store = store
        self._watch = watch
        self._placement = Placement(self._on_message, self._on_death, block_limit)
        self._tokens: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._ended = asyncio.Event()

    @property
    def outcome(self) -> Outcome:
        """How it ended: FAILED if one loop failed, COMPLETED if all have completed."""
        ends = {slot.outcome for slot in self.slots}
        if Outcome.FAILED in ends:
            return Outcome.FAILED
        return Outcome.COMPLETED if ends == {Outcome.COMPLETED} else Outcome.STOPPED

    async def run(self, *, resume: bool = False) -> Outcome:
        """Run until every loop has completed, `stop` was called, or one loop failed.

        Args:
            resume: go on where the last run of this workflow was stopped, instead of anew.

        Raises:
            StoreUnavailable, StoreRefused: the server is away or not fit.
        """
        await check_store(self._store)
        if not resume:
            await self._store.queue.forget(self.workflow)
            self.dead_letters.unlink(missing_ok=True)
        watching = [
            asyncio.create_task(self._every(_WATCH_EVERY, self._show)),
            asyncio.create_task(self._every(_WATCH_EVERY, self._end_silent)),
            asyncio.create_task(self._every(_OUTBOX_EVERY, self._drain_outbox)),
        ]
        try:
            for slot in self.slots:
                await self._start(slot)
            await self._ended.wait()
        finally:
            await self._placement.leave(grace=2)
            await end_all(watching)
            await self._drain_outbox()
        await self._show()
        return self.outcome

    def stop(self) -> None:
        """Let every loop end after the iteration in hand; safe to call more than once."""
        if self._stopping:
            return
        self._stopping = True
        for slot in self.slots:
            if slot.host is not None and slot.outcome is None:
                slot.host.send({"op": "stop", "key": slot.name})
        asyncio.get_running_loop().call_later(GRACE, self.kill)

    def kill(self) -> None:
        """End every host at once."""
        for host in list(self._placement.hosts):
            host.kill()

    async def _start(self, slot: LocalSlot) -> None:
        if self._stopping:
            self._end(slot, Outcome.STOPPED)
            return
        isolated = slot.crashes > 0
        host = await self._placement.host_for(slot.name, slot.loop.pool, isolated=isolated)
        slot.host = host
        slot.status = {}
        host.send({"op": "renew", "until": clock.now() + _NEVER})
        host.send(
            start_order(
                slot.name,
                slot.loop,
                self._definition,
                credentials=self._credentials,
                workflow=self.workflow,
                version=1,
                activation=1,
                loop=slot.loop.id,
                slot=slot.number,
                token=self._token(slot),
            )
        )
        if self._stopping:  # asked for while the host was made
            host.send({"op": "stop", "key": slot.name})

    async def _start_again(self, slot: LocalSlot) -> None:
        try:
            await self._start(slot)
        except OSError as error:
            self._end(slot, Outcome.FAILED, f"no process could be started for it: {error}")

    def _token(self, slot: LocalSlot) -> int:
        """Return a token that beats those of earlier starts, and of earlier runs."""
        token = max(time.time_ns() // 1_000_000, self._tokens[slot.name] + 1)
        self._tokens[slot.name] = token
        return token

    async def _end_silent(self) -> None:
        for host in list(self._placement.hosts):
            if host.silent:
                logger.warning("host %d gives no sign of life", host.pid)
                host.kill()

    # Messages of hosts

    def _on_message(self, host: HostProcess, message: dict[str, Any]) -> None:
        if message["op"] == "status":
            for name, status in message["loops"].items():
                if self._by_name[name].host is host:
                    self._by_name[name].status = status
        elif message["op"] == "blocked":
            if message["seconds"] > host.patience:
                logger.warning("loop %s blocks its event loop", message["key"] or "(unknown)")
                host.kill()
        elif message["op"] == "ended":
            self._on_ended(host, self._by_name[message["key"]], message)

    def _on_ended(self, host: HostProcess, slot: LocalSlot, message: dict[str, Any]) -> None:
        self._later(self._placement.loop_ended(host, slot.name))
        known = message["outcome"] in ("completed", "stopped")
        self._end(slot, Outcome(message["outcome"]) if known else Outcome.FAILED, message["error"])

    def _on_death(self, host: HostProcess) -> None:
        self._placement.remove(host)
        for slot in self.slots:
            if slot.host is host and slot.outcome is None:
                slot.crashes += 1
                if slot.crashes > MAX_CRASHES:
                    self._end(slot, Outcome.FAILED, "its process died again and again")
                else:
                    self._later(self._start_again(slot))

    def _end(self, slot: LocalSlot, outcome: Outcome, error: str = "") -> None:
        slot.outcome, slot.error = outcome, error
        if outcome is Outcome.FAILED:
            self.stop()
        if all(other.outcome for other in self.slots):
            self._ended.set()

    # Watching

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self) -> None:
        try:
            self._watch(self)
        except BrokenPipeError:  # nobody reads what is printed: `| head` has seen enough
            self.stop()

    async def _drain_outbox(self) -> None:
        """Move dead letters from the store to the file. After a crash in between they are there
        twice, with the same `entry`. What cannot be moved now waits for the next time."""
        with contextlib.suppress(StoreUnavailable):
            while await self._drain_some() == _BATCH:
                pass

    async def _drain_some(self) -> int:
        entries = await self._store.queue.dead(self.workflow, _BATCH)
        if entries:
            lines = (orjson.dumps({"entry": e.id, **decode(e.body)}) + b"\n" for e in entries)
            with self.dead_letters.open("ab") as file:
                file.writelines(lines)
            await self._store.queue.forget_dead(self.workflow, [e.id for e in entries])
            self.dead_count += len(entries)
        return len(entries)
