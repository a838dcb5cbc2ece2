"""The keeper of a bench child: it forks the process that runs nodes, and ends all that is below it.

A keeper runs no node code, so nothing that a node does keeps it from its work. It is the subreaper
of everything that its child starts, and lives as long as both the child and the other side, the web
process: it ends all below it, and itself, when the web process says so or is gone, when the child
has ended, or when there are more processes than a node may start.
"""

import contextlib
import os
import select
import signal
import socket

from orchestrator.runtime import descendants
from orchestrator.runtime.bench.child import BEGUN, serve
from orchestrator.runtime.forked import line

MAX_PROCESSES = 64
LOOK_EVERY_MS = 100
_END_WITHIN = 5.0
_HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)


def main(connection: socket.socket, memory: int) -> None:
    """Fork the child and keep it; the entry point below the fork server.

    Args:
        memory: bytes that the child, and each process that it starts, may take.
    """
    descendants.become_subreaper()
    keeper = os.getpid()
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            descendants.die_with(keeper)
            serve(connection, told, memory)
        finally:
            os._exit(1)
    with contextlib.suppress(OSError):  # only root may be asked first among many
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reason = _watch(connection, heard, child)
    descendants.end_below(_END_WITHIN)
    if reason:
        with contextlib.suppress(OSError):  # the line before it may have been cut off
            connection.send(b"\n" + line({"lost": reason}), socket.MSG_DONTWAIT)
    os._exit(0)


def _watch(connection: socket.socket, heard: int, child: int) -> str:
    """Return why everything has to end; an empty text when the other side wants it or is gone.

    Something is heard when a child ends, and when the first request begins; only from then on the
    processes are counted.
    """
    poll = select.poll()
    poll.register(connection, _HUNG_UP)
    poll.register(heard, select.POLLIN)
    counting = False
    while True:
        codes = descendants.reap()
        if child in codes:
            return f"the node ended its process (exit code {codes[child]})"
        if counting and len(descendants.descendants_of(os.getpid(), MAX_PROCESSES + 2)) > (
            MAX_PROCESSES + 1
        ):
            return f"the node started more than {MAX_PROCESSES} processes"
        ready = dict(poll.poll(LOOK_EVERY_MS if counting else None))
        if connection.fileno() in ready:
            return ""
        if heard in ready:
            counting = os.read(heard, 4096).count(BEGUN) > 0 or counting
