"""Loops without work rest, and hear at once of what concerns them."""

import asyncio

import pytest

from orchestrator.events import LoopState
from orchestrator.execution import entries
from tests.integration.loops import House, counter, line, part, queue, sink
from tests.waiting import until

AT_ONCE = 8.0


@pytest.fixture
async def house(store, tmp_path, monkeypatch):
    """Loops that rest for as long as a test may take."""
    monkeypatch.setattr(entries, "_REST_MIN", 60.0)
    monkeypatch.setattr(entries, "_REST_MAX", 60.0)
    house = House(store, tmp_path)
    yield house
    await house.close()


async def at_rest(runner) -> None:
    await until(lambda: runner.state == LoopState.RUNNING and runner._resting is not None)
    await asyncio.sleep(0.1)


WORKFLOW = line(counter(5), queue(), sink())


async def test_a_reader_at_rest_takes_what_comes(house):
    reader = house.start(WORKFLOW, "r")
    await at_rest(reader)
    await house.run(WORKFLOW)
    await until(lambda: house.values() == list(range(5)), AT_ONCE)


async def test_a_reader_at_rest_hears_of_a_stop(house):
    reader = house.start(WORKFLOW, "r")
    await at_rest(reader)
    async with asyncio.timeout(AT_ONCE):
        await house.stop(reader)


async def test_a_reader_at_rest_can_be_killed(house):
    reader = house.start(WORKFLOW, "r")
    await at_rest(reader)
    reader.kill()
    async with asyncio.timeout(AT_ONCE):
        assert await house.ended(reader) == "stopped"


async def test_a_reader_at_rest_is_paused_and_goes_on(house):
    reader = house.start(WORKFLOW, "r")
    await at_rest(reader)
    reader.pause()
    await until(lambda: reader.state == LoopState.PAUSED, AT_ONCE)
    await house.run(WORKFLOW)
    assert house.values() == []
    reader.resume()
    await until(lambda: house.values() == list(range(5)), AT_ONCE)


async def test_an_item_that_was_put_off_ends_the_rest_of_its_loop(house):
    tries = []

    async def shaky(node, item):
        tries.append(item.data["value"])
        if len(tries) == 1:
            raise LookupError("not yet")
        return item

    house.node(shaky)
    again = {"max_attempts": 3, "delay": 0.5}
    workflow = line(counter(1), queue(), part("a", "shaky", retry=again), sink())
    reader = house.start(workflow, "r")
    await at_rest(reader)
    await house.run(workflow)
    await until(lambda: house.values() == [0], AT_ONCE)
    assert len(tries) == 2
