"""Where the members of a group run: executors behind one protocol.

An executor takes a batch of calls, runs them side by side and waits at the barrier. It never
raises for a member: what became of each is its Outcome. `processes.ProcessExecutor` is another
one, and workers on other machines are one more.
"""

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from orchestrator.exceptions import InvalidRequest, NotPortable
from orchestrator.execution.outcomes import Outcome, cut_off, failed, took_too_long
from orchestrator.execution.tasks import TaskSpec

Here = Callable[[Callable[[], Any]], Awaitable[Any]]
THREADS = 32


@dataclass(slots=True, kw_only=True, eq=False)
class MemberCall:
    """One member of a group, with all that it is called with.

    run: runs the member; it is given what calls a plain function where the executor wants it.
    is_async: whether no plain function is called.
    task: the same call as a registered name and JSON arguments, if the executor is portable.
    """

    name: str
    run: Callable[["Here"], Awaitable[Any]]
    is_async: bool
    task: TaskSpec | None = None

    @property
    def spec(self) -> TaskSpec:
        """The task.

        Raises:
            NotPortable: the member cannot leave the process.
        """
        if self.task is None:
            raise NotPortable(f"the member {self.name!r} cannot leave the process")
        return self.task


class GroupExecutor(Protocol):
    """Runs the members of one group.

    portable: members leave the process, so that the group gives each call its `task`, or raises
        NotPortable before the first one begins.
    """

    portable: bool

    async def run(
        self,
        calls: Sequence[MemberCall],
        *,
        timeout: float | None = None,
        member_timeout: float | None = None,
        stop: Callable[[Outcome], bool] | None = None,
    ) -> list[Outcome]:
        """Run the calls and return their outcomes in the order of the calls.

        Args:
            timeout: seconds for all; members that have not ended by then fail with NodeTimeout.
            member_timeout: seconds for each, from its own begin.
            stop: told each outcome that is not `ok`; True means that the group is decided: what has
                not ended is cancelled. An executor that hears of outcomes in batches may tell late.

        Being cancelled cancels the members.
        """


class Barrier:
    """Counts the members of one batch; who waits is woken once: by the last, or when the group is
    decided before."""

    def __init__(self, calls: Sequence[MemberCall], stop: Callable[[Outcome], bool] | None) -> None:
        self._calls = calls
        self._stop = stop
        self._outcomes: list[Outcome | None] = [None] * len(calls)
        self._missing = len(calls)
        self._opened = asyncio.get_running_loop().create_future()
        self._begun = perf_counter()
        self.decided = False

    def arrive(self, place: int, outcome: Outcome) -> None:
        """Take the outcome of a member; one that comes when all is decided does not count."""
        if self.decided:
            return
        self._outcomes[place] = outcome
        self._missing -= 1
        lost = not outcome.ok and self._stop is not None and self._stop(outcome)
        if lost or not self._missing:
            self.decided = True
            if not self._opened.done():
                self._opened.set_result(None)

    async def wait(self, timeout: float | None) -> None:
        """Wait until all are decided, at most so many seconds; what comes later does not count."""
        if timeout is None:
            await self._opened
            return
        await asyncio.wait([self._opened], timeout=timeout)
        self.decided = True

    def outcomes(self, timeout: float | None) -> list[Outcome]:
        """Return the outcomes in the order of the calls, those that are missing filled in."""
        late = not self._opened.done()
        seconds = perf_counter() - self._begun
        return [
            outcome or _missing(call.name, seconds, timeout if late else None)
            for call, outcome in zip(self._calls, self._outcomes, strict=True)
        ]


def _missing(name: str, seconds: float, timeout: float | None) -> Outcome:
    if timeout is not None:
        return failed(name, took_too_long(timeout, "the group "), seconds)
    return cut_off(name, seconds)


Call = Callable[[MemberCall], Awaitable[Any]]


class InlineExecutor:
    """Runs members in the event loop: async ones concurrently, plain ones one after the other.

    A plain function that computes for long holds the loop up, and no timeout can end it: that is
    what the thread executor is for.
    """

    portable = False

    async def run(
        self,
        calls: Sequence[MemberCall],
        *,
        timeout: float | None = None,
        member_timeout: float | None = None,
        stop: Callable[[Outcome], bool] | None = None,
    ) -> list[Outcome]:
        return await in_loop(calls, limited(_near, member_timeout), timeout, stop)


