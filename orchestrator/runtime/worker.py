"""The worker: it leases a slot, takes tasks from the queue, and executes them, some at once."""

import asyncio
import contextlib
import contextvars
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections
from structlog.contextvars import bind_contextvars

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import LeaseLost, OrchestratorError, StoreUnavailable
from orchestrator.execution.pools import register_executor
from orchestrator.runtime import worker_leases
from orchestrator.runtime.cluster import Cluster
from orchestrator.runtime.database import in_thread
from orchestrator.runtime.guard import guarded
from orchestrator.runtime.store_check import check_store
from orchestrator.runtime.task_execution import Execution, Metrics
from orchestrator.runtime.task_groups import DistributedExecutor
from orchestrator.runtime.worker_heartbeat import WorkerHeartbeat
from orchestrator.runtime.worker_leases import WorkerEntry, WorkerLease
from storage.datastore import open_store
from storage.task_slot import Taken, TaskSlot, close_slot
from storage.tasks import TaskQueue, queues_of

logger = logging.getLogger(__name__)

GRACE = 25.0
"""Seconds that tasks in hand get to end in a shutdown; then they are handed back."""
REPORT_PERIOD = 60.0
_READ_WAIT = 2.0
_AGAIN = 1.0
_TICK = 0.5
_SPARE_THREADS = 32
_runs_on: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("runs_on", default=())
"""The labels that it needs."""
_in_hand: contextvars.ContextVar[str] = contextvars.ContextVar("in_hand")
"""The entry of the task that runs here, and in all that it has started."""


