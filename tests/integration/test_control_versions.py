"""Starting a version while another one runs: what starts again, and what is refused."""

import asyncio
import copy
from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from storage.datastore import open_store
from storage.records import inbox

pytestmark = pytest.mark.django_db
ID = {"workflow_id": "hello-loops"}


@pytest.fixture
def running(api, hello_loops):
    """The example running in version 1, held by a runner."""
    workflows.create(SYSTEM, hello_loops)
    client = api("operator")
    client.post("/prod/start", ID)
    expires = timezone.now() + timedelta(seconds=30)
    runner = Runner.objects.create(id="host:1:boot", host="host", pid=1, expires_at=expires)
    LoopSlot.objects.update(state="running", owner=runner, token=4)
    return client


@pytest.fixture
def save(hello_loops):
    """Save another version, made from the example by a function of its nodes and edges."""

    def save(change):
        raw = copy.deepcopy(hello_loops)
        change(raw["nodes"], raw["edges"])
        return workflows.save(SYSTEM, "hello-loops", raw)[0].number

    return save


def start(client, **body):
    return client.post("/prod/start", {**ID, **body})


def versions():
    rows = LoopSlot.objects.exclude(activation=0)
    return {f"{s.loop}/{s.slot}": s.version for s in rows}


def replicas(count):
    return lambda nodes, edges: nodes[2]["data"].update(config={"replicas": count})


def further_loop(nodes, edges):
    nodes.append({"id": "5", "type": "schedule", "data": {"form": {"interval": 60}}})


def test_only_the_loops_that_differ_get_the_new_version(running, save):
    save(lambda nodes, edges: nodes[3]["data"]["form"].update(path="other.jsonl"))
    answer = start(running)
    assert (answer.status_code, answer.json()["version"]) == (202, 2)
    assert answer.json()["activation"] == 1
    assert versions() == {"1/0": 1, "3/0": 2}
    held = LoopSlot.objects.filter(state="running", owner_id="host:1:boot", token=4)
    assert held.count() == 2  # the runner's to end and to begin again
    assert start(running).status_code == 200
    assert start(running, version=2).status_code == 200


def test_a_version_can_be_taken_back(running, save):
    save(lambda nodes, edges: nodes[0]["data"]["form"].update(stop=6))
    start(running)
    assert versions() == {"1/0": 2, "3/0": 1}
    assert start(running, version=1).status_code == 202
    assert versions() == {"1/0": 1, "3/0": 1}
    assert Workflow.objects.get().active_version.number == 1


def test_a_node_that_was_moved_starts_nothing_again(running, save):
    save(lambda nodes, edges: nodes[0].update(position={"x": 1, "y": 1}))
    answer = start(running)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert versions() == {"1/0": 1, "3/0": 1}


def test_it_works_on_a_workflow_that_is_paused(running, save):
    running.post("/prod/pause", ID)
    save(lambda nodes, edges: nodes[0]["data"]["form"].update(stop=6))
    assert start(running).status_code == 202
    assert versions() == {"1/0": 2, "3/0": 1}
    assert Workflow.objects.get().desired == "running"


def test_more_replicas_are_more_slots_and_fewer_are_none(running, save):
    save(replicas(3))
    start(running)
    assert versions() == {"1/0": 1, "3/0": 2, "3/1": 2, "3/2": 2}
    fresh = LoopSlot.objects.filter(loop="3", slot__gt=0)
    assert {(s.state, s.activation) for s in fresh} == {("pending", 1)}
    LoopSlot.objects.filter(slot=2).update(token=9)
    save(replicas(2))
    start(running)
    assert set(versions()) == {"1/0", "3/0", "3/1"}
    gone = LoopSlot.objects.get(slot=2)
    assert (gone.activation, gone.token, gone.state) == (0, 9, "stopped")


def test_a_loop_is_added(running, save):
    save(further_loop)
    assert start(running).status_code == 202
    assert versions() == {"1/0": 1, "3/0": 1, "5/0": 2}
    answer = start(running, version=1)
    assert answer.status_code == 409
    assert answer.json()["error"]["details"][0]["path"] == "nodes.5 (schedule)"


