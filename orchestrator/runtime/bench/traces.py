"""What a node may leave behind in its process, and how to tell that it has not."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.runtime.descendants import children_of

PATIENCE = 0.05
"""Seconds that a thread of an executor gets to notice that it is not needed any more."""

_FDS = "/proc/self/fd"
_THREADS = "/proc/self/task"


class Traces:
    """The process as it is now, to be compared with what it is later."""

    def __init__(self) -> None:
        self._kept = _kept()
        self._fds = sorted(_names(_FDS))
        self._threads = len(_names(_THREADS))

    def gone(self) -> bool:
        """Tell whether nothing is left: no process, thread or descriptor, and nothing is changed.

        Without `/proc` nobody can tell.
        """
        return (
            self._threads > 0
            and children_of(os.getppid()) == [os.getpid()]
            and not children_of(os.getpid())
            and self._kept == _kept()
            and self._alone()
            and (self._fds == sorted(_names(_FDS)) or self._collected())
        )

    def _alone(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while len(_names(_THREADS)) > self._threads:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0002)
        return True

    def _collected(self) -> bool:
        """Look again once what is only held by a cycle is closed."""
        gc.collect()
        return self._fds == sorted(_names(_FDS))


def _kept() -> list[Any]:
    """What a node can change for everything that runs after it."""
    mask = os.umask(0)
    os.umask(mask)
    return [
        mask,
        _folder(),
        dict(os.environ),
        list(sys.path),
        sys.stdout, sys.stderr, sys.stdin,
        *_signals(),
        logging.root.level,
        list(logging.root.handlers),
    ]  # fmt: skip


def _signals() -> Iterator[Any]:
    yield signal.getitimer(signal.ITIMER_REAL)
    yield signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for number in _SIGNALS:
        yield signal.getsignal(number)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
