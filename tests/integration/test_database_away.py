"""The database, or Redis, goes away at moments that no fault from outside would hit."""

import pytest
from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connections

from orchestrator.exceptions import StoreUnavailable
from orchestrator.runtime import run_as
from orchestrator.runtime.database import in_thread
from orchestrator.runtime.run_graphs import load_graph
from orchestrator.runtime.run_worker import execute_run
from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore
from storage.memory import MemoryChannel
from storage.runs import GraphRecord, RunRecord

pytestmark = pytest.mark.django_db(transaction=True)
GRAPH = {
    "entry_point": "a",
    "nodes": [{"id": "a", "type": "data-transformer", "data": {"form": {"fields": {"x": "y"}}}}],
}


@pytest.fixture
async def stores():
    graphs, runs = DjangoGraphStore(), DjangoRunStore()
    digest = (await sync_to_async(load_graph)(GRAPH)).digest
    await graphs.save(GraphRecord(id="g", name="g", definition=GRAPH, digest=digest))
    await runs.create(RunRecord(id="r", graph_id="g", digest=digest, initial_state={}, entry="a"))
    yield {"graphs": graphs, "runs": runs}
    await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_a_run_does_not_fail_because_its_graph_could_not_be_read(stores, monkeypatch, error):
    errors, look = [error("gone")], run_as.for_graph

    def broken(*args):
        if errors:
            raise errors.pop()
        return look(*args)

    monkeypatch.setattr(run_as, "for_graph", broken)
    with pytest.raises(StoreUnavailable):
        await execute_run("r", owner="w", stale_after=0.1, **stores)
    ended = await execute_run("r", owner="w", stale_after=0.1, **stores)
    assert (ended.status, ended.state) == ("completed", {"x": "y"})


class Interrupted(MemoryChannel):
    """A channel whose server closes one connection, and is there again at once."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    async def keys(self):
        self.left -= 1
        if not self.left:
            raise StoreUnavailable("Redis is away: Connection closed by server.")
        return await super().keys()


@pytest.mark.parametrize("at", [1, 2, 3], ids=["at its begin", "at a checkpoint", "at its end"])
async def test_a_run_does_not_fail_because_its_channel_could_not_be_read(stores, at):
    channel = Interrupted(at)
    with pytest.raises(StoreUnavailable):
        await execute_run("r", owner="w", channels=lambda _: channel, **stores)
    waiting = await stores["runs"].get("r")
    assert (waiting.status, waiting.error, waiting.beat_at) == ("running", None, None)
    ended = await execute_run("r", owner="v", channels=lambda _: channel, **stores)
    assert (ended.status, ended.state) == ("completed", {"x": "y"})
    assert ended.crashes == 0
    assert [step.node for step in await stores["runs"].steps("r")] == ["a"]


async def test_an_error_that_is_none_of_the_connection_stays_one():
    def wrong():
        raise ValueError

    with pytest.raises(ValueError):
        await in_thread(wrong)()
