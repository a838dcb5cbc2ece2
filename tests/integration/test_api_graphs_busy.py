"""Runs and tools over HTTP when every worker is busy: the answer comes all the same."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from orchestrator.runtime import worker_leases
from orchestrator.security.actors import SYSTEM
from orchestrator.services import graphs, runs, tools
from storage.tasks import TaskQueue

pytestmark = pytest.mark.django_db(transaction=True)
GRAPH = {"entry_point": "a", "nodes": [{"id": "a", "type": "debug"}]}


@pytest.fixture
async def post(shared_store, make_user, make_token):
    """Post with the token of an editor, beside a worker that lives and takes nothing."""
    user = await sync_to_async(make_user)("editor")
    token = await sync_to_async(make_token)(user)
    busy = worker_leases.WorkerEntry(name="busy", host="here", pid=1, concurrency=1)
    await sync_to_async(worker_leases.acquire)(busy, 60.0)

    async def post(path, body):
        async with asyncio.timeout(10):
            return await AsyncClient().post(
                path,
                body,
                content_type="application/json",
                headers={"Authorization": f"Bearer {token}"},
            )

    return post


async def test_a_request_waits_for_a_run_only_so_long(post, shared_store, monkeypatch):
    monkeypatch.setattr(runs, "WAIT_SECONDS", 0.3)
    made = await sync_to_async(graphs.create)(SYSTEM, GRAPH)
    body = {"graph_id": made.graph.id, "initial_state": {"x": 1}, "idempotency_key": "k"}
    before = await TaskQueue(shared_store.queue).waiting()
    for _ in range(2):
        answer = await post("/graph/run", body)
        assert answer.status_code == 202
        run = answer.json()
        assert (run["status"], run["state"]) == ("pending", {"x": 1})
    assert await TaskQueue(shared_store.queue).waiting() == before + 1


async def test_a_request_waits_for_a_tool_only_so_long(post, monkeypatch):
    monkeypatch.setattr(tools, "GRACE", 0.2)
    body = {"arguments": {"left": 1}, "timeout": 0.1}
    answer = await post("/tools/test.add/call", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "tool_timeout")
