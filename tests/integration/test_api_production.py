"""`/prod/...`: what is desired of a workflow, and what its status says."""

import asyncio
import copy
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from storage.datastore import open_store

pytestmark = pytest.mark.django_db
ID = {"workflow_id": "hello-loops"}


@pytest.fixture
def stored(hello_loops):
    return workflows.create(SYSTEM, hello_loops).workflow


@pytest.fixture
def operator(api, stored):
    return api("operator")


@pytest.fixture
def runner(db):
    expires = timezone.now() + timedelta(seconds=30)
    return Runner.objects.create(id="host:1:boot", host="host", pid=1, expires_at=expires)


def states():
    return {slot.loop: slot.state for slot in LoopSlot.objects.exclude(activation=0)}


def put_slots(state, owner=None):
    LoopSlot.objects.update(state=state, owner=owner)


def test_start_writes_what_is_desired(operator):
    answer = operator.post("/prod/start", ID)
    assert answer.status_code == 202
    body = answer.json()
    assert body["desired"] == "running" and body["activation"] == 1 and body["version"] == 1
    assert (body["status"], body["reason"]) == ("starting", "waiting_for_runner")
    assert states() == {"1": "pending", "3": "pending"}
    assert operator.get("/prod/status/hello-loops").json() == {**body, "runners": []}


def test_with_a_runner_nothing_is_waited_for(operator, runner):
    body = operator.post("/prod/start", ID).json()
    assert (body["status"], body["reason"], body["runners_alive"]) == ("starting", "", 1)


def test_starting_what_runs_in_the_same_version_is_fine(operator, runner):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    answer = operator.post("/prod/start", ID)
    assert answer.status_code == 200
    assert answer.json()["status"] == "running"
    assert states() == {"1": "running", "3": "running"}


def test_beginning_anew_is_a_conflict_while_it_runs(operator):
    operator.post("/prod/start", ID)
    assert operator.post("/prod/start", {**ID, "from": "beginning"}).status_code == 409


def test_stop_and_start_go_on_in_the_same_activation(operator):
    operator.post("/prod/start", ID)
    answer = operator.post("/prod/stop", ID)
    assert (answer.status_code, answer.json()["status"]) == (202, "stopped")
    assert states() == {"1": "stopped", "3": "stopped"}
    assert operator.post("/prod/stop", ID).status_code == 200
    answer = operator.post("/prod/start", ID)
    assert (answer.status_code, answer.json()["activation"]) == (202, 1)
    assert states() == {"1": "pending", "3": "pending"}


def test_a_completed_workflow_opens_a_new_activation(operator):
    operator.post("/prod/start", ID)
    put_slots("completed")
    assert operator.get("/prod/status/hello-loops").json()["status"] == "completed"
    answer = operator.post("/prod/start", ID)
    assert (answer.status_code, answer.json()["activation"]) == (202, 2)
    assert states() == {"1": "pending", "3": "pending"}


def test_there_is_nothing_to_resume_in_what_has_completed(operator):
    operator.post("/prod/start", ID)
    put_slots("completed")
    assert operator.post("/prod/start", {**ID, "from": "resume"}).status_code == 409


def test_from_the_beginning_opens_a_new_activation(operator):
    operator.post("/prod/start", ID)
    operator.post("/prod/stop", ID)
    answer = operator.post("/prod/start", {**ID, "from": "beginning"})
    assert answer.json()["activation"] == 2
    assert set(LoopSlot.objects.values_list("activation", flat=True)) == {2}


def test_a_loop_that_has_completed_stays_so_within_its_activation(operator):
    operator.post("/prod/start", ID)
    LoopSlot.objects.filter(loop="1").update(state="completed")
    operator.post("/prod/stop", ID)
    operator.post("/prod/start", ID)
    assert states() == {"1": "completed", "3": "pending"}


def test_no_new_activation_while_a_runner_still_works(operator, runner):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    assert operator.post("/prod/stop", ID).json()["status"] == "stopping"
    assert states() == {"1": "running", "3": "running"}  # the runner's to change
    assert operator.post("/prod/start", {**ID, "from": "beginning"}).status_code == 409
    assert operator.post("/prod/start", ID).status_code == 202
    assert states() == {"1": "running", "3": "running"}


def test_pause_and_resume(operator, runner):
    assert operator.post("/prod/pause", ID).status_code == 409
    assert operator.post("/prod/resume", ID).status_code == 409
    operator.post("/prod/start", ID)
    answer = operator.post("/prod/pause", ID)
    assert (answer.status_code, answer.json()["status"]) == (202, "paused")
    assert operator.post("/prod/pause", ID).status_code == 200
    answer = operator.post("/prod/resume", ID)
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")
    assert operator.post("/prod/resume", ID).status_code == 200


def test_starting_what_is_paused_resumes_it(operator):
    operator.post("/prod/start", ID)
    operator.post("/prod/pause", ID)
    answer = operator.post("/prod/start", ID)
    assert answer.status_code == 202
    assert answer.json()["desired"] == "running"


def test_starting_what_has_failed_tries_again(operator):
    operator.post("/prod/start", ID)
    put_slots("failed")
    assert operator.get("/prod/status/hello-loops").json()["status"] == "failed"
    assert operator.post("/prod/start", ID).status_code == 202
    assert states() == {"1": "pending", "3": "pending"}


