"""`/prod/...` for one loop, drains and forced stops: what is desired, and what the status says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows

pytestmark = pytest.mark.django_db
ID = {"workflow_id": "hello-loops"}
SOURCE, READER = {**ID, "loop": "1"}, {**ID, "loop": "3"}


@pytest.fixture
def runner(db):
    expires = timezone.now() + timedelta(seconds=30)
    return Runner.objects.create(id="host:1:boot", host="host", pid=1, expires_at=expires)


@pytest.fixture
def operator(api, hello_loops):
    hello_loops["nodes"][2]["data"]["config"] = {"replicas": 2}
    workflows.create(SYSTEM, hello_loops)
    client = api("operator")
    client.ask = lambda path, body: client.post(f"/prod/{path}", body)
    return client


@pytest.fixture
def running(operator, runner):
    operator.ask("start", ID)
    LoopSlot.objects.update(state="running", owner=runner)
    return operator


def desires():
    return {f"{s.loop}/{s.slot}": s.desired for s in LoopSlot.objects.exclude(activation=0)}


def word(client):
    body = client.get("/prod/status/hello-loops").json()
    return body["status"], body["desired"]


@pytest.mark.parametrize("path", ["stop", "pause", "drain"])
def test_one_loop_is_asked_and_the_others_are_not(running, path):
    answer = running.ask(path, READER)
    assert answer.status_code == 202
    wish = {"stop": "stopped", "pause": "paused", "drain": "draining"}[path]
    assert desires() == {"1/0": "running", "3/0": wish, "3/1": wish}
    told = {f"{loop['loop']}/{loop['slot']}": loop["desired"] for loop in answer.json()["loops"]}
    assert told == desires()
    assert answer.json()["desired"] == "running"
    assert running.ask(path, READER).status_code == 200


@pytest.mark.parametrize("path", ["start", "stop", "pause", "resume", "drain"])
def test_a_loop_that_is_not_there(running, path):
    assert running.ask(path, {**ID, "loop": "9"}).status_code == 404
    assert running.ask(path, {**ID, "loop": ""}).status_code == 400


def test_starting_the_workflow_clears_the_desires_of_its_loops(running):
    running.ask("stop", READER)
    running.ask("pause", SOURCE)
    assert running.ask("start", ID).status_code == 202
    assert set(desires().values()) == {"running"}
    assert running.ask("start", ID).status_code == 200


def test_starting_a_loop_clears_its_own_desire_only(running):
    running.ask("stop", READER)
    running.ask("pause", SOURCE)
    assert running.ask("start", READER).status_code == 202
    assert desires() == {"1/0": "paused", "3/0": "running", "3/1": "running"}
    assert running.ask("start", READER).status_code == 200
    assert running.ask("resume", SOURCE).status_code == 202
    assert set(desires().values()) == {"running"}


def test_a_loop_runs_only_in_a_workflow_that_does(running):
    running.ask("stop", ID)
    for path in ("start", "pause", "resume", "drain"):
        answer = running.ask(path, READER)
        assert answer.status_code == 409, path
        assert "hello-loops" in answer.json()["error"]["message"]


def test_a_loop_is_started_as_it_is(running):
    assert running.ask("start", {**READER, "version": 1}).status_code == 400
    assert running.ask("start", {**READER, "from": "beginning"}).status_code == 400


def test_a_loop_that_has_completed_stays_so(running):
    LoopSlot.objects.filter(loop="1").update(state="completed", owner=None)
    assert running.ask("start", SOURCE).status_code == 200
    assert running.ask("stop", SOURCE).status_code == 200
    assert running.ask("pause", SOURCE).status_code == 409
    assert running.ask("drain", SOURCE).status_code == 409
    assert LoopSlot.objects.get(loop="1").state == "completed"


def test_starting_a_loop_that_has_failed_tries_it_again(running):
    LoopSlot.objects.filter(loop="1").update(state="failed", owner=None)
    assert running.ask("start", SOURCE).status_code == 202
    assert LoopSlot.objects.get(loop="1").state == "pending"


def test_what_is_held_still_alone_does_not_speak_for_the_workflow(running):
    running.ask("pause", READER)
    LoopSlot.objects.filter(loop="3").update(state="paused")
    assert word(running) == ("running", "running")
    running.ask("stop", SOURCE)
    LoopSlot.objects.filter(loop="1").update(state="stopped", owner=None)
    assert word(running) == ("paused", "running")
    running.ask("stop", READER)
    LoopSlot.objects.filter(loop="3").update(state="stopped", owner=None)
    assert word(running) == ("stopped", "running")


def test_a_loop_nobody_holds_is_what_is_desired_at_once(operator):
    operator.ask("start", ID)
    operator.ask("stop", SOURCE)
    assert LoopSlot.objects.get(loop="1").state == "stopped"
    operator.ask("pause", READER)
    assert set(LoopSlot.objects.filter(loop="3").values_list("state", flat=True)) == {"paused"}
    operator.ask("start", ID)
    assert set(LoopSlot.objects.values_list("state", flat=True)) == {"pending"}


def test_draining(running):
    answer = running.ask("drain", ID)
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["desired"]) == ("draining", "draining")
    assert running.ask("drain", ID).status_code == 200
    for path in ("pause", "resume"):
        answer = running.ask(path, ID)
        assert answer.status_code == 409
    LoopSlot.objects.filter(loop="1").update(state="stopped", owner=None)
    assert word(running) == ("draining", "draining")
    LoopSlot.objects.update(state="stopped", owner=None)
    assert word(running) == ("stopped", "draining")


def test_a_drain_is_taken_back_by_a_start(running):
    running.ask("drain", ID)
    assert running.ask("start", ID).status_code == 202
    assert word(running) == ("running", "running")


def test_a_stop_ends_a_drain(running):
    running.ask("drain", ID)
    assert running.ask("stop", ID).status_code == 202
    assert word(running) == ("stopping", "stopped")


def test_what_does_not_run_is_not_drained(operator):
    assert operator.ask("drain", ID).status_code == 409
    operator.ask("start", ID)
    LoopSlot.objects.update(state="completed")
    assert operator.ask("drain", ID).status_code == 409


def test_a_stop_can_be_forced(running):
    running.ask("stop", ID)
    answer = running.ask("stop", {**ID, "force": True})
    assert (answer.status_code, answer.json()["desired"]) == (202, "killed")
    assert answer.json()["status"] == "stopping"
    assert running.ask("stop", {**ID, "force": True}).status_code == 200
    assert running.ask("stop", ID).status_code == 200  # no less than what was asked for
    assert Workflow.objects.get().desired == "killed"
    assert running.ask("pause", ID).status_code == 409
    assert running.ask("start", {**ID, "from": "beginning"}).status_code == 409
    assert running.ask("start", ID).status_code == 202
    assert word(running) == ("running", "running")


def test_a_forced_stop_of_what_nobody_runs_is_a_stop(operator):
    operator.ask("start", ID)
    answer = operator.ask("stop", {**ID, "force": True})
    assert (answer.status_code, answer.json()["desired"]) == (202, "stopped")
    assert operator.ask("stop", {**ID, "force": True}).status_code == 200


def test_one_loop_can_be_forced_to_stop(running):
    assert running.ask("stop", {**READER, "force": True}).status_code == 202
    assert desires() == {"1/0": "running", "3/0": "killed", "3/1": "killed"}


def test_a_workflow_that_was_forced_to_stop_can_be_deleted(running, api):
    running.ask("stop", {**ID, "force": True})
    LoopSlot.objects.update(state="stopped", owner=None)
    assert api("editor").delete("/workflows/hello-loops/").status_code == 503  # Redis is away


@pytest.mark.parametrize("path", ["start", "stop", "pause", "resume", "drain"])
def test_a_viewer_may_not(running, api, path):
    for body in (ID, READER):
        assert api("viewer").post(f"/prod/{path}", body).status_code == 403
