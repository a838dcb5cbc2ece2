"""Producers in a loop."""

import pytest

from tests.integration.loops import House, line, part, sink
from tests.waiting import until


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


async def test_a_producer_may_look_at_its_context(house):
    runner = house.start(line(part("in", "schedule", {"interval": 0.05}), sink()))
    await until(lambda: len(house.rows()) > 2)
    await house.stop(runner)
    assert [row["count"] for row in house.rows()] == list(range(1, len(house.rows()) + 1))
