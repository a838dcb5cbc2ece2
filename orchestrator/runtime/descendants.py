"""The processes below this one: found through `/proc`, and ended, whatever they do against it.

A *subreaper* becomes the parent of every orphan below it. So a daemon that has left its session,
its group and its parents is still found below the subreaper that its first ancestor had.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.001


def become_subreaper() -> None:
    """Become the parent of every orphan below this process (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent has ended (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process, ended ones that nobody has waited for included."""
    found: list[int] = []
    for text in _children_files(pid):
        found += map(int, text.split())
    return found


def descendants_of(pid: int, limit: int = sys.maxsize) -> list[int]:
    """Return all below a process, or as many as `limit` of them; a child follows its parent."""
    found = children_of(pid)
    for at in found:  # grows on the way
        if len(found) >= limit:
            return found[:limit]
        found += children_of(at)
    return found


def count_tasks(user: int) -> int:
    """Return how many processes and threads a user has; 0 where that cannot be told."""
    count = 0
    for name in filter(str.isdigit, _entries("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def end_below(seconds: float) -> None:
    """End everything below this process, which must be a subreaper, and wait for it.

    What is stopped starts nothing more: first all are stopped, then all are killed. One that was
    about to be born then is found by the next turn, as a child of this process. Gives up after
    `seconds`: who hangs in the kernel has his signal, and ends when he comes back.
    """
    deadline = time.monotonic() + seconds
    while children_of(os.getpid()) and time.monotonic() < deadline:
        for pid in _stop_below(os.getpid()):
            _send(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
        reap()


def _stop_below(pid: int) -> set[int]:
    """Stop all below a process, each before its children are looked for, until none is new."""
    stopped: set[int] = set()
    before = -1
    while len(stopped) > before:
        before = len(stopped)
        found = children_of(pid)
        for at in found:  # grows on the way
            if at not in stopped:
                _send(at, signal.SIGSTOP)
                stopped.add(at)
            found += children_of(at)
    return stopped


def reap() -> dict[int, int]:
    """Wait for the children that have ended, and return their exit codes; -9 for signal 9."""
    codes = {}
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])
    return codes


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _children_files(pid: int) -> Iterator[str]:
    """Each thread has children of its own."""
    tasks = f"/proc/{pid}/task"
    for task in _entries(tasks):
        with contextlib.suppress(OSError), open(f"{tasks}/{task}/children") as file:
            yield file.read()


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # it has ended, or there is no such folder on this system
        return []


# Looked up before any fork: between a fork and what follows nothing should be loaded.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
