"""The runner: holds leases, keeps loops running in hosts, and never runs node code itself.

Every half second it compares what the database wants with what its hosts run, and acts on the
difference. Its heartbeat renews all its leases at once; when it cannot renew them, its hosts stop
committing by themselves, before anybody else may take the slots over.
"""

import asyncio
import logging
import math
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, close_old_connections

from nodes.contract import PoolType
from orchestrator.conf import orchestrator_settings
from orchestrator.events import WorkflowCompleted, WorkflowFailed
from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.flow.loops import Loop
from orchestrator.models import LoopSlot, Workflow
from orchestrator.runtime import leases, outbox
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.hosts import BLOCKED_AFTER, HostProcess
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.placement import Placement
from orchestrator.runtime.publisher import Publisher
from storage.datastore import open_store

logger = logging.getLogger(__name__)

TICK = 0.5
GRACE = 25.0
MAX_FAILURES = 5
MAX_CRASHES = 10
_BACKOFF_MAX = 30.0


@dataclass(slots=True)
class Held:
    """A slot that this runner runs, and in which host."""

    slot: Slot
    host: HostProcess
    asked: str = Workflow.Desired.RUNNING
    stop_by: float = math.inf
    noted: tuple[str, str] = ("", "")
    progressed: bool = False


@dataclass(slots=True)
class Trouble:
    """How often in a row a slot failed or lost its host, and when it is tried again."""

    failures: int = 0
    crashes: int = 0
    retry_at: float = 0.0


