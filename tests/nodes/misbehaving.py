"""A node that does to its process, and to the machine, what a node must not do.

What it starts ends by itself after a while, so that a test that fails cannot take a machine down.
The pids of what it starts are lines of the file `strays` of the test's folder.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from nodes.base import BlockingNode
from nodes.contract import PoolType
from tests.nodes.failpoints import FOLDER

STRAYS = FOLDER / "strays"
LIFE = 20.0
"""Seconds after which whatever was started ends by itself."""

BOMB = 500
"""Processes that a bomb may start altogether."""

_kept = []


class Misbehaving(BlockingNode):
    identifier = "misbehaving"
    label = "Misbehaving"
    description = "Does what the item's `action` says."

    async def execute(self, item, context):
        output = ACTIONS[item.data["action"]]()
        if asyncio.iscoroutine(output):
            output = await output
        if item.data["action"] == "emit_much":
            for number in range(50):
                context.emit("much", item.with_data({"text": "x" * 200_000, "n": number}))
        return item.with_data({"done": output} if output is not None else {**item.data})


class MisbehavingInThread(Misbehaving):
    identifier = "misbehaving-in-thread"
    label = "Misbehaving in a thread"
    execution_pool = PoolType.THREAD


class MisbehavingProcess(Misbehaving):
    identifier = "misbehaving-process"
    label = "Misbehaving in a process"
    execution_pool = PoolType.PROCESS


def stray(pid):
    with STRAYS.open("a") as file:
        file.write(f"{pid}\n")


def linger():
    """Live on for a while, whatever is asked."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end = time.monotonic() + LIFE
    while time.monotonic() < end:
        time.sleep(0.05)
    os._exit(0)


def child():
    """Fork a child that keeps everything its parent had open."""
    forked = os.fork()
    if forked == 0:
        linger()
    stray(forked)


def daemon():
    """Start what leaves its session, its group and its parents; go on when it is known."""
    heard, told = os.pipe()
    forked = os.fork()
    if forked == 0:
        os.setsid()
        if os.fork() == 0:
            stray(os.getpid())
            os.write(told, b".")
            linger()
        os._exit(0)
    os.waitpid(forked, 0)
    os.read(heard, 1)
    os.close(heard)
    os.close(told)


def program():
    process = subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep({LIFE})"], start_new_session=True
    )
    stray(process.pid)
    _kept.append(process)


def daemon_and_exit():
    daemon()
    os._exit(3)


def daemon_and_hang():
    daemon()
    time.sleep(LIFE)


async def daemon_and_wait():
    daemon()
    await asyncio.sleep(LIFE)


def bomb():
    """Fork from everything that was forked, until BOMB processes were started."""
    counter = tempfile.TemporaryFile()
    end = time.monotonic() + LIFE
    while time.monotonic() < end:
        if os.lseek(counter.fileno(), 0, os.SEEK_END) < BOMB:
            os.write(counter.fileno(), b".")
            if os.fork() == 0:
                os.setsid()
                stray(os.getpid())
        else:
            time.sleep(0.05)
    os._exit(0)


def kill_parent():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(LIFE)


def close_everything():
    os.closerange(3, 256)


def write_into_sockets():
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as found:
                if found.family == socket.AF_UNIX:
                    found.send(b'{"answer": \n')
        except OSError:
            continue


def flood():
    text = "x" * 1023 + "\n"
    for _ in range(100 * 1024):
        sys.stdout.write(text)


def flood_for_ever():
    end = time.monotonic() + LIFE
    while time.monotonic() < end:
        sys.stdout.write("y" * 1024)


def recurse():
    return recurse()


def allocate():
    while True:
        _kept.append(bytearray(64 * 1024 * 1024))


def endless_thread():
    threading.Thread(target=time.sleep, args=(LIFE,), daemon=True).start()


async def open_task():
    _kept.append(asyncio.create_task(asyncio.sleep(LIFE)))


async def task_that_exits():
    async def leave():
        sys.exit(4)

    await asyncio.create_task(leave())


def hang_in_thread():
    async def wait():
        await asyncio.to_thread(time.sleep, LIFE)

    return wait()


def open_file():
    _kept.append(open(os.devnull))


def change_handler():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def change_umask():
    os.umask(0o077)


def deep():
    value = []
    for _ in range(100):
        value = [value]
    return value


def nothing():
    return None


def count():
    """How often this process was asked."""
    _kept.append(None)
    return len(_kept)


def where():
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "main": threading.current_thread() is threading.main_thread(),
        "environ": os.environ.get("MISBEHAVING"),
    }


def throw(error):
    raise error


ACTIONS = {
    "nothing": nothing,
    "emit_much": nothing,
    "count": count,
    "where": where,
    "child": child,
    "daemon": daemon,
    "program": program,
    "daemon_and_exit": daemon_and_exit,
    "daemon_and_hang": daemon_and_hang,
    "daemon_and_wait": daemon_and_wait,
    "bomb": bomb,
    "kill_parent": kill_parent,
    "close_everything": close_everything,
    "write_into_sockets": write_into_sockets,
    "flood": flood,
    "flood_for_ever": flood_for_ever,
    "recurse": recurse,
    "allocate": allocate,
    "endless_thread": endless_thread,
    "open_task": open_task,
    "task_that_exits": task_that_exits,
    "hang": lambda: time.sleep(LIFE),
    "wait": lambda: asyncio.sleep(LIFE),
    "hang_in_thread": hang_in_thread,
    "open_file": open_file,
    "chdir": lambda: os.chdir("/"),
    "environ": lambda: os.environ.update(MISBEHAVING="yes"),
    "path": lambda: sys.path.append("/nowhere"),
    "handler": change_handler,
    "umask": change_umask,
    "stdout": lambda: setattr(sys, "stdout", sys.stderr),
    "exit": lambda: os._exit(7),
    "system_exit": lambda: sys.exit(5),
    "interrupt": lambda: throw(KeyboardInterrupt()),
    "base": lambda: throw(BaseException("told to")),
    "raise": lambda: throw(ValueError("told to")),
    "object": object,
    "set": lambda: {1, 2},
    "nan": lambda: float("nan"),
    "nul": lambda: "\0",
    "surrogate": lambda: "\ud800",
    "huge_number": lambda: 10**400,
    "deep": deep,
    "large": lambda: "x" * 50_000_000,
    "cyclic": lambda: (lambda found: found.append(found) or found)([]),
    "raise_large": lambda: throw(ValueError("x" * 50_000_000)),
}
