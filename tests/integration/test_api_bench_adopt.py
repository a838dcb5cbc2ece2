"""A workflow that is saved for the first time keeps what it had on the bench."""

import pytest
from asgiref.sync import sync_to_async as _sync

from tests.integration.benches import Bench, edge, forget_everything, node

pytestmark = pytest.mark.django_db(transaction=True)

WORKFLOW = {
    "name": "First steps",
    "nodes": [
        node("source", "counter", stop=3),
        node("left", "data-transformer", fields={"left": "1"}),
        node("end", "debug"),
    ],
    "edges": [edge("source", "left"), edge("left", "end")],
}


@pytest.fixture
async def bench(transactional_db, make_user, make_token, shared_store):
    await forget_everything(shared_store)
    user = await _sync(make_user)("editor")
    return Bench(await _sync(make_token)(user), "first-steps")


async def unsaved(bench):
    answer = await bench.ok("post", "/dev/cache/_", {"workflow": WORKFLOW})
    return {node_id: row["freshness"] for node_id, row in answer["nodes"].items()}


async def test_outputs_move_to_the_stored_workflow(bench):
    status, answer = await bench.run("left", workflow=WORKFLOW, run_upstream="missing")
    assert status == 200, answer
    pinned = {"workflow": WORKFLOW, "data": {"by": "hand"}}
    await bench.ok("put", "/dev/cache/_/end", pinned)

    stored = await bench.ok("post", "/workflows/", WORKFLOW)
    assert stored["id"] == "first-steps"
    assert await bench.freshness() == {"source": "fresh", "left": "fresh", "end": "pinned"}
    assert (await bench.cached("end"))["output"] == {"by": "hand"}
    assert set((await unsaved(bench)).values()) == {"missing"}


async def test_a_workflow_that_never_ran_on_the_bench_has_nothing(bench):
    await bench.ok("post", "/workflows/", {**WORKFLOW, "name": "Others"})
    await bench.run("left", workflow=WORKFLOW, run_upstream="missing")
    assert (await unsaved(bench))["left"] == "fresh"
    bench.workflow_id = "others"
    assert set((await bench.freshness()).values()) == {"missing"}
