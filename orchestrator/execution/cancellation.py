"""Cancellations that a call under way may swallow."""

import asyncio


def heed_cancellation() -> None:
    """Raise the cancellation of this task that a client of a server has kept to itself: redis-py
    may answer, or say that it timed out, instead."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end_task(task: "asyncio.Task[None]") -> None:
    """Cancel until it has ended: a call that is under way may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