def test_a_version_that_would_lose_items_is_refused(operator, hello_loops):
    operator.post("/prod/start", ID)
    operator.post("/prod/stop", ID)
    changed = copy.deepcopy(hello_loops)
    changed["nodes"][2]["id"] = "33"
    changed["edges"][1]["target"] = changed["edges"][2]["source"] = "33"
    workflows.save(SYSTEM, "hello-loops", changed)
    answer = operator.post("/prod/start", ID)
    assert answer.status_code == 409
    assert answer.json()["error"]["details"]
    assert operator.post("/prod/start", {**ID, "version": 1}).status_code == 202
    operator.post("/prod/stop", ID)
    answer = operator.post("/prod/start", {**ID, "from": "beginning"})
    assert (answer.status_code, answer.json()["version"]) == (202, 2)
    assert {loop["loop"] for loop in answer.json()["loops"]} == {"1", "33"}


def test_rows_of_loops_that_are_gone_keep_their_token(operator, hello_loops):
    operator.post("/prod/start", ID)
    LoopSlot.objects.update(token=7)
    operator.post("/prod/stop", ID)
    changed = copy.deepcopy(hello_loops)
    changed["nodes"][0]["id"] = "11"
    changed["edges"][0]["source"] = "11"
    workflows.save(SYSTEM, "hello-loops", changed)
    operator.post("/prod/start", {**ID, "from": "beginning"})
    gone = LoopSlot.objects.get(loop="1")
    assert (gone.activation, gone.token) == (0, 7)


def test_replicas_make_slots(api, hello_loops):
    hello_loops["nodes"][2]["data"]["config"] = {"replicas": 3}
    workflows.create(SYSTEM, hello_loops)
    body = api("operator").post("/prod/start", ID).json()
    slots = sorted((loop["loop"], loop["slot"]) for loop in body["loops"])
    assert slots == [("1", 0), ("3", 0), ("3", 1), ("3", 2)]


def test_what_is_not_there(operator):
    for path in ("start", "stop", "pause", "resume", "drain"):
        assert operator.post(f"/prod/{path}", {"workflow_id": "nothing"}).status_code == 404
    assert operator.get("/prod/status/nothing").status_code == 404
    assert operator.post("/prod/start", {**ID, "version": 9}).status_code == 404


def test_a_stored_version_that_became_invalid_is_told(operator, stored):
    version = stored.versions.get()
    broken = {**version.definition, "nodes": []}
    type(version).objects.filter(pk=version.pk).update(definition=broken)
    answer = operator.post("/prod/start", ID)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_workflow")
    assert Workflow.objects.get().desired == "stopped"


def test_a_slot_of_a_dead_runner_waits(operator, runner):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    Runner.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    body = operator.get("/prod/status/hello-loops").json()
    assert (body["status"], body["reason"]) == ("starting", "waiting_for_runner")
    assert {loop["runner"] for loop in body["loops"]} == {None}


@pytest.mark.parametrize(
    ("state", "reason"),
    [("blocked", "queue_full"), ("degraded", "redis_down"), ("failed", "crash_loop")],
)
def test_the_worst_loop_speaks_for_the_workflow(operator, runner, state, reason):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    LoopSlot.objects.filter(loop="3").update(state=state, reason=reason)
    body = operator.get("/prod/status/hello-loops").json()
    assert (body["status"], body["reason"]) == (state, reason)


def test_a_loop_that_is_tried_again_later_is_degraded(operator, runner):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    LoopSlot.objects.filter(loop="3").update(state="degraded", reason="boom", owner=None)
    body = operator.get("/prod/status/hello-loops").json()
    assert (body["status"], body["reason"]) == ("degraded", "boom")
    Runner.objects.all().delete()
    body = operator.get("/prod/status/hello-loops").json()
    assert (body["status"], body["reason"]) == ("starting", "waiting_for_runner")


def test_the_status_has_the_live_counters(operator, runner, live_redis):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    live = {
        "state": "blocked",
        "reason": "queue_full",
        "iterations": 12,
        "failures": 1,
        "in_flight": 2,
        "nodes": {"1": {"count": 12}},
    }

    async def publish():
        store = open_store(live_redis)
        await store.feed.publish("hello-loops", {"1/0": json.dumps(live).encode()}, [])
        await store.close()

    asyncio.run(publish())
    loop = operator.get("/prod/status/hello-loops").json()["loops"][0]
    assert loop["runner"] == "host:1:boot"
    assert {key: loop[key] for key in live} == live


def test_without_redis_the_status_still_comes_from_the_database(operator, runner):
    operator.post("/prod/start", ID)
    put_slots("running", runner)
    answer = operator.get("/prod/status/hello-loops")
    assert (answer.status_code, answer.json()["status"]) == (200, "running")


@pytest.mark.django_db(transaction=True)
def test_many_starts_at_once_open_one_activation(stored, make_user, make_token):
    token = make_token(make_user("operator"))

    def start(_):
        try:
            headers = {"Authorization": f"Bearer {token}"}
            return Client().post("/prod/start", ID, "application/json", headers=headers).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(start, range(16)))
    assert sorted(answers) == [200] * 15 + [202]
    assert Workflow.objects.get().activation == 1
    assert LoopSlot.objects.count() == 2