def another_reader(nodes, edges):
    """The queue keeps its name and gets another loop that reads it."""
    nodes[2].update(id="33", data={"config": {"queue_name": "queue_2_3"}})
    edges[1]["target"] = edges[2]["source"] = "33"


@pytest.mark.parametrize("waits", [True, False])
def test_a_loop_goes_only_when_nothing_waits_for_it(running, save, live_redis, waits):
    async def prepare():
        store = open_store(live_redis)
        await store.queue.forget("hello-loops")
        if waits:
            await store.queue.put("hello-loops", inbox("3"), b"{}")
        await store.close()

    save(another_reader)
    asyncio.run(prepare())
    answer = start(running)
    if waits:
        assert answer.status_code == 409
        assert answer.json()["error"]["details"][0]["path"] == "nodes.3"
        assert versions() == {"1/0": 1, "3/0": 1}
    else:
        assert answer.status_code == 202
        assert versions() == {"1/0": 1, "33/0": 2}
        gone = LoopSlot.objects.get(loop="3")  # its runner sees that, and ends it
        assert (gone.activation, gone.state, gone.owner_id) == (0, "running", "host:1:boot")


def test_no_loop_goes_while_nobody_can_tell(running, save):
    save(another_reader)
    assert start(running).status_code == 503
    assert versions() == {"1/0": 1, "3/0": 1}


@pytest.mark.parametrize("running_still", [True, False])
def test_a_version_that_would_lose_items_is_refused(running, save, running_still):
    def rename(nodes, edges):
        nodes[2]["id"] = edges[1]["target"] = edges[2]["source"] = "33"

    save(rename)
    if not running_still:
        LoopSlot.objects.update(state="stopped", owner=None)
        running.post("/prod/stop", ID)
    answer = start(running)
    assert answer.status_code == 409
    [detail] = answer.json()["error"]["details"]
    assert (detail["path"], detail["message"]) == ("nodes.queue_2_3", "its queue is kept")
    assert versions() == {"1/0": 1, "3/0": 1}
    assert Workflow.objects.get().active_version.number == 1


def test_a_version_that_would_lose_a_cursor_is_refused_while_it_runs(running, save):
    """R20: a renamed source would begin again, or skip."""

    def rename(nodes, edges):
        nodes[0]["id"] = edges[0]["source"] = "11"

    save(rename)
    answer = start(running)
    assert answer.status_code == 409
    assert answer.json()["error"]["details"][0]["path"] == "nodes.1 (counter)"


def test_a_loop_that_has_completed_stays_so(running, save):
    LoopSlot.objects.filter(loop="1").update(state="completed", owner=None)
    save(lambda nodes, edges: nodes[0]["data"]["form"].update(stop=6))
    start(running)
    assert LoopSlot.objects.get(loop="1").state == "completed"


def test_nothing_is_written_for_a_loop_that_has_completed(running, save):
    def another_writer(nodes, edges):
        nodes.append({"id": "5", "type": "counter", "data": {"form": {"stop": 5}}})
        nodes.append({"id": "6", "type": "queue-writer", "data": {}})
        nodes[5]["data"]["config"] = {"queue_name": "queue_2_3"}
        edges.append({"id": "d", "source": "5", "target": "6"})

    save(another_writer)
    LoopSlot.objects.filter(loop="3").update(state="completed", owner=None)
    answer = start(running)
    assert answer.status_code == 409
    assert answer.json()["error"]["details"][0]["path"] == "nodes.3"
    LoopSlot.objects.filter(loop="3").update(state="running", owner="host:1:boot")
    assert start(running).status_code == 202
    assert versions() == {"1/0": 1, "3/0": 2, "5/0": 2}


def test_beginning_anew_is_still_for_what_does_not_run(running, save):
    save(lambda nodes, edges: nodes[0]["data"]["form"].update(stop=6))
    assert start(running, **{"from": "beginning"}).status_code == 409
    assert versions() == {"1/0": 1, "3/0": 1}


def test_a_slot_that_was_isolated_gets_another_chance_with_a_change(running, save):
    LoopSlot.objects.update(isolated=True)
    save(lambda nodes, edges: nodes[0]["data"]["form"].update(stop=6))
    start(running)
    assert {s.loop: s.isolated for s in LoopSlot.objects.all()} == {"1": False, "3": True}