class Supervisor:
    def __init__(self) -> None:
        self._settings = orchestrator_settings()
        host = socket.gethostname()
        self.id = f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._host_name = host
        self._store = open_store(self._settings.REDIS_URL)
        self._publisher = Publisher(self._store.feed)
        self._placement = Placement(self._on_message, self._on_death)
        self._held: dict[str, Held] = {}
        self._trouble: dict[str, Trouble] = {}
        self._culprits: dict[HostProcess, str] = {}
        self._loops: dict[tuple[str, int], tuple[Any, dict[str, Loop]]] = {}
        self._workflows: set[str] = set()
        self._until = 0.0
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._jobs: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """Drain and end; safe to call from a signal handler."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Run until `stop`, then let every loop end at a boundary and give its slot back."""
        if self._settings.REDIS_URL.startswith("memory"):
            raise OrchestratorError("memory:// is for one process only: give REDIS_URL a server")
        logger.info("runner %s", self.id)
        await self._check_store()
        await self._guarded(self._find_outboxes)
        background = [
            asyncio.create_task(work)
            for work in (
                self._every(self._settings.LEASE_TTL / 3, self._renew),
                self._every(0.25, self._watch),
                self._every(1.0, self._drain_outbox),
                self._publisher.run(),
            )
        ]
        try:
            while not self._stopping.is_set():
                await self._guarded(self._reconcile)
                await self._pause(TICK)
            await self._drain()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._guarded(self._leave)
            await self._store.close()

    async def _check_store(self) -> None:
        """Refuse a server that cannot give the guarantees; one that is away is waited for."""
        try:
            await self._store.check()
        except StoreUnavailable as error:
            logger.warning("%s", error.message)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._guarded(work)
            await asyncio.sleep(seconds)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a piece of work; a database that is away is waited for."""
        try:
            await work()
        except DatabaseError as error:
            logger.warning("the database is away: %s", error)
            await sync_to_async(close_old_connections)()
        except OrchestratorError as error:
            logger.warning("%s", error.message)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    # Leases

    async def _renew(self) -> None:
        ttl = self._settings.LEASE_TTL
        asked_at = time.monotonic()
        await sync_to_async(leases.heartbeat)(self.id, self._host_name, os.getpid(), ttl)
        self._until = asked_at + ttl * 2 / 3
        for host in self._placement.hosts:
            host.send({"op": "renew", "until": self._until})

    async def _leave(self) -> None:
        await sync_to_async(leases.leave)(self.id)

    # Reconciling

    async def _reconcile(self) -> None:
        if not self._until:
            await self._renew()
        await self._note_states()
        rows = {slot.key: slot for slot in await sync_to_async(leases.slots)(self.id)}
        for key, held in self._held.items():
            self._ask(held, _desired(held.slot, rows.get(key)))
        wanted = [slot for slot in rows.values() if _is_wanted(slot)]
        room = await self._share(len(wanted)) - len(self._held)
        for slot in wanted:
            if slot.key not in self._held and (slot.mine or slot.free) and self._may_try(slot.key):
                if room <= 0 and not slot.mine:
                    continue
                room -= await self._take(slot)
        for slot in rows.values():
            if slot.mine and slot.key not in self._held and not _is_wanted(slot):
                state = slot.state if slot.state in leases.ENDED else LoopSlot.State.STOPPED
                await self._release(slot, state)

    async def _share(self, wanted: int) -> int:
        alive = await sync_to_async(leases.living)()
        return math.ceil(wanted / max(1, len(alive)))

    def _may_try(self, key: str) -> bool:
        trouble = self._trouble.get(key)
        return trouble is None or time.monotonic() >= trouble.retry_at

    def _ask(self, held: Held, desired: str) -> None:
        """Pass a changed wish on to the loop."""
        if desired == held.asked:
            return
        held.asked = desired
        order = {"running": "resume", "paused": "pause"}.get(desired, "stop")
        held.host.send({"op": order, "key": held.slot.key})
        if order == "stop":
            held.stop_by = time.monotonic() + GRACE

    async def _take(self, slot: Slot) -> bool:
        """Acquire a slot and start its loop; tell whether it is ours now."""
        definition, loops = await self._plan(slot)
        token = await sync_to_async(leases.acquire)(slot.pk, self.id, slot.activation)
        if token is None:
            return False
        loop = loops.get(slot.loop)
        if loop is None:
            await self._release(slot, LoopSlot.State.FAILED, "the version has no such loop")
            return False
        host = await self._placement.host_for(slot.key, loop.pool, isolated=slot.isolated)
        self._workflows.add(slot.workflow)
        self._publisher.forget(slot.workflow, slot.name)
        held = self._held[slot.key] = Held(slot, host)
        host.send({"op": "renew", "until": self._until})
        host.send(
            {
                "op": "start",
                "key": slot.key,
                "pool": "thread" if loop.pool is PoolType.THREAD else "async",
                "definition": definition,
                "assignment": {
                    "workflow": slot.workflow,
                    "version": slot.version,
                    "activation": slot.activation,
                    "loop": slot.loop,
                    "slot": slot.slot,
                    "token": token,
                },
            }
        )
        self._ask(held, slot.desired)
        return True

    async def _plan(self, slot: Slot) -> tuple[Any, dict[str, Loop]]:
        """Return a version's JSON and its loops by id."""
        known = self._loops.get((slot.workflow, slot.version))
        if known is None:
            definition = await sync_to_async(leases.definition)(slot.workflow, slot.version)
            flow = await asyncio.to_thread(flow_engine().load, definition)
            known = definition, {loop.id: loop for loop in flow.analyzer.loops()}
            self._loops[slot.workflow, slot.version] = known
        return known

    async def _release(self, slot: Slot, state: str, reason: str = "") -> None:
        await sync_to_async(leases.release)(slot.pk, self.id, slot.activation, state, reason)

    async def _note_states(self) -> None:
        notes = []
        for held in self._held.values():
            status = self._publisher.status(held.slot.workflow, held.slot.name)
            seen = (status["state"], status["reason"]) if status else held.noted
            if seen != held.noted:
                held.noted = seen
                notes.append((held.slot.pk, *seen))
        if notes:
            await sync_to_async(leases.note)(self.id, notes)

    # Messages of hosts

    def _on_message(self, host: HostProcess, message: dict[str, Any]) -> None:
        if message["op"] == "status":
            for key, status in message["loops"].items():
                self._on_status(key, status)
        elif message["op"] == "blocked":
            if message["seconds"] > BLOCKED_AFTER and not host.isolated:
                self._condemn(host, message["key"], "blocks its event loop")
        elif message["op"] == "ended":
            self._later(self._on_ended(host, message))

    def _on_status(self, key: str, status: dict[str, Any]) -> None:
        held = self._held.get(key)
        if held is None:
            return
        self._publisher.update(held.slot.workflow, held.slot.name, status)
        if status["iterations"] and not held.progressed:
            held.progressed = True
            self._trouble.pop(key, None)

    def _condemn(self, host: HostProcess, culprit: str, why: str) -> None:
        """End a host; its loops go on elsewhere, and the culprit in a process of its own."""
        logger.warning("host %d is ended: %s %s", host.pid, culprit or "a loop", why)
        self._culprits[host] = culprit
        host.kill()

    def _on_death(self, host: HostProcess) -> None:
        self._placement.remove(host)
        culprit = self._culprits.pop(host, "")
        keys = [key for key in host.keys if key in self._held]
        if keys:
            self._later(self._recover(keys, culprit))

    async def _recover(self, keys: list[str], culprit: str) -> None:
        """Free the loops of a host that died; the next tick starts them again."""
        slots = {key: self._held.pop(key).slot for key in keys}
        for key in self._placement.suspects(keys, culprit):
            if key in slots and not slots[key].isolated:
                logger.warning("loop %s gets a process of its own", key)
                await sync_to_async(leases.isolate)(slots[key].pk)
        for key, slot in slots.items():
            trouble = self._trouble.setdefault(key, Trouble())
            trouble.crashes += 1
            if trouble.crashes > MAX_CRASHES:
                await self._give_up(slot, "crash_loop")
            elif trouble.crashes > 3:
                trouble.retry_at = time.monotonic() + min(2.0 ** (trouble.crashes - 3), 30)
        self._wake.set()

    async def _on_ended(self, host: HostProcess, message: dict[str, Any]) -> None:
        key, outcome, error = message["key"], message["outcome"], message["error"]
        held = self._held.pop(key, None)
        if held is None:
            return
        await self._placement.loop_ended(host, key)
        slot = held.slot
        if outcome == "completed":
            await self._release(slot, LoopSlot.State.COMPLETED)
            await self._announce_completion(slot)
        elif outcome == "stopped":
            wanted_again = self._stopping.is_set() or held.asked != Workflow.Desired.STOPPED
            state = LoopSlot.State.PENDING if wanted_again else LoopSlot.State.STOPPED
            await self._release(slot, state)
        else:
            await self._on_failure(slot, outcome, error)
        self._wake.set()

    async def _on_failure(self, slot: Slot, outcome: str, error: str) -> None:
        logger.warning("loop %s ended: %s: %s", slot.key, outcome, error)
        trouble = self._trouble.setdefault(slot.key, Trouble())
        trouble.failures += 1
        if outcome == "failed" and trouble.failures > MAX_FAILURES:
            await self._give_up(slot, error)
            return
        trouble.retry_at = time.monotonic() + min(2.0 ** (trouble.failures - 1), _BACKOFF_MAX)
        await self._release(slot, LoopSlot.State.DEGRADED, error)

    async def _give_up(self, slot: Slot, reason: str) -> None:
        self._trouble.pop(slot.key, None)
        await self._release(slot, LoopSlot.State.FAILED, reason)
        event = WorkflowFailed(loop=slot.loop, slot=slot.slot, reason=reason)
        self._publisher.announce(slot.workflow, event)

    async def _announce_completion(self, slot: Slot) -> None:
        if await sync_to_async(leases.all_completed)(slot.workflow, slot.activation):
            event = WorkflowCompleted(activation=slot.activation)
            self._publisher.announce(slot.workflow, event)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(self._guarded(lambda: work))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # Watching

    async def _watch(self) -> None:
        """End hosts that give no sign of life and loops that do not stop in time."""
        now = time.monotonic()
        for host in list(self._placement.hosts):
            if host.silent and not host.isolated:
                self._condemn(host, "", "gives no sign of life")
        for held in self._held.values():
            if now > held.stop_by:
                held.stop_by = math.inf
                self._condemn(held.host, held.slot.key, "does not stop")

    async def _find_outboxes(self) -> None:
        """Look after what runners before this one left in the outboxes."""
        self._workflows |= set(await sync_to_async(leases.activated)())

    async def _drain_outbox(self) -> None:
        running = {held.slot.workflow for held in self._held.values()}
        for workflow in list(self._workflows):
            while await outbox.drain(self._store.queue, workflow) == outbox.BATCH:
                pass
            if workflow not in running:
                self._workflows.discard(workflow)

    async def _drain(self) -> None:
        for held in self._held.values():
            self._ask(held, Workflow.Desired.STOPPED)
        deadline = time.monotonic() + GRACE
        while (self._held or self._jobs) and time.monotonic() < deadline:
            await self._pause(0.1)
        await self._placement.leave(grace=2)
        await self._publisher.publish()
        await self._guarded(self._drain_outbox)


def _is_wanted(slot: Slot) -> bool:
    return slot.desired != Workflow.Desired.STOPPED and slot.state not in leases.ENDED


def _desired(held: Slot, row: Slot | None) -> str:
    """What is wanted of a loop that runs; one whose row has moved on has to stop."""
    if row is None or (row.activation, row.version) != (held.activation, held.version):
        return Workflow.Desired.STOPPED
    return row.desired
