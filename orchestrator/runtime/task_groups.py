"""Groups across workers: members leave in batches, and their results come back at the barrier."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload, InvalidRequest, NodeTimeout, StoreUnavailable
from orchestrator.execution.members import task_call
from orchestrator.execution.outcomes import Outcome
from orchestrator.execution.pools import MemberCall, ThreadExecutor
from orchestrator.execution.tasks import TaskSpec
from orchestrator.runtime.task_errors import FAILED, TIMEOUT, error_of, failure
from orchestrator.runtime.task_handlers import TaskHandler, handlers
from storage.codec import encode
from storage.coordinator import Coordinator
from storage.tasks import TASK_BYTES, Reply, Task, TaskQueue, TaskResult

GROUP_TTL = 24 * 3600.0
"""Seconds for which a group without a timeout is kept, should whoever waits for it be gone."""
_MARGIN = 60.0
_AGAIN = 0.2


class DistributedExecutor:
    """Runs the members of a group on workers: one entry of the queue for each batch.

    Args:
        workers: how many batches to make, or a function that tells how many workers are alive.
        while_waiting: entered while this waits for the members, such as by a worker that may have
            to execute them itself.
        batch_size: members in a batch, instead of as many batches as there are workers. A batch is
            what one worker has in hand, and what is executed again when it dies.
        runs_on: labels that the workers need.
    """

    portable = True

    def __init__(
        self,
        queue: TaskQueue,
        coordinator: Coordinator,
        *,
        workers: int | Callable[[], Awaitable[int]] = 1,
        batch_size: int | None = None,
        runs_on: Sequence[str] = (),
        while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._queue = queue
        self._coordinator = coordinator
        self._workers = workers
        self._batch_size = batch_size
        self._runs_on = tuple(runs_on)
        self.while_waiting = while_waiting

    async def run(
        self,
        calls: Sequence[MemberCall],
        *,
        timeout: float | None = None,
        member_timeout: float | None = None,
        stop: Callable[[Outcome], bool] | None = None,
    ) -> list[Outcome]:
        """See `GroupExecutor`. Nobody is told of outcomes before all are there, or time is up.

        Raises:
            StoreUnavailable: the server is away when the members are put, or at the end of the
                time. In between it is waited for.
        """
        begun = perf_counter()
        specs = [(call.name, call.spec) for call in calls]
        size = await self._size_for(len(specs))
        batches = [specs[at : at + size] for at in range(0, len(specs), size)]
        if not batches:
            return []
        group = f"group:{uuid.uuid4().hex}"
        ttl = GROUP_TTL if timeout is None else timeout + _MARGIN
        await self._coordinator.open(group, len(batches), ttl)
        try:
            async with asyncio.TaskGroup() as putting:
                for number, batch in enumerate(batches):
                    task = _task(batch, Reply(group=group, batch=number), timeout, member_timeout)
                    task = replace(task, runs_on=self._runs_on)
                    putting.create_task(self._queue.put(task, once=False))
            with self.while_waiting():
                arrived = await self._wait(group, timeout)
        except ExceptionGroup as error:
            raise error.exceptions[0] from None
        finally:
            await asyncio.shield(self._close(group))
        seconds = perf_counter() - begun
        return [
            outcome
            for number, batch in enumerate(batches)
            for outcome in _outcomes([name for name, _ in batch], arrived.get(number))
            or [_late(name, seconds, timeout) for name, _ in batch]
        ]

    async def _wait(self, group: str, timeout: float | None) -> dict[int, bytes]:
        """Wait at the barrier, also for a server that is away meanwhile."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return await self._coordinator.wait(group, left)
            except StoreUnavailable:
                if left == 0.0:
                    raise
                await asyncio.sleep(_AGAIN)

    async def _close(self, group: str) -> None:
        with suppress(StoreUnavailable):  # then it expires
            await self._coordinator.close(group)

    async def _size_for(self, count: int) -> int:
        if self._batch_size is not None:
            return max(1, self._batch_size)
        workers = self._workers if isinstance(self._workers, int) else await self._workers()
        return max(1, -(-count // max(1, workers)))


def _task(
    batch: Sequence[tuple[str, TaskSpec]],
    reply: Reply,
    timeout: float | None,
    member_timeout: float | None,
) -> Task:
    """Return a batch as a task. In columns, which cost less than an object for each member."""
    limits = {"timeout": timeout, "member_timeout": member_timeout}
    given = {name: seconds for name, seconds in limits.items() if seconds is not None}
    columns = {
        "members": [name for name, _ in batch],
        "tasks": [spec.name for _, spec in batch],
        "arguments": [dict(spec.arguments) for _, spec in batch],
    }
    return Task(type="group", arguments={**columns, **given}, reply=reply)


def _outcomes(names: Sequence[str], body: bytes | None) -> list[Outcome]:
    """Return what became of the members of a batch; one that failed as a whole failed for each."""
    if body is None:
        return []
    result = TaskResult.decode(body)
    if not result.ok:
        return [_failed(name, result) for name in names]
    failures = {int(place): TaskResult(**each) for place, each in result.value["failed"].items()}
    ended = zip(names, result.value["values"], result.value["seconds"], strict=True)
    return [
        _failed(name, failures[place])
        if place in failures
        else Outcome(name=name, ok=True, value=value, seconds=seconds)
        for place, (name, value, seconds) in enumerate(ended)
    ]


def _failed(name: str, result: TaskResult) -> Outcome:
    return Outcome(name=name, ok=False, error=error_of(result), seconds=result.seconds)


def _late(name: str, seconds: float, timeout: float | None) -> Outcome:
    error = NodeTimeout(f"the group took longer than {timeout:g} s", error_type="NodeTimeout")
    return Outcome(name=name, ok=False, error=error, seconds=seconds)


class GroupHandler(TaskHandler):
    """A batch of members: async ones in the worker's event loop, plain ones in threads.

    Its value has a column of values, one of seconds, and the TaskResult of each that failed, by
    place.
    """

    async def execute(self, task: Task) -> Json:
        calls, limits = _calls(task.arguments)
        outcomes = await ThreadExecutor().run(calls, **limits)
        failed = {str(place): each.as_json() for place, each in _failures(outcomes)}
        return {
            "values": [
                None if str(place) in failed else outcome.value
                for place, outcome in enumerate(outcomes)
            ],
            "seconds": [outcome.seconds for outcome in outcomes],
            "failed": failed,
        }


def _calls(arguments: Mapping[str, Any]) -> tuple[list[MemberCall], dict[str, Any]]:
    """Return the members of a batch, and their limits.

    Raises:
        InvalidRequest: they are not as `_task` makes them.
    """
    try:
        columns = [arguments[column] for column in ("members", "tasks", "arguments")]
        calls = [
            task_call(name, TaskSpec(name=task, arguments={**given}))
            for name, task, given in zip(*columns, strict=True)
        ]
    except (KeyError, TypeError, ValueError):
        message = 'a group needs {"members": [names], "tasks": [names], "arguments": [objects]}'
        raise InvalidRequest(message) from None
    return calls, {key: arguments.get(key) for key in ("timeout", "member_timeout")}


def _failures(outcomes: Sequence[Outcome]) -> Iterator[tuple[int, TaskResult]]:
    """Yield what failed; a value that is not JSON is the failure of its member alone."""
    for place, outcome in enumerate(outcomes):
        if not outcome.ok:
            late = isinstance(outcome.error, NodeTimeout)
            error = outcome.error or RuntimeError("cut off")
            yield place, failure(error, outcome.seconds, TIMEOUT if late else FAILED)
            continue
        try:
            encode(outcome.value, TASK_BYTES)
        except InvalidPayload as error:
            yield place, failure(error, outcome.seconds)


handlers.register("group", GroupHandler())
