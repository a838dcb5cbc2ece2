"""Calls of other workflows, on both stores: once for an item, room, answers."""

import asyncio

import pytest

from nodes.contract import REPLY, NodeOutput
from nodes.tools import ToolRegistry
from orchestrator.exceptions import NodeFailed
from orchestrator.execution.context import ExecutionContext, Scope, StepContext
from orchestrator.execution.envelope import seal, unseal
from storage.records import ANSWER, Room


def caller(store, number=1):
    scope = Scope(
        workflow="w", version=1, activation=1, loop="in", tools=ToolRegistry(), store=store.queue
    )
    item = NodeOutput(f"in:1:{number}", {"n": number})
    return StepContext(ExecutionContext(scope, item), "call", item), item


async def call(store, number=1, *, workflow="other", max_length=10, wait=None):
    context, item = caller(store, number)
    return await context.call(workflow, "q", item, max_length=max_length, wait=wait)


async def queued(store):
    return [unseal(entry.body).item for entry in await store.queue.peek("other", "q", 100)]


async def test_an_item_enters_once_however_often_it_is_tried(store):
    for number in (1, 2, 1):
        assert await call(store, number) is None
    found = await queued(store)
    assert [(item.id, item.data) for item in found] == [
        ("w:in:1:1", {"n": 1}),
        ("w:in:1:2", {"n": 2}),
    ]


async def test_while_the_queue_is_full_it_waits(store):
    await call(store, 1, max_length=1)
    waiting = asyncio.create_task(call(store, 2, max_length=1))
    done, _ = await asyncio.wait([waiting], timeout=0.7)
    assert not done and len(await queued(store)) == 1
    await store.queue.purge("other", "q")
    async with asyncio.timeout(10):
        await waiting
    assert [item.data for item in await queued(store)] == [{"n": 2}]


async def test_the_answer_comes_back(store):
    asked = asyncio.create_task(call(store, wait=30))
    async with asyncio.timeout(10):
        while not (found := await queued(store)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    reply = found[0].metadata[REPLY]
    assert reply.startswith(ANSWER)
    body = seal(NodeOutput("a", {"status": 200, "body": 7}), activation=1, version=1, born=1.0)
    await store.queue.offer("other", reply, body, Room())
    async with asyncio.timeout(10):
        assert await asked == {"status": 200, "body": 7}


async def test_who_is_not_answered_fails(store):
    with pytest.raises(NodeFailed, match=r"other has not answered within 0\.1 s") as failed:
        await call(store, wait=0.1)
    assert failed.value.error_type == "NoAnswer" and len(await queued(store)) == 1


async def test_a_workflow_does_not_call_itself(store):
    with pytest.raises(NodeFailed, match="does not call itself"):
        await call(store, workflow="w")


async def test_while_redis_is_away_it_waits(redis_server, redis_url):
    from storage.datastore import open_store

    store = open_store(redis_url)
    await store.queue.forget("other")
    redis_server.kill()
    waiting = asyncio.create_task(call(store))
    done, _ = await asyncio.wait([waiting], timeout=1)
    redis_server.start()
    assert not done
    async with asyncio.timeout(30):
        await waiting
    assert len(await queued(store)) == 1
    await store.close()
