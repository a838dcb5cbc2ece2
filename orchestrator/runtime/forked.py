"""Children that run node code: forked in milliseconds from a server that has everything loaded.

A child leads a session and a process group of its own, so that no signal of a terminal reaches it
and all that it started can be ended with it. It talks over one socket, in lines of JSON: what a
child sends is data, never anything that could make its parent run code.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

import orjson

from orchestrator.security.secret_values import found_in, scrub_value

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["orchestrator.runtime.preload"])

_UNKNOWN = 255
"""The exit code of a child whose end the fork server did not live to see."""


class ForkedChild:
    """A running child: its pid, and the parent's end of its socket."""

    def __init__(self, process: BaseProcess, connection: socket.socket) -> None:
        self._process = process
        self.connection = connection
        self.pid = process.pid or 0
        self._killed = False

    def kill(self) -> None:
        """End the child and its process group at once, also what a child that has ended left.

        Done once: later the number may mean somebody else.
        """
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process.is_alive() or self._process.exitcode == _UNKNOWN:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def forget(self, seconds: float) -> None:
        """Wait for the end, and let go of what is kept of the child; blocks."""
        self._process.join(seconds)
        with contextlib.suppress(ValueError):  # it lives on
            self._process.close()

    def join(self, seconds: float) -> int | None:
        """Wait for the end and return the exit code, or None while it lives."""
        self._process.join(seconds)
        return self._process.exitcode


def fork(
    main: Callable[[socket.socket], None], *, output: int | None = None, name: str = "child"
) -> ForkedChild:
    """Start `main(connection)` in a child; takes some milliseconds, so call it from a thread.

    Args:
        output: descriptor that becomes the child's stdout and stderr.
    """
    ours, theirs = socket.socketpair()
    duplicate = None if output is None else _Descriptor(output)
    process = _context.Process(
        target=_begin, args=(main, theirs, duplicate), name=name, daemon=True
    )
    process.start()
    theirs.close()
    return ForkedChild(process, ours)


def prepare() -> None:
    """Start the server of forks, so that it has loaded what it needs when the first is wanted."""
    forkserver.ensure_running()


class _Descriptor:
    """A descriptor that multiprocessing hands over to the child."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.reduction import DupFd

        return _received, (DupFd(self.number),)


def _received(duplicate: Any) -> _Descriptor:
    return _Descriptor(duplicate.detach())


def _begin(
    main: Callable[[socket.socket], None], connection: socket.socket, output: _Descriptor | None
) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if output is not None:
        os.dup2(output.number, 1)
        os.dup2(output.number, 2)
        os.close(output.number)
    main(connection)


def line(message: dict[str, Any]) -> bytes:
    """Return a message as it goes over the socket, without secrets of this process."""
    body = orjson.dumps(message)
    if found_in(body):
        body = orjson.dumps(scrub_value(orjson.loads(body)))
    return body + b"\n"