class Worker:
    """Args:
    name: of this worker; one living worker may have it.
    concurrency: how many tasks it has in hand at once.
    labels: what it is good for; it takes tasks that ask for no others.
    cluster: executes them.
    look_for_work: called now and then: puts tasks that should be in the queue and are not.
    """

    def __init__(
        self,
        name: str,
        concurrency: int,
        labels: Iterable[str],
        cluster: Cluster,
        look_for_work: Callable[[], Awaitable[None]],
    ) -> None:
        settings = orchestrator_settings()
        if settings.REDIS_URL.startswith("memory"):
            raise OrchestratorError("memory:// is for one process only: give REDIS_URL a server")
        self.name = name
        self.metrics = Metrics()
        self._ttl = settings.LEASE_TTL
        self._block_limit = settings.BLOCK_LIMIT
        self._concurrency = concurrency
        self._labels = tuple(sorted(set(labels)))
        queues_of(self._labels)  # refuses too many
        self._cluster = cluster
        self._look_for_work = look_for_work
        self.store = open_store(settings.REDIS_URL)
        self.queue = TaskQueue(self.store.queue)
        self._stopping = asyncio.Event()
        self._active: set[asyncio.Task[None]] = set()
        self._waiting: Counter[str] = Counter()
        """Those of them that wait for groups, and so leave room for the members."""
        self._alone = False
        self._changed = asyncio.Event()
        self._reported = ""

    def stop(self) -> None:
        """Take nothing more, let what is in hand end, and end; safe to call more than once."""
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            StoreRefused: the server cannot give the guarantees.
        """
        bind_contextvars(worker=self.name)
        threads = ThreadPoolExecutor(self._concurrency + _SPARE_THREADS, "task")
        asyncio.get_running_loop().set_default_executor(threads)
        register_executor("distributed", self._executor)
        reporting = asyncio.create_task(self._report_often())
        try:
            await self._until_fit()
            while not self._stopping.is_set():
                lease = await self._acquire()
                if lease is not None:
                    await self._work(lease)
        finally:
            reporting.cancel()
            self._report()
            await self._cluster.close()
            await self.store.close()

    async def _until_fit(self) -> None:
        while not self._stopping.is_set():
            try:
                return await check_store(self.store)
            except StoreUnavailable as error:
                logger.warning("%s", error.message)
                await self._pause(_AGAIN)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _acquire(self) -> WorkerLease | None:
        """Lease a slot; None, after a pause, when there was none to have."""
        try:
            lease = await sync_to_async(worker_leases.acquire)(
                WorkerEntry(
                    name=self.name,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    concurrency=self._concurrency,
                    labels=self._labels,
                ),
                self._ttl,
            )
        except Error as error:
            logger.warning("the database is away: %s", error)
            await sync_to_async(close_old_connections)()
            lease = None
        else:
            if lease is None:
                logger.warning("a worker %s is still alive: waiting for its end", self.name)
                await guarded(self._bury_all)  # it may have had other labels, and nobody beside it
        if lease is None:
            await self._pause(_AGAIN)
        return lease

    async def _work(self, lease: WorkerLease) -> None:
        """Work in a slot until it is lost, or until the end."""
        logger.info("worker %s has the slot %d", self.name, lease.slot)
        slot = TaskSlot(self.queue, lease.slot, lease.token, self._labels)
        loop = asyncio.get_running_loop()
        heartbeat = WorkerHeartbeat(
            lease,
            ttl=self._ttl,
            block_limit=self._block_limit,
            counts=self.metrics.counts,
            on_lost=lambda: loop.call_soon_threadsafe(self._lose, slot),
        )
        heartbeat.start()
        tending = [
            asyncio.create_task(self._tick(heartbeat)),
            asyncio.create_task(self._tend(slot)),
        ]
        try:
            if await self._begin(slot):
                await self._take(slot)
                await self._finish(slot)
        except LeaseLost:
            logger.warning("worker %s has lost the slot %d", self.name, lease.slot)
            await self._cancel()
            await self._pause(_AGAIN)
        finally:
            for task in tending:
                task.cancel()
            await asyncio.to_thread(heartbeat.stop)
            await self._release(lease, slot)

    def _lose(self, slot: TaskSlot) -> None:
        slot.revoke()
        self._changed.set()

    async def _release(self, lease: WorkerLease, slot: TaskSlot) -> None:
        if slot.revoked or not slot.ended:
            return  # the lease runs out, and what is in hand goes to others then
        try:
            await sync_to_async(worker_leases.release)(lease, self.metrics.counts())
        except Error as error:
            logger.warning("the database is away: %s", error)

    async def _begin(self, slot: TaskSlot) -> bool:
        while not self._stopping.is_set():
            try:
                await slot.begin()
            except StoreUnavailable as error:
                logger.warning("%s", error.message)
                await self._pause(_AGAIN)
            else:
                return True
        return False

    async def _take(self, slot: TaskSlot) -> None:
        execution = Execution(slot, self.store.coordinator, self._cluster, self.metrics)
        while not self._stopping.is_set():
            execution.check()
            if free := self._free():
                for taken in await self._next(slot, free):
                    await self._start(execution, taken)
            else:
                await self._until_changed()

    @property
    def _busy(self) -> int:
        return len(self._active) - len(self._waiting)

    def _free(self) -> int:
        """Return how many more tasks may be taken."""
        if self._alone and self._busy:
            return 0
        return max(0, self._concurrency - self._busy)

    async def _until_changed(self) -> None:
        """Wait until a task has ended or waits for its group, or until told to stop."""
        self._changed.clear()
        await self._changed.wait()

    async def _next(self, slot: TaskSlot, count: int) -> Sequence[Taken]:
        taking = asyncio.create_task(slot.take(count, _READ_WAIT))
        await self._until(taking)
        if not taking.done():  # told to stop; what was handed out meanwhile is handed back
            taking.cancel()
            await asyncio.wait([taking])
            return ()
        try:
            return taking.result()
        except StoreUnavailable as error:
            logger.warning("%s", error.message)
            await self._pause(_AGAIN)
            return ()

    async def _until(self, task: "asyncio.Task[object]") -> None:
        """Wait until it ends, or until told to stop."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _start(self, execution: Execution, taken: Taken) -> None:
        while (taken.alone or self._alone) and self._busy and not self._stopping.is_set():
            await self._until_changed()
            execution.check()
        if self._stopping.is_set():
            return  # it is handed back with the slot
        self._alone = taken.alone
        context = contextvars.copy_context()
        context.run(_in_hand.set, taken.entry.id)
        context.run(_runs_on.set, () if taken.task is None else tuple(taken.task.runs_on))
        task = asyncio.create_task(execution.run(taken), context=context)
        self._active.add(task)
        task.add_done_callback(self._ended)

    def _executor(self) -> DistributedExecutor:
        """Return what runs the groups of tasks in hand, which may come back to this very worker.
        Members need the labels that their task needs."""
        runs_on = _runs_on.get()
        return DistributedExecutor(
            self.queue,
            self.store.coordinator,
            workers=partial(self._living, runs_on),
            runs_on=runs_on,
            while_waiting=self._make_room,
        )

    async def _living(self, runs_on: tuple[str, ...]) -> int:
        """Return how many workers with the labels are alive: among so many the members of a group
        are spread."""
        try:
            return int(await in_thread(worker_leases.living)(runs_on))
        except StoreUnavailable:
            return 1  # a group does not fail for it

    @contextlib.contextmanager
    def _make_room(self) -> Iterator[None]:
        entry = _in_hand.get()
        self._waiting[entry] += 1
        self._changed.set()
        try:
            yield
        finally:
            self._waiting[entry] -= 1
            self._waiting += Counter()  # without those at zero

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._active.discard(task)
        self._changed.set()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, LeaseLost):
            logger.error("a task could not be ended in the queue", exc_info=error)

    async def _finish(self, slot: TaskSlot) -> None:
        """Let what is in hand end within the grace, hand back the rest, and leave the slot."""
        if self._active:
            logger.info("worker %s finishes %d tasks", self.name, len(self._active))
            await asyncio.wait(self._active, timeout=GRACE)
        await self._cancel()
        try:
            async with asyncio.timeout(GRACE / 3):
                await slot.end()
        except (TimeoutError, StoreUnavailable) as error:
            logger.warning("what was in hand is handed back when the lease has ended: %s", error)

    async def _cancel(self) -> None:
        for task in self._active:
            task.cancel()
        if self._active:
            await asyncio.wait(self._active, timeout=GRACE / 3)

    async def _tick(self, heartbeat: WorkerHeartbeat) -> None:
        while True:
            heartbeat.tick()
            await asyncio.sleep(_TICK)

    async def _tend(self, slot: TaskSlot) -> None:
        """Take over, again and again, what workers that are gone have left."""
        while True:
            await asyncio.sleep(self._ttl / 3)
            await guarded(lambda: self._take_over(slot))
            await guarded(self._look_for_work)

    async def _take_over(self, slot: TaskSlot) -> None:
        await self._bury_all()
        await slot.adopt()

    async def _bury_all(self) -> None:
        for gone in await sync_to_async(worker_leases.expired)():
            await self._bury(gone)

    async def _bury(self, gone: WorkerLease) -> None:
        retired = await sync_to_async(worker_leases.retire)(gone)
        if retired is None:
            return
        logger.warning("the worker of slot %d is gone: what it had in hand goes on", gone.slot)
        await close_slot(self.store.queue, retired.slot, retired.token)
        await sync_to_async(worker_leases.release)(retired)

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_PERIOD)
            self._report()

    def _report(self) -> None:
        text = str(self.metrics)
        if text != self._reported:
            logger.info("worker %s: %s", self.name, text)
            self._reported = text
