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
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, close_old_connections

from orchestrator.conf import orchestrator_settings
from orchestrator.events import WorkflowCompleted, WorkflowFailed
from orchestrator.exceptions import NotFound, OrchestratorError, StoreUnavailable
from orchestrator.flow.loops import Loop
from orchestrator.models import LoopSlot, Workflow
from orchestrator.runtime import leases
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.held import LOST, Held, desired
from orchestrator.runtime.hosts import HostProcess, end_all, start_order
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.outbox import Outboxes
from orchestrator.runtime.placement import Placement
from orchestrator.runtime.publisher import Publisher
from orchestrator.runtime.troubles import Troubles
from storage.datastore import open_store

logger = logging.getLogger(__name__)

TICK = 0.5
GRACE = 25.0
_AGAIN = 1.0


class Supervisor:
    def __init__(self) -> None:
        self._settings = orchestrator_settings()
        host = socket.gethostname()
        self.id = f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._host_name = host
        self._store = open_store(self._settings.REDIS_URL)
        self._publisher = Publisher(self._store.feed)
        self._placement = Placement(self._on_message, self._on_death, self._settings.BLOCK_LIMIT)
        self._held: dict[str, Held] = {}
        self._troubles = Troubles()
        self._outboxes = Outboxes(self._store.queue)
        self._culprits: dict[HostProcess, str] = {}
        self._loops: dict[tuple[str, int], tuple[Any, dict[str, Loop]]] = {}
        self._until = 0.0
        self._watched_at = 0.0
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
        await self._guarded(self._outboxes.find)
        background = [
            asyncio.create_task(work)
            for work in (
                self._every(self._settings.LEASE_TTL / 3, self._renew),
                self._every(0.25, self._watch),
                self._every(1.0, self._drain_outboxes),
                self._every(2.0, self._revive),
                self._publisher.run(),
            )
        ]
        try:
            while not self._stopping.is_set():
                await self._guarded(self._reconcile)
                await self._pause(TICK)
            await self._drain()
        finally:
            await end_all(background)
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
            done = await self._guarded(work)
            await asyncio.sleep(seconds if done else min(seconds, _AGAIN))

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Run a piece of work and tell whether it was done. Nothing that goes wrong in one may
        end a runner, which has loops that go on."""
        try:
            await work()
        except DatabaseError as error:
            logger.warning("the database is away: %s", error)
            await sync_to_async(close_old_connections)()
        except OrchestratorError as error:
            logger.warning("%s", error.message)
        except Exception:
            logger.exception("a runner's work failed")
        else:
            return True
        return False

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
        if time.monotonic() > self._until:
            await self._find_lost()
        self._until = asked_at + ttl * 2 / 3
        for host in self._placement.hosts:
            host.send({"op": "renew", "until": self._until})

    async def _find_lost(self) -> None:
        """Renew nothing that another runner took while this one was late."""
        owned = await sync_to_async(leases.owned)(self.id)
        for held in self._held.values():
            if (held.slot.pk, held.token) not in owned:
                self._ask(held, LOST)

    async def _leave(self) -> None:
        await sync_to_async(leases.leave)(self.id)

    # Reconciling

    async def _reconcile(self) -> None:
        if not self._until:
            await self._renew()
        await self._note_states()
        rows = {slot.key: slot for slot in await sync_to_async(leases.slots)(self.id)}
        for key, held in self._held.items():
            self._ask(held, desired(held.slot, rows.get(key)))
        wanted = [slot for slot in rows.values() if slot.wanted]
        room = await self._share(len(wanted)) - len(self._held)
        for slot in wanted:
            if slot.key not in self._held and self._may_take(slot, room):
                room -= await self._take(slot)
        for slot in rows.values():
            if slot.mine and slot.key not in self._held and not slot.wanted:
                state = slot.state if slot.state in leases.ENDED else LoopSlot.State.STOPPED
                await self._release(slot, state)

    async def _share(self, wanted: int) -> int:
        alive = await sync_to_async(leases.living)()
        return math.ceil(wanted / max(1, len(alive)))

    def _may_take(self, slot: Slot, room: int) -> bool:
        return (slot.mine or (slot.free and room > 0)) and self._troubles.may_try(slot.key)

    def _ask(self, held: Held, wish: str) -> None:
        """Pass a changed wish on to the loop."""
        if held.asked in (wish, LOST):
            return
        held.asked = wish
        order = {"running": "resume", "paused": "pause", LOST: LOST}.get(wish, "stop")
        held.host.send({"op": order, "key": held.slot.key})
        if order in ("stop", LOST):
            held.stop_by = time.monotonic() + GRACE

    async def _take(self, slot: Slot) -> bool:
        """Acquire a slot and start its loop; tell whether it is ours now."""
        token = await sync_to_async(leases.acquire)(slot.pk, self.id, slot.activation)
        if token is None:
            return False
        try:
            definition, loop = await self._plan(slot)
            host = await self._placement.host_for(slot.key, loop.pool, isolated=slot.isolated)
        except (OSError, EOFError) as error:
            await self._on_failure(slot, "no_process", str(error))
            return False
        except (OrchestratorError, ObjectDoesNotExist) as error:  # of this slot, not of others
            await self._on_failure(slot, "failed", str(error))
            return False
        self._outboxes.add(slot.workflow)
        self._publisher.forget(slot.workflow, slot.name)
        held = self._held[slot.key] = Held(slot, token, host)
        host.send({"op": "renew", "until": self._until})
        host.send(
            start_order(
                slot.key,
                loop,
                definition,
                workflow=slot.workflow,
                version=slot.version,
                activation=slot.activation,
                loop=slot.loop,
                slot=slot.slot,
                token=token,
            )
        )
        self._ask(held, slot.desired)
        return True

    async def _plan(self, slot: Slot) -> tuple[Any, Loop]:
        """Return a version's JSON and the slot's loop in it."""
        known = self._loops.get((slot.workflow, slot.version))
        if known is None:
            definition = await sync_to_async(leases.definition)(slot.workflow, slot.version)
            flow = await asyncio.to_thread(flow_engine().load, definition)
            known = definition, {loop.id: loop for loop in flow.analyzer.loops()}
            self._loops[slot.workflow, slot.version] = known
        definition, loops = known
        if slot.loop not in loops:
            raise NotFound("the version has no such loop")
        return definition, loops[slot.loop]

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
            if message["seconds"] > host.patience:
                self._condemn(host, message["key"], "blocks its event loop")
        elif message["op"] == "ended":
            self._later(self._on_ended(host, message))

    def _on_status(self, key: str, status: dict[str, Any]) -> None:
        if (held := self._held.get(key)) is None:
            return
        self._publisher.update(held.slot.workflow, held.slot.name, status)
        if status["iterations"] and not held.progressed:
            held.progressed = True
            self._troubles.forget(key)

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
        # One may have ended just before its host did.
        slots = {key: held.slot for key in keys if (held := self._held.pop(key, None))}
        for key in self._placement.suspects(keys, culprit):
            if key in slots and not slots[key].isolated:
                logger.warning("loop %s gets a process of its own", key)
                await sync_to_async(leases.isolate)(slots[key].pk)
        for key, slot in slots.items():
            if not self._troubles.crashed(key):
                await self._give_up(slot, "crash_loop")
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
        if not self._troubles.failed(slot.key) and outcome == "failed":
            await self._give_up(slot, error)
            return
        await self._release(slot, LoopSlot.State.DEGRADED, error)

    async def _give_up(self, slot: Slot, reason: str) -> None:
        self._troubles.forget(slot.key)
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
        if now - self._watched_at > 1:  # held up itself, it has not listened
            self._placement.hear()
        self._watched_at = now
        for host in list(self._placement.hosts):
            if host.silent:
                self._condemn(host, "", "gives no sign of life")
        for held in self._held.values():
            if now > held.stop_by:
                held.stop_by = math.inf
                self._condemn(held.host, held.slot.key, "does not stop")

    def _running(self) -> set[str]:
        return {held.slot.workflow for held in self._held.values()}

    async def _drain_outboxes(self) -> None:
        await self._outboxes.drain(self._running())

    async def _revive(self) -> None:
        """Run loops again whose completion the store has lost: their readers would wait for it
        for ever, and what they handed over may be lost as well."""
        for pk, workflow, name, activation in await sync_to_async(leases.completed)(
            self._running()
        ):
            marks = await self._store.queue.completed(workflow)
            if marks.get(name) != activation:
                logger.warning("the store has lost the completion of %s/%s", workflow, name)
                await sync_to_async(leases.revive)(pk, activation)

    async def _drain(self) -> None:
        for held in self._held.values():
            self._ask(held, Workflow.Desired.STOPPED)
        deadline = time.monotonic() + GRACE
        while (self._held or self._jobs) and time.monotonic() < deadline:
            await self._pause(0.1)
        await self._placement.leave(grace=2)
        await self._publisher.publish()
        await self._guarded(self._drain_outboxes)
