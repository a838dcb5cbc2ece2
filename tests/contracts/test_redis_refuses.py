"""A Redis server that is there and refuses: nothing but StoreUnavailable or FULL comes of it."""

import pytest

from orchestrator.exceptions import StoreUnavailable
from storage.base import Outcome
from storage.datastore import open_store
from storage.redis_client import connect
from tests.contracts.test_queue_store import commit, lease


@pytest.fixture
async def client(redis_url):
    client = connect(redis_url)
    yield client
    await client.config_set("maxmemory", 0)
    await client.config_set("min-replicas-to-write", 0)
    await client.aclose()


@pytest.fixture
async def queue(redis_url, client):
    store = open_store(redis_url)
    await store.queue.forget("w")
    yield store.queue
    await store.close()


async def test_without_memory_outputs_wait_and_sinks_drain(queue, client):
    holder = lease()
    await queue.begin(holder, 1)
    await queue.put("w", "in", b"x")
    await client.config_set("maxmemory", 1)
    assert await queue.pending(holder, ["in"]) == []
    [entry] = await queue.read(holder, ["in"], 1, 0)
    full = await queue.commit(holder, commit(outputs=[("out", b"y")]))
    assert full.outcome is Outcome.FULL
    done = await queue.commit(holder, commit(acks=[("in", entry.id)]))
    assert done.outcome is Outcome.COMMITTED
    with pytest.raises(StoreUnavailable):
        await queue.put("w", "in", b"x")


async def test_a_server_that_lacks_its_replicas_is_waited_for(queue, client):
    holder = lease()
    await queue.begin(holder, 1)
    await client.config_set("min-replicas-to-write", 1)
    with pytest.raises(StoreUnavailable):
        await queue.commit(holder, commit(outputs=[("out", b"y")]))


async def test_a_slot_that_never_read_can_be_left(queue):
    holder = lease()
    await queue.begin(holder, 1)
    await queue.put("w", "in", b"x")
    await queue.end(holder, ["in"])
    assert (await queue.begin(lease(2), 1)).crashes == 0
