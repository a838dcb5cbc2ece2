"""A read that is done once for all who ask for it meanwhile."""

import asyncio

import pytest

from orchestrator.runtime.shared_read import SharedRead
from tests.waiting import until


class Source:
    """Reads that end when they are let; each gives its number."""

    def __init__(self):
        self.reads = 0
        self.gate = asyncio.Semaphore(0)

    async def read(self):
        self.reads += 1
        number = self.reads
        await self.gate.acquire()
        if number == 3:
            raise ValueError(number)
        return number


async def begun(source, number):
    await until(lambda: source.reads >= number)


async def test_who_asks_during_a_read_shares_the_next():
    source = Source()
    shared = SharedRead(source.read, 0)
    first = asyncio.create_task(shared.get())
    await begun(source, 1)
    later = [asyncio.create_task(shared.get()) for _ in range(20)]
    source.gate.release()
    assert await first == 1
    source.gate.release()
    assert await asyncio.gather(*later) == [2] * 20
    assert source.reads == 2


async def test_who_leaves_takes_nothing_away_and_an_error_is_told_to_all():
    source = Source()
    source.reads = 1
    shared = SharedRead(source.read, 0)
    asked = [asyncio.create_task(shared.get()) for _ in range(3)]
    await begun(source, 2)
    asked[0].cancel()
    source.gate.release()
    assert await asyncio.gather(*asked[1:]) == [2, 2]

    asked = [asyncio.create_task(shared.get()) for _ in range(2)]
    await begun(source, 3)
    source.gate.release()
    for task in asked:
        with pytest.raises(ValueError, match="3"):
            await task
    source.gate.release()
    assert await shared.get() == 4


async def test_reads_keep_apart():
    moments = []

    async def read():
        moments.append(asyncio.get_running_loop().time())

    shared = SharedRead(read, 0.05)
    await shared.get()
    await asyncio.gather(shared.get(), shared.get())
    assert len(moments) == 2
    assert moments[1] - moments[0] >= 0.049
