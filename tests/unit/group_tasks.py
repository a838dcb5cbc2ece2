"""Members of groups that leave the process: functions at the top of a module, by name."""

import asyncio
import os
import signal
import time

from orchestrator.execution.tasks import tasks


def double(state):
    return {"doubled": state["value"] * 2, "pid": os.getpid()}


async def double_async(state):
    await asyncio.sleep(0)
    return state["value"] * 2


def kill_itself(state):
    os.kill(os.getpid(), signal.SIGKILL)


def leave(state):
    os._exit(3)


def refuse(state):
    raise ValueError(f"no {state['value']}")


def not_json(state):
    return {1, 2}


def sleep_long(state):
    with open(state["file"], "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(120)


def pid(state):
    return os.getpid()


def asks(value):
    return value


def with_context(state, context):
    return None


def unregistered(state):
    return None


for function in (
    double, double_async, kill_itself, leave, refuse, not_json, sleep_long, pid, asks, with_context
):  # fmt: skip
    tasks.register(f"group_tasks.{function.__name__}", function)
