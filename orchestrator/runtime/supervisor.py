"""The runner: holds leases, keeps loops running in hosts, and never runs node code itself.

Every half second its reconciler compares what the database wants with what its fleet runs. Its
heartbeat renews all its leases at once; when it cannot renew them, its hosts stop committing by
themselves, before anybody else may take the slots over.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable

from asgiref.sync import sync_to_async

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.flow.queues import plan_queues
from orchestrator.runtime import leases, replays
from orchestrator.runtime.checkpoints import Checkpoints
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.forked import prepare
from orchestrator.runtime.guard import guarded
from orchestrator.runtime.heartbeat import Heartbeat
from orchestrator.runtime.held import GRACE, MOVE
from orchestrator.runtime.hosts import end_all
from orchestrator.runtime.leases import RunnerEntry
from orchestrator.runtime.measures import PERIOD as MEASURES_PERIOD
from orchestrator.runtime.measures import Measures
from orchestrator.runtime.outbox import Outboxes
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from orchestrator.runtime.queue_watch import PERIOD, QueueWatch
from orchestrator.runtime.reconciler import Reconciler
from orchestrator.runtime.store_check import check_store
from storage.datastore import open_store

logger = logging.getLogger(__name__)

TICK = 0.5
_AGAIN = 1.0


class Supervisor:
    """Args:
    labels: what this runner is good for; it takes loops that ask for no others.
    """

    def __init__(self, labels: Iterable[str] = ()) -> None:
        self._settings = orchestrator_settings()
        ttl = self._settings.LEASE_TTL
        host, pid = socket.gethostname(), os.getpid()
        self.id = f"{host}:{pid}:{uuid.uuid4().hex[:8]}"
        self._store = open_store(self._settings.REDIS_URL)
        self._fit = False
        """Whether the store was found to be fit; nothing is run before."""
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        entry = RunnerEntry(id=self.id, host=host, pid=pid, labels=tuple(sorted(set(labels))))
        self._heartbeat = Heartbeat(entry, ttl)
        self._publisher = Publisher(self._store.feed)
        self._outboxes = Outboxes(self._store.queue)
        self._queue_watch = QueueWatch(self._store.queue, self._store.feed)
        self._measures = Measures(self.id, self._store.cache)
        self._plans = Plans()
        self._checkpoints = Checkpoints(
            self.id, self._store.queue, self._plans, self._settings.CHECKPOINT_PERIOD
        )
        self._fleet = Fleet(
            self.id,
            self._store.queue,
            self._publisher,
            self._plans,
            block_limit=self._settings.BLOCK_LIMIT,
            slack=self._checkpoints.slack,
            on_take=self._outboxes.add,
            on_end=self._wake.set,
            on_measures=self._measures.take,
        )
        self._reconciler = Reconciler(
            self.id, self._fleet, self._store.queue, self._publisher, self._plans, settled=ttl / 3
        )

    def stop(self) -> None:
        """Drain and end; safe to call from a signal handler."""
        self._stopping.set()
        self._wake.set()

    def kill(self) -> None:
        """End every host at once; what they had in hand runs again elsewhere."""
        for host in self._fleet.placement.hosts:
            host.kill()

    async def run(self) -> None:
        """Run until `stop`, then let every loop end at a boundary and give its slot back."""
        if self._settings.REDIS_URL.startswith("memory"):
            raise OrchestratorError("memory:// is for one process only: give REDIS_URL a server")
        logger.info("runner %s", self.id)
        await asyncio.to_thread(prepare)  # whoever takes a slot over should not wait for it
        await self._check_store()  # before anything is begun
        await guarded(self._outboxes.find)
        background = [
            asyncio.create_task(work)
            for work in (
                self._every(self._settings.LEASE_TTL / 3, self._renew),
                self._every(0.25, self._fleet.watch),
                self._every(1.0, self._drain_outboxes),
                self._every(1.0, self._pump_replays),
                self._every(2.0, self._revive),
                self._every(PERIOD, self._watch_queues),
                self._every(MEASURES_PERIOD, self._publish_measures),
                self._every(self._checkpoints.period, self._checkpoint),
                self._publisher.run(),
            )
        ]
        try:
            while not self._stopping.is_set():
                if not self._fit:
                    await self._check_store()
                if self._fit:
                    await guarded(self._reconcile)
                await self._pause(TICK)
            await self._drain()
        finally:
            await end_all(background)
            await guarded(self._heartbeat.leave)
            await self._store.close()

    async def _check_store(self) -> None:
        """Refuse a server that cannot give the guarantees; one that is away is waited for."""
        try:
            await check_store(self._store)
        except StoreUnavailable as error:
            logger.warning("%s", error.message)
        else:
            self._fit = True

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            done = await guarded(work)
            # A renewal has to come again before the leases may not be acted on any more.
            await asyncio.sleep(seconds if done else min(seconds / 4, _AGAIN))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _renew(self) -> None:
        before = list(self._fleet.held.values())
        owned = await self._heartbeat.beat()
        if owned is not None:  # late: another runner may have taken something
            self._fleet.give_up_lost(before, owned)
        self._fleet.renew(self._heartbeat.until)

    async def _reconcile(self) -> None:
        if not self._heartbeat.until:
            await self._renew()
        await self._reconciler.tick()
        if self._reconciler.told_to_leave:
            self.stop()

    def _running(self) -> set[str]:
        return {held.slot.workflow for held in self._fleet.held.values()}

    async def _drain_outboxes(self) -> None:
        await self._outboxes.drain(self._running())

    async def _pump_replays(self) -> None:
        await replays.pump(self._store.queue)

    async def _watch_queues(self) -> None:
        """Sample every queue of what runs here, also those that loops of other runners use."""
        slots = [held.slot for held in self._fleet.held.values()]
        names: dict[str, list[str]] = {}
        for workflow, version in {(slot.workflow, slot.version) for slot in slots}:
            plan = self._plans.known(workflow, version)
            loops = plan.loops.values() if plan is not None else ()
            names.setdefault(workflow, []).extend(q.name for q in plan_queues(loops))
        await self._queue_watch.sample(names)

    async def _publish_measures(self) -> None:
        await self._measures.publish(self._fleet.held.keys())

    async def _checkpoint(self) -> None:
        await self._checkpoints.write(self._running())

    async def _revive(self) -> None:
        """Run loops again whose completion the store has lost: their readers would wait for it
        for ever, and what they handed over may be lost as well."""
        for pk, workflow, name, activation in await sync_to_async(leases.completed)(
            self._running()
        ):
            marks = await self._store.queue.completed(workflow)
            if marks.get(name) != activation:
                told = "the store has lost the completion of %s/%s"
                logger.warning(told, workflow, name, extra={"workflow": workflow})
                await sync_to_async(leases.revive)(pk, activation)

    async def _drain(self) -> None:
        fleet = self._fleet
        await guarded(self._heartbeat.drain)  # before: others take what it gives back
        for held in fleet.held.values():
            if held.comes_back:
                fleet.ask(held, MOVE)
        deadline = time.monotonic() + GRACE
        while (fleet.held or fleet.jobs) and time.monotonic() < deadline:
            await self._pause(0.1)
        await fleet.placement.leave(grace=2)
        await self._publisher.publish()
        await guarded(self._drain_outboxes)
