"""A server that was started again without its last writes, while loops went on."""

import pytest

from orchestrator.exceptions import LeaseLost
from orchestrator.execution import sources
from storage.records import Commit
from tests.integration.loops import House, counter, line, part, queue, sink
from tests.waiting import until


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


async def test_a_loop_whose_last_commit_is_lost_begins_again(house):
    async def meddle(node, item):
        if item.data["value"] == 200:
            lease, known = house.lease(), await house.store.queue.snapshot(house.lease())
            other = Commit(number=known.number + 1000, sequence=known.sequence, activation=1)
            await house.store.queue.commit(lease, other)
        return item

    house.node(meddle)
    runner = house.start(line(counter(500), part("meddle", "meddle"), queue()))
    with pytest.raises(LeaseLost):
        await house.ended(runner)
    house.node(lambda node, item: item, identifier="meddle-no-more")
    await house.run(line(counter(500), part("meddle", "meddle-no-more"), queue()), token=2)
    assert await house.queued_values() == list(range(500))


async def test_what_is_in_hand_without_anybody_knowing_is_run(house, monkeypatch):
    monkeypatch.setattr(sources, "_ADOPT_EVERY", 0.05)
    read, unheard = house.store.queue.read, []

    async def deaf(*args):
        found = await read(*args)
        if found and not unheard:
            unheard.append(found)
            return []
        return found

    workflow = line(counter(5), queue(), sink())
    await house.run(workflow)
    monkeypatch.setattr(house.store.queue, "read", deaf)
    reader = house.start(workflow, "r")
    await until(lambda: house.values() == list(range(5)))
    assert unheard
    assert await house.ended(reader) == "completed"
