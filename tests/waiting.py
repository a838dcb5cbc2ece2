"""Waiting for what another task or process does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout: float = 30.0) -> T:
    """Return the first true answer of the condition; fail after the timeout."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {condition}"
        time.sleep(0.02)
    return answer


async def until(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true answer of a condition, which may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout} s: {condition}"
        await asyncio.sleep(0.005)
