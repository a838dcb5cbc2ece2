"""What makes a process end when those it belongs to are gone, also after their `kill -9`.

There are two lifelines. *A pipe* that only the parent writes binds the web process and the runner:
the kernel closes it with the parent, and they drain. *A lock file* binds the embedded server:
everybody who uses it holds the lock shared (a child inherits it), and the guard around the server,
`python -m orchestrator.runtime.lifeline LOCK -- command`, stops it as soon as it gets the lock for
itself. So the server outlives every drain, and a process that joined it later keeps it, too.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

VARIABLE = "ORCHESTRATOR_LIFELINE_FD"
GRACE = 20.0
_PR_SET_PDEATHSIG = 1


def watch(fd: int, callback: Callable[[], None]) -> threading.Thread:
    """Call `callback` from a thread of its own, once, when nobody holds the other end any more."""
    os.set_inheritable(fd, False)

    def wait() -> None:
        try:
            while os.read(fd, 64):
                pass
        except OSError:
            pass
        callback()

    thread = threading.Thread(target=wait, name="lifeline", daemon=True)
    thread.start()
    return thread


def watch_parent(callback: Callable[[], None] | None = None) -> bool:
    """Watch the pipe that the parent named in the environment, and tell whether it did.

    Without a callback the process sends itself TERM, and so drains as if it was asked to. The
    variable is removed: in a child of this process the number would mean another file.
    """
    named = os.environ.pop(VARIABLE, "")
    if not named:
        return False
    watch(int(named), callback or _terminate_self)
    return True


def hold(lock: Path) -> int | None:
    """Hold the lock shared and return its descriptor; None while a guard stops what it guards.

    Closing the descriptor lets go, once no child holds a copy of it.
    """
    return _lock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


def claim(lock: Path) -> int | None:
    """Take the lock for this process and those that inherit it; None when somebody has it."""
    return _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_shared(lock: Path) -> bool:
    """Tell whether others hold the lock shared, so that the guard waits."""
    alone = claim(lock)
    if alone is not None:
        os.close(alone)
        return False
    beside = hold(lock)
    if beside is not None:
        os.close(beside)
    return beside is not None


def guard(lock: Path, command: Sequence[str]) -> int:
    """Run the command until it ends, or until nobody holds the lock; return its exit code."""
    child = subprocess.Popen(command, preexec_fn=_die_with_parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: child.terminate())
    threading.Thread(target=_stop_when_free, args=(lock, child), daemon=True).start()
    return child.wait()


def _stop_when_free(lock: Path, child: "subprocess.Popen[bytes]") -> None:
    _lock(lock, fcntl.LOCK_EX)  # kept until this process has ended, which a newcomer waits for
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


def _lock(lock: Path, operation: int) -> int | None:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, operation)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _die_with_parent() -> None:
    """Have the kernel end the command should the guard itself be killed (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _terminate_self() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


# Looked up before the fork: between fork and exec nothing may be loaded.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def main(arguments: Sequence[str]) -> int:
    """Parse `LOCK -- command...` and guard the command."""
    if len(arguments) < 3 or arguments[1] != "--":
        sys.stderr.write("usage: python -m orchestrator.runtime.lifeline LOCK -- command...\n")
        return 2
    return guard(Path(arguments[0]), arguments[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
