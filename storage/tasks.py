"""TaskQueue: work that any worker may do, on the queues of `storage.base`.

All tasks are in one queue of the pseudo workflow TASKS, and all workers are slots of one loop in
it. So what holds for items holds for tasks: a task in hand belongs to a slot, and a slot to the
owner of its lease; who has lost the lease takes and commits nothing; what a closed slot had in
hand is taken over by the others.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Final, Self

from orchestrator.exceptions import InvalidPayload, InvalidRequest
from storage.base import QueueStore
from storage.codec import decode_own, encode
from storage.coordinator import Coordinator
from storage.records import Entry, inbox

TASKS: Final = "!tasks"
"""The pseudo workflow that holds the tasks."""
LOOP: Final = "worker"
QUEUE: Final = "tasks"
MAX_LABELS: Final = 5
"""What a worker, or a task, may have: a worker reads a queue for each set of its labels."""
MAX_DELIVERIES: Final = 3
"""How often a task is handed to a worker that dies with it; then it has failed."""
TASK_BYTES: Final = 16 * 1024**2
ANSWER_TTL: Final = 60.0
"""Seconds for which an answer is kept longer than somebody said to wait for it."""


def queue_of(labels: Iterable[str]) -> str:
    """Return the queue of tasks that need exactly these labels."""
    return "@".join((QUEUE, *sorted(set(labels))))


def queues_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return what a worker with these labels reads: what is due again, then what needs most.

    Raises:
        InvalidRequest: there are more than MAX_LABELS.
    """
    known = sorted(set(labels))
    if len(known) > MAX_LABELS:
        raise InvalidRequest(f"a worker has {MAX_LABELS} labels at most, not {len(known)}")
    sets = (part for size in range(len(known), -1, -1) for part in combinations(known, size))
    return (inbox(LOOP), *(queue_of(part) for part in sets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Where the result of a task arrives: a batch of a group of the Coordinator."""

    group: str
    batch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One entry of the queue.

    type: names the handler that executes it: `task`, `group`, `run`, `tool`, or your own.
    arguments: strict JSON, as that handler wants them:
        task, tool: {"name", "arguments"}; run: {"run_id"}; group: {"members", "member_timeout"}.
    timeout: seconds for one attempt; None for no limit.
    retry: fields of `nodes.contract.RetryPolicy`; without them it is tried once.
    reply: where its TaskResult arrives when it has ended for good; None for nowhere.
    runs_on: labels that its worker needs.
    attempts: how often it was tried and failed. lost: how often it was in hand when a worker died.
    """

    type: str
    arguments: Mapping[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    timeout: float | None = None
    retry: Mapping[str, Any] | None = None
    reply: Reply | None = None
    runs_on: Sequence[str] = ()
    attempts: int = 0
    lost: int = 0

    def encode(self) -> bytes:
        """Return it as strict JSON.

        Raises:
            InvalidPayload: the arguments are not strict JSON, or too large.
        """
        values: dict[str, Any] = {
            "type": self.type,
            "arguments": dict(self.arguments),
            "id": self.id,
            "attempts": self.attempts,
            "lost": self.lost,
        }
        if self.timeout is not None:
            values["timeout"] = self.timeout
        if self.retry is not None:
            values["retry"] = dict(self.retry)
        if self.runs_on:
            values["runs_on"] = list(self.runs_on)
        if self.reply is not None:
            values["reply"] = [self.reply.group, self.reply.batch]
        return encode(values, TASK_BYTES)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return what `encode` has made.

        Raises:
            InvalidPayload: it is something else.
        """
        try:
            values = decode_own(body)
            if "reply" in values:
                group, batch = values["reply"]
                values["reply"] = Reply(group=group, batch=batch)
            if "runs_on" in values:
                values["runs_on"] = tuple(values["runs_on"])
            return cls(**values)
        except (TypeError, KeyError, ValueError) as error:
            raise InvalidPayload(f"not a task: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How a task has ended for good.

    value: what it returned, if `ok`; of a group: the TaskResult of each member, as JSON.
    error_type, message: of what it raised. reason: why it was not tried again: `failed`,
        `timeout`, `worker_lost` or `invalid`. details: a JSON list of {"path", "message"}.
    seconds: of the last attempt.
    """

    ok: bool
    value: Any = None
    error_type: str = ""
    message: str = ""
    reason: str = ""
    code: str = ""
    details: Sequence[Mapping[str, str]] = ()
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as `TaskResult(**...)` takes it back."""
        if self.ok:
            return {"ok": True, "value": self.value, "seconds": self.seconds}
        return {
            "ok": False,
            "error_type": self.error_type,
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
            "details": [dict(detail) for detail in self.details],
            "seconds": self.seconds,
        }

    def encode(self) -> bytes:
        """Return it as strict JSON.

        Raises:
            InvalidPayload: the value is not strict JSON, or too large.
        """
        return encode(self.as_json(), TASK_BYTES)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(**decode_own(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTask:
    """A task that has failed for good, as the queue remembers it."""

    id: str
    task: Task
    result: TaskResult


class TaskQueue:
    """Put tasks, and see what has become of them; `storage.task_slot.TaskSlot` takes them."""

    def __init__(self, store: QueueStore) -> None:
        self.store = store

    async def put(self, task: Task, *, once: bool = True) -> bool:
        """Append a task.

        With `once` a task of this id enters once, however often that is repeated within a week;
        the answer tells whether it entered now. Without, nothing is remembered of the id.

        Raises:
            InvalidPayload: the arguments are not strict JSON, or too large.
            StoreUnavailable: the server is away, or has no memory left.
        """
        queue = queue_of(task.runs_on)
        return await self.store.put(TASKS, queue, task.encode(), task.id if once else None)

    async def waiting(self, labels: Iterable[str] = ()) -> int:
        """Return how many tasks are there that a worker with these labels could execute: new, put
        off, and in hand."""
        return await self.waiting_in(queues_of(labels))

    async def waiting_in(self, queues: Iterable[str]) -> int:
        """Return how many tasks are in these queues, and how many are put off in all."""
        lengths = await self.store.lengths(TASKS, list(queues))
        delayed = await self.store.delayed(TASKS, [LOOP])
        return sum(lengths.values()) + delayed[LOOP]

    async def failed(self, count: int = 100) -> list[FailedTask]:
        """Return the oldest tasks that have failed for good; the newest 9,000 at least are kept."""
        return [_failed(entry) for entry in await self.store.dead(TASKS, count)]

    async def forget_failed(self, ids: Sequence[str]) -> None:
        """Remove records of failed tasks, by `FailedTask.id`."""
        await self.store.forget_dead(TASKS, ids)


async def put_and_wait(
    queue: TaskQueue, coordinator: Coordinator, task: Task, seconds: float
) -> TaskResult | None:
    """Put a task and wait for its result, at most so many seconds; None if it has not ended then.

    The task itself goes on. Its `reply` is set here.

    Raises:
        InvalidPayload: the arguments are not strict JSON, or too large.
        StoreUnavailable: the server is away.
    """
    group = f"answer:{task.id}"
    await coordinator.open(group, 1, seconds + ANSWER_TTL)
    try:
        await queue.put(replace(task, reply=Reply(group=group)), once=False)
        arrived = await coordinator.wait(group, seconds)
    finally:
        await coordinator.close(group)
    return TaskResult.decode(arrived[0]) if arrived else None


def _failed(entry: Entry) -> FailedTask:
    record = decode_own(entry.body)
    return FailedTask(
        id=entry.id,
        task=Task.decode(encode(record["task"], TASK_BYTES)),
        result=TaskResult(**record["result"]),
    )


def failed_record(task: Task, result: TaskResult) -> bytes:
    """Return what is kept of a task that has failed for good."""
    told = {"task": decode_own(task.encode()), "result": result.as_json()}
    return encode(told, 2 * TASK_BYTES)
