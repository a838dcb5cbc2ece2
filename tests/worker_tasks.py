"""Tasks that workers import in tests. Each leaves lines in a file that its test names."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from nodes.tools import tools
from orchestrator.execution.members import task_call
from orchestrator.execution.pools import find_executor
from orchestrator.execution.tasks import TaskSpec, tasks
from orchestrator.runtime import worker
from orchestrator.runtime.task_handlers import FunctionHandler, TaskHandler, handlers
from orchestrator.runtime.task_processes import InProcess
from tests import waiting

if "TEST_GRACE" in os.environ:
    worker.GRACE = float(os.environ["TEST_GRACE"])


def note(file, text):
    """Append a line; the kernel keeps lines of several processes apart."""
    descriptor = os.open(file, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def lines(file):
    return Path(file).read_text().splitlines() if Path(file).exists() else []


def double(n):
    return 2 * n


async def double_later(n):
    await asyncio.sleep(0)
    return 2 * n


async def hold(file, key, until=""):
    """Note that it began, wait for a file, and note how it ended."""
    note(file, f"begun {key}")
    try:
        if until:
            await waiting.until(lambda: Path(until).exists(), timeout=600)
    except asyncio.CancelledError:
        note(file, f"cancelled {key}")
        raise
    note(file, f"ended {key}")
    return key


def hold_in_thread(file, key, until):
    note(file, f"begun {key} {os.getpid()}")
    while not Path(until).exists():
        time.sleep(0.02)
    return key


def block_the_loop(file, key, seconds):
    note(file, f"begun {key} {os.getpid()}")
    time.sleep(seconds)
    return key


async def block_everything(file, key, seconds):
    return block_the_loop(file, key, seconds)


def fail_at_first(file, times):
    """Fail so many times, and note when."""
    note(file, time.monotonic())
    if len(lines(file)) <= times:
        raise ValueError(f"attempt {len(lines(file))}")
    return "at last"


def raise_key_error():
    raise KeyError("gone")


def give_a_set():
    return {1, 2}


async def cancel_itself():
    raise asyncio.CancelledError


def leave():
    sys.exit(3)


def die(file):
    note(file, os.getpid())
    os.kill(os.getpid(), 9)


def write_once(file, key, seconds=0.0):
    """What a member of a group does: one line with its key."""
    note(file, f"{key} {os.getpid()}")
    time.sleep(seconds)
    return key


async def fan_out(members):
    """Run a group on workers from within a task."""
    calls = [
        task_call(f"m{n}", TaskSpec(name="double", arguments={"n": n})) for n in range(members)
    ]
    outcomes = await find_executor("distributed").run(calls)
    return [outcome.value for outcome in outcomes]


for function in (
    double, double_later, hold, hold_in_thread, block_everything, fail_at_first, raise_key_error,
    give_a_set, cancel_itself, leave, die, write_once, fan_out,
):  # fmt: skip
    tasks.register(function.__name__, function)

tools.register("test-triple", lambda n: 3 * n, "Triple a number.")


class InShell(TaskHandler):
    """Runs a command line, as docs/workers.md does with a container."""

    async def execute(self, task):
        process = await asyncio.create_subprocess_exec(
            *task.arguments["command"], stdout=subprocess.PIPE
        )
        try:
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"it ended with {process.returncode}")
        return out.decode()


handlers.register("shell", InShell())
handlers.register("apart", InProcess(FunctionHandler(), modules=["tests.worker_tasks"]))