class ThreadExecutor:
    """Runs plain members in threads of their own, and async ones in the event loop.

    A thread cannot be ended: one whose time is up is left to itself, holds nobody up, and what it
    returns is not wanted any more.

    Args:
        threads: how many members compute at a time; the time of one begins when it has a thread.
    """

    portable = False

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads

    async def run(
        self,
        calls: Sequence[MemberCall],
        *,
        timeout: float | None = None,
        member_timeout: float | None = None,
        stop: Callable[[Outcome], bool] | None = None,
    ) -> list[Outcome]:
        free = asyncio.Semaphore(self._threads)
        in_line, in_thread = limited(_near, member_timeout), limited(_far, member_timeout)

        async def call_member(call: MemberCall) -> Any:
            if call.is_async:
                return await in_line(call)
            async with free:
                return await in_thread(call)

        return await in_loop(calls, call_member, timeout, stop)


async def in_loop(
    calls: Sequence[MemberCall],
    call_member: Call,
    timeout: float | None,
    stop: Callable[[Outcome], bool] | None,
) -> list[Outcome]:
    """Run each member as a task of this event loop, and wait for all at the barrier."""
    barrier = Barrier(calls, stop)
    name = asyncio.current_task().get_name()  # type: ignore[union-attr]
    create = asyncio.get_running_loop().create_task
    tasks = [
        create(_member(barrier, place, call, call_member), name=name)
        for place, call in enumerate(calls)
    ]
    try:
        await barrier.wait(timeout)
    finally:
        await end(tasks)
    return barrier.outcomes(timeout)


async def side_by_side(
    parts: Sequence[tuple[GroupExecutor, Sequence[MemberCall]]],
    limits: Mapping[str, float | None],
    stop: Callable[[Outcome], bool],
) -> dict[str, Outcome]:
    """Run the members of one group by several executors; return the outcomes by name. When one part
    decides the group, the others are cut off, and nothing is told of their members."""
    decided = False

    def lost(outcome: Outcome) -> bool:
        nonlocal decided
        decided = stop(outcome) or decided
        return decided

    tasks = [
        asyncio.create_task(executor.run(calls, **limits, stop=lost)) for executor, calls in parts
    ]
    try:
        left = set(tasks)
        while left and not decided:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            if any(task.exception() for task in done):
                break
    finally:
        await end(tasks)
    return {o.name: o for task in tasks if not task.cancelled() for o in task.result()}


async def end(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel what has not ended, and wait for it."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)


async def _member(barrier: Barrier, place: int, call: MemberCall, call_member: Call) -> None:
    if barrier.decided:  # before this task had begun
        return
    begun = perf_counter()
    try:
        value = await call_member(call)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        barrier.arrive(place, failed(call.name, error, perf_counter() - begun))
        return
    seconds = perf_counter() - begun
    barrier.arrive(place, Outcome(name=call.name, ok=True, value=value, seconds=seconds))


def limited(call_member: Call, seconds: float | None) -> Call:
    """Return the call with a limit of its time; it then fails with NodeTimeout."""
    if seconds is None:
        return call_member

    async def within(call: MemberCall) -> Any:
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await call_member(call)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise took_too_long(seconds) from None

    return within


async def _in_line(function: Callable[[], Any]) -> Any:
    value = function()
    return await value if inspect.isawaitable(value) else value


def _near(call: MemberCall) -> Awaitable[Any]:
    return call.run(_in_line)


def _far(call: MemberCall) -> Awaitable[Any]:
    return call.run(_in_thread)


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Call a plain function in a thread that nobody has to wait for, not even at exit."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def body() -> None:
        answer: tuple[Any, BaseException | None]
        try:
            answer = function(), None
        except BaseException as error:
            answer = None, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants the answer
            loop.call_soon_threadsafe(_answer, answered, answer)

    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(body,), name="member", daemon=True).start()
    value, error = await answered
    if error is not None:
        raise error
    return await value if inspect.isawaitable(value) else value


def _answer(answered: "asyncio.Future[Any]", answer: tuple[Any, BaseException | None]) -> None:
    if not answered.done():
        answered.set_result(answer)


def _processes() -> GroupExecutor:
    from orchestrator.execution.processes import ProcessExecutor

    return ProcessExecutor()


_factories: dict[str, Callable[[], GroupExecutor]] = {
    "inline": InlineExecutor,
    "thread": ThreadExecutor,
    "process": _processes,
}


def register_executor(name: str, factory: Callable[[], GroupExecutor]) -> None:
    """Say what runs groups whose executor has this name, one of group_rules.EXECUTORS."""
    _factories[name] = factory


def find_executor(executor: str | GroupExecutor) -> GroupExecutor:
    """Return the executor of a name, or the one that is given.

    Raises:
        InvalidRequest: nothing runs groups of this name in this process.
    """
    if not isinstance(executor, str):
        return executor
    factory = _factories.get(executor)
    if factory is None:
        raise InvalidRequest(f"no executor {executor!r} is set up in this process")
    return factory()
