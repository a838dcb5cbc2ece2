"""Tools that do what graphs under test need; TOOL_MODULES of the tests names this module."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from nodes.tools import tools


def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


def fail(message: str = "no") -> None:
    """Raise."""
    raise ValueError(message)


def fail_unless(path: str) -> str:
    """Raise until there is a file."""
    if not Path(path).exists():
        raise FileNotFoundError("not there yet")
    return "found"


async def wait(seconds: float) -> float:
    """Take a while."""
    await asyncio.sleep(seconds)
    return seconds


def block(seconds: float) -> float:
    """Take a while in a thread."""
    time.sleep(seconds)
    return seconds


def count(path: str) -> int:
    """Add a line to a file and return how many there are."""
    with Path(path).open("a") as file:
        file.write("x\n")
    return len(Path(path).read_text().splitlines())


def stay_once(path: str) -> str:
    """Note the pid and stay, the first time."""
    first = not Path(path).exists()
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while first:
        time.sleep(1)
    return "gone on"


def odd(value: Any = None) -> Any:
    """Return what is no JSON."""
    return {1, 2}


def large(size: int) -> str:
    """Return a long text."""
    return "x" * size


for _function in (add, fail, fail_unless, wait, block, count, stay_once, odd, large):
    tools.register(f"test.{_function.__name__}", _function)
