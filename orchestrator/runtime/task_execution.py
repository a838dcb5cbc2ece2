"""What a worker does with one task in hand, from taking it to its end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from structlog.contextvars import bound_contextvars

from nodes.contract import RetryPolicy
from orchestrator.exceptions import InvalidPayload, LeaseLost, NodeFailed, StoreUnavailable
from orchestrator.execution.retry import delay_before
from orchestrator.runtime.cluster import Cluster
from orchestrator.runtime.task_errors import (
    INVALID,
    TIMEOUT,
    WORKER_LOST,
    failure,
    kinds_of,
)
from storage.coordinator import Coordinator
from storage.task_slot import Taken, TaskSlot
from storage.tasks import Task, TaskResult

logger = logging.getLogger(__name__)
T = TypeVar("T")

_AGAIN = 0.2
_LOOK_AFTER = 2.0
"""Seconds between two looks whether a batch of members is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a worker has done since it was started; see `WorkerSlot`."""

    active: int = 0
    processed: int = 0
    failed: int = 0
    retried: int = 0
    seconds: float = 0.0


class Metrics:
    """What a worker has done since it was started."""

    def __init__(self) -> None:
        self.active = self.processed = self.failed = self.retried = 0
        self.seconds = self.longest = 0.0

    def ended(self, seconds: float, *, ok: bool, again: bool) -> None:
        """Count an execution."""
        self.seconds += seconds
        self.longest = max(self.longest, seconds)
        self.processed += ok
        self.retried += again
        self.failed += not (ok or again)

    def counts(self) -> Counts:
        return Counts(
            active=self.active,
            processed=self.processed,
            failed=self.failed,
            retried=self.retried,
            seconds=self.seconds,
        )

    def __str__(self) -> str:
        ended = self.processed + self.failed
        done = ended + self.retried
        rate = 100 * self.processed / ended if ended else 100.0
        mean = self.seconds / done if done else 0.0
        return (
            f"processed {self.processed}, failed {self.failed}, retried {self.retried}, "
            f"success rate {rate:.1f} %, duration mean {mean:.3f} s, longest {self.longest:.3f} s"
        )


@dataclass(slots=True)
class _Failure:
    result: TaskResult
    kinds: tuple[str, ...] = ()


class Execution:
    """Executes the tasks that one slot takes, wherever the cluster lets them run."""

    def __init__(
        self,
        slot: TaskSlot,
        coordinator: Coordinator,
        cluster: Cluster,
        metrics: Metrics,
    ) -> None:
        self._slot = slot
        self._coordinator = coordinator
        self._cluster = cluster
        self._metrics = metrics

    def check(self) -> None:
        """Raise LeaseLost if the slot is another's."""
        if self._slot.revoked:
            raise LeaseLost

    async def run(self, taken: Taken) -> None:
        """Execute a task, and end it in the queue; being cancelled gives it back.

        Raises:
            LeaseLost: somebody else has it now.
        """
        self._metrics.active += 1
        task = taken.task
        about = {} if task is None else {"task": task.id, "task_type": task.type}
        try:
            with bound_contextvars(**about):
                await self._run(taken)
        except asyncio.CancelledError:
            if not self._slot.revoked and taken.task is not None:
                await self._slot.give_back(taken)
            raise
        finally:
            self._metrics.active -= 1

    async def _run(self, taken: Taken) -> None:
        task = taken.task
        if task is None:
            error = InvalidPayload("the entry is not a task")
            await self._slot.fail(taken, failure(error, reason=INVALID))
        elif not self._slot.fits(task):
            await self._slot.give_back(taken)
        elif taken.given_up:
            message = f"{task.lost} workers died while they had it in hand"
            lost = failure(NodeFailed(message, error_type="WorkerLost"), reason=WORKER_LOST)
            await self._fail(taken, task, lost)
        elif task.type == "group" and task.lost and not await self._wanted(task):
            await self._slot.done(taken)
        else:
            with contextlib.suppress(StoreUnavailable):  # not repeated: it may have been charged
                await self._slot.charge(taken)
            await self._execute(taken, task)

    async def _execute(self, taken: Taken, task: Task) -> None:
        begun = time.perf_counter()
        outcome = await self._outcome(task)
        seconds = time.perf_counter() - begun
        if isinstance(outcome, TaskResult):
            self._metrics.ended(seconds, ok=True, again=False)
            await self._arrive(task, replace(outcome, seconds=seconds).encode())
            await self._slot.done(taken)
            return
        delay = _delay(task, outcome)
        self._metrics.ended(seconds, ok=False, again=delay is not None)
        result = replace(outcome.result, seconds=seconds)
        if delay is not None:
            logger.info("%s %s: %s; again in %.1f s", task.type, task.id, result.message, delay)
            await self._slot.retry(taken, delay)
        else:
            await self._fail(taken, task, result)

    async def _outcome(self, task: Task) -> TaskResult | _Failure:
        """Return what became of one attempt."""
        try:
            async with asyncio.timeout(task.timeout) as deadline:
                value = await self._handle(task)
            result = TaskResult(ok=True, value=value)
            result.encode()
        except TimeoutError as error:
            if not deadline.expired():
                return _Failure(failure(error), kinds_of(error))
            late = NodeFailed(f"took longer than {task.timeout:g} s", error_type="NodeTimeout")
            return _Failure(failure(late, reason=TIMEOUT), ("NodeTimeout", "NodeFailed"))
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                raise
            return _Failure(failure(error), kinds_of(error))
        return result

    async def _handle(self, task: Task) -> Any:
        if task.type != "group":
            return await self._cluster.execute(task)
        working = asyncio.ensure_future(self._cluster.execute(task))
        try:
            while not (await asyncio.wait([working], timeout=_LOOK_AFTER))[0]:
                if not await self._wanted(task):
                    return None
            return await working
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait([working])

    async def _wanted(self, task: Task) -> bool:
        """Tell whether somebody waits for a batch: it has not arrived, and the group is open."""
        reply = task.reply
        if reply is None:
            return True
        return not await patiently(lambda: self._coordinator.arrived(reply.group, reply.batch))

    async def _fail(self, taken: Taken, task: Task, result: TaskResult) -> None:
        logger.warning(
            "%s %s failed (%s): %s: %s",
            *(task.type, task.id, result.reason, result.error_type, result.message),
        )
        if result.reason == WORKER_LOST:
            self._metrics.failed += 1
        await self._arrive(task, result.encode())
        await self._slot.fail(taken, result)

    async def _arrive(self, task: Task, body: bytes) -> None:
        reply = task.reply
        if reply is not None and not self._slot.revoked:
            await patiently(lambda: self._coordinator.arrive(reply.group, reply.batch, body))


def _is_cancelled(error: BaseException) -> bool:
    """Tell whether the worker has cancelled the task; a task may raise the same by itself."""
    current = asyncio.current_task()
    return (
        isinstance(error, asyncio.CancelledError)
        and current is not None
        and current.cancelling() > 0
    )


def _delay(task: Task, outcome: _Failure) -> float | None:
    """Return the seconds until the task is tried again; None when it is not."""
    if task.retry is None or outcome.result.reason == INVALID:
        return None
    try:
        policy = RetryPolicy(**task.retry)
    except TypeError:
        logger.warning("%s %s has a retry policy that is none", task.type, task.id)
        return None
    attempt = task.attempts + 1
    kinds = set(outcome.kinds)
    wanted = not policy.retry_on or not kinds.isdisjoint(policy.retry_on)
    if attempt >= policy.max_attempts or not wanted or not kinds.isdisjoint(policy.give_up_on):
        return None
    return delay_before(attempt + 1, policy)


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat work that may be repeated until the server is there."""
    while True:
        try:
            return await work()
        except StoreUnavailable:
            await asyncio.sleep(_AGAIN)
