"""taskiq on a Redis stream, up to 100 tasks at a time in one worker process."""

from __future__ import annotations

import asyncio
import os

from sides import Sink, Work, make_item, ready
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

_GATHERED = 10


async def _produce(work: Work) -> None:
    broker = RedisStreamBroker(work.url)
    await broker.startup()

    @broker.task(task_name="count")
    async def count(data: dict) -> None: ...

    begun = asyncio.get_running_loop().time()
    step = 1 if work.rate else _GATHERED
    for first in range(0, work.count, step):
        await asyncio.sleep(work.due(first, begun))
        numbers = range(first, min(first + step, work.count))
        await asyncio.gather(*(count.kiq(make_item(number)) for number in numbers))
    await broker.shutdown()


async def _consume(work: Work) -> None:
    broker = RedisStreamBroker(work.url)
    sink = Sink(work)

    @broker.task(task_name="count")
    async def count(data: dict) -> None:
        if sink.take(data):
            sink.report()
            os._exit(0)

    broker.is_worker_process = True
    await broker.startup()
    ready()
    await run_receiver_task(broker, max_async_tasks=100, max_prefetch=100)


def produce(work: Work) -> None:
    asyncio.run(_produce(work))


def consume(work: Work) -> None:
    asyncio.run(_consume(work))
