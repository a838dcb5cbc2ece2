"""Members in child processes: one that is killed takes nobody with it.

Children come from multiprocessing's fork server and do one task at a time. They are sent names
and JSON, and answer with JSON: nothing of theirs is ever run here.
"""

import asyncio
import contextlib
import importlib
import inspect
import multiprocessing
import os
import queue
import signal
import socket
import struct
import threading
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import Any

from orchestrator.exceptions import NodeFailed, OrchestratorError
from orchestrator.execution.outcomes import Outcome, failed, took_too_long
from orchestrator.execution.pools import Barrier, MemberCall, end
from orchestrator.execution.tasks import TaskSpec, tasks
from storage.codec import decode_own, encode, printable

_LENGTH = struct.Struct(">Q")
_TRACE_LIMIT = 8_000
_MESSAGE_BYTES = 64 * 1024**2
_JOIN_SECONDS = 5.0
_context = multiprocessing.get_context("forkserver")


class ProcessExecutor:
    """Runs members in child processes, each in one that does nothing else meanwhile.

    A child imports the module of the function that is registered, so that it finds it there. One
    that dies or takes too long is replaced: only the member that it had in hand has failed. All
    children end with the group, and with the process that started them.

    Args:
        processes: how many members compute at a time; as many as there are cores by default.
    """

    portable = True

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes or os.cpu_count() or 1

    async def run(
        self,
        calls: Sequence[MemberCall],
        *,
        timeout: float | None = None,
        member_timeout: float | None = None,
        stop: Callable[[Outcome], bool] | None = None,
    ) -> list[Outcome]:
        barrier = Barrier(calls, stop)
        waiting = deque((place, call.name, call.spec) for place, call in enumerate(calls))
        workers = [
            asyncio.create_task(_work(barrier, waiting, member_timeout))
            for _ in range(min(self._processes, len(calls)))
        ]
        try:
            await barrier.wait(timeout)
        finally:
            await end(workers)
        return barrier.outcomes(timeout)


async def _work(
    barrier: Barrier, waiting: "deque[tuple[int, str, TaskSpec]]", seconds: float | None
) -> None:
    """Have one child after another do what waits; a child that is not spent does the next."""
    child = TaskProcess()
    try:
        while waiting and not barrier.decided:
            place, name, spec = waiting.popleft()
            begun = perf_counter()
            try:
                value = await child.call(spec, seconds)
            except Exception as error:
                barrier.arrive(place, failed(name, error, perf_counter() - begun))
            else:
                took = perf_counter() - begun
                barrier.arrive(place, Outcome(name=name, ok=True, value=value, seconds=took))
    finally:
        child.end()


class TaskProcess:
    """A child process that does tasks, one at a time. It is started when the first one comes, and
    anew after it died or was ended."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, spec: TaskSpec, timeout: float | None = None) -> Any:
        """Do a task in the child.

        Args:
            timeout: seconds for the task; starting the child does not count.

        Raises:
            NodeTimeout: it took too long; the child was ended.
            NodeFailed: the task raised, what it returned is not JSON, or the child died (its
                `error_type` is then WorkerLost). Being cancelled ends the child.
        """
        request = _request(spec)
        reader, writer = self._streams or await self._start()
        try:
            async with asyncio.timeout(timeout) as deadline:
                writer.write(_LENGTH.pack(len(request)) + request)
                await writer.drain()
                [size] = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                answer = decode_own(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await asyncio.to_thread(self._exit_code)
            self.end()
            how = _how_it_ended(code)
            raise NodeFailed(f"its process {how}", error_type="WorkerLost") from None
        except TimeoutError:
            self.end()
            if not deadline.expired():
                raise
            raise took_too_long(timeout or 0.0) from None
        except asyncio.CancelledError:
            self.end()
            raise
        if "error" in answer:
            raise NodeFailed(**answer["error"])
        return answer["value"]

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _context.Process(target=_serve, args=(theirs,), name="task", daemon=True)
            try:
                await asyncio.to_thread(process.start)  # the first one waits for the fork server
            except BaseException:
                ours.close()  # which ends a child that has been started nevertheless
                raise
        self._process = process
        self._streams = await asyncio.open_connection(sock=ours)
        return self._streams

    def _exit_code(self) -> int | None:
        process = self._process
        if process is None:
            return None
        process.join(_JOIN_SECONDS)
        return process.exitcode

    def end(self) -> None:
        """Kill the child, and all that it started. Done twice it does nothing more."""
        process, self._process = self._process, None
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
        if process is None or process.pid is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.exitcode is None:  # it was killed before it had a group of its own
            process.kill()
        process.join(_JOIN_SECONDS)
        with contextlib.suppress(ValueError):  # it lives on, in the hands of the kernel
            process.close()


def _request(spec: TaskSpec) -> bytes:
    module = getattr(tasks.get(spec.name), "__module__", None)
    return encode([module, spec.name, dict(spec.arguments)], _MESSAGE_BYTES)


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return "ended" if code is None else f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _serve(connection: socket.socket) -> None:
    """Do the tasks that come, one at a time; end, with all that they started, with the parent."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, requests), daemon=True).start()
    while True:
        answer = _answer(requests.get())
        connection.sendall(_LENGTH.pack(len(answer)) + answer)


def _listen(connection: socket.socket, requests: "queue.SimpleQueue[bytes]") -> None:
    with contextlib.suppress(OSError), connection.makefile("rb") as stream:
        while header := stream.read(_LENGTH.size):
            requests.put(stream.read(_LENGTH.unpack(header)[0]))
    os.killpg(0, signal.SIGKILL)


def _answer(request: bytes) -> bytes:
    try:
        module, name, arguments = decode_own(request)
        return encode({"value": _result(module, name, arguments)}, _MESSAGE_BYTES)
    except BaseException as error:
        kind = error.code if isinstance(error, OrchestratorError) else type(error).__name__
        told = {
            "message": printable(error) or kind,
            "error_type": kind,
            "kinds": [kind, *(base.__name__ for base in type(error).__mro__)],
            "trace": printable("".join(traceback.format_exception(error)))[-_TRACE_LIMIT:],
        }
        return encode({"error": told}, _MESSAGE_BYTES)


def _result(module: str | None, name: str, arguments: dict[str, Any]) -> Any:
    if name not in tasks and module not in (None, "__main__"):
        importlib.import_module(str(module))
    own = name.replace("__main__", "__mp_main__", 1)  # how a child calls the script it came from
    result = tasks.get(own if own in tasks else name)(**arguments)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
