"""Replays: once, through the inbox, with the same item id, whatever happens in between."""

import pytest
from django.db.models.functions import Now

from orchestrator.models import DeadLetter, LoopSlot, Workflow
from orchestrator.runtime import replays
from storage.records import Commit, Completion, Lease
from tests.integration.letters import letter, on_store, pump, started, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("live_redis")]


@pytest.fixture(autouse=True)
def empty(live_redis):
    """A store without what the tests before have left."""
    on_store(lambda queue: queue.forget("hello-loops"))


@pytest.fixture
def workflow(hello_loops):
    return started(hello_loops)


def replay(client, row, origin="start"):
    return client.post(f"/dead-letters/{row.pk}/replay", {"from": origin})


def test_from_the_start_the_item_goes_in_as_it_was(api, workflow):
    row = letter(workflow, born_at=workflow.created_at)
    answer = replay(api("operator"), row)
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert (body["status"], body["replay_count"]) == ("replayed", 1)
    assert body["workflow_status"] == "starting"
    [envelope] = waiting("hello-loops")
    assert (envelope.item.id, envelope.item.data) == (row.item_id, row.item)
    assert envelope.item.metadata == {"trace": "abc"}
    assert (envelope.entry_node, envelope.start, envelope.origin) == (None, None, row.pk)
    assert envelope.born == pytest.approx(row.born_at.timestamp())
    assert list(envelope.attempts) == []
    row.refresh_from_db()
    assert row.replayed_by.username == "operator" and row.replayed_at


def test_at_the_node_its_input_goes_in_beside_what_it_began_with(api, workflow):
    row = letter(workflow)
    assert replay(api("operator"), row, "node").status_code == 202
    [envelope] = waiting("hello-loops")
    assert (envelope.item.id, envelope.item.data) == (row.item_id, row.node_input)
    assert envelope.item.metadata == {"trace": "def"}
    assert envelope.entry_node == "2"
    assert (envelope.start.data, envelope.start.metadata) == (row.item, {"trace": "abc"})


def test_edits_go_in_instead_of_the_original(api, workflow):
    row = letter(workflow)
    client = api("operator")
    edits = {"item": {"value": "start"}, "node_input": {"value": "node"}}
    client.patch(f"/dead-letters/{row.pk}/", edits)
    replay(client, row, "node")
    [envelope] = waiting("hello-loops")
    assert (envelope.item.data, envelope.start.data) == ({"value": "node"}, {"value": "start"})
    detail = client.get(f"/dead-letters/{row.pk}/").json()
    assert detail["item"] == row.item and detail["edited"] == edits


def test_a_second_click_is_told_so_and_replays_nothing(api, workflow):
    row = letter(workflow)
    first, second = api("operator"), api("admin")
    assert replay(first, row).status_code == 202
    answer = replay(second, row)
    assert answer.status_code == 409
    assert "was replayed" in answer.json()["error"]["message"]
    assert len(waiting("hello-loops")) == 1


def test_of_two_at_the_very_same_moment_one_replays(api, workflow, monkeypatch):
    from orchestrator.services import dead_letters

    row = letter(workflow)
    check = dead_letters._refuse_without_place

    def other_was_faster(found, origin):
        check(found, origin)
        DeadLetter.objects.filter(pk=row.pk).update(status="replaying", replay_at=Now())

    monkeypatch.setattr(dead_letters, "_refuse_without_place", other_was_faster)
    answer = replay(api("operator"), row)
    assert answer.status_code == 409
    assert "is being replayed already" in answer.json()["error"]["message"]
    row.refresh_from_db()
    assert row.replay_count == 0 and waiting("hello-loops") == []


def test_the_largest_payload_goes_through(api, workflow):
    room = 256 * 1024 - len('{"a":""}')
    big = {"a": "x" * room}
    row = letter(workflow, item=big, node_input=big)
    assert replay(api("operator"), row, "node").status_code == 202
    [envelope] = waiting("hello-loops")
    assert envelope.item.data == envelope.start.data == big


# What cannot be replayed


@pytest.mark.parametrize(
    ("origin", "fields", "why"),
    [
        ("start", {"loop": "77"}, "no loop '77'"),
        ("node", {"loop": "77"}, "no loop '77'"),
        ("node", {"node_id": "88"}, "no node '88'"),
        ("node", {"node_id": "4"}, "no node '4' in loop '1'"),
        ("start", {"item": None}, "its item is no object"),
        ("node", {"node_input": [1]}, "its node_input is no object"),
        ("start", {"item": {"unencodable": "x", "text": "y"}}, "could not be recorded"),
        ("start", {"item": {"raw": "x"}}, "could not be recorded"),
        ("start", {"item": {"a": 2**60}}, "not JSON"),
    ],
)
def test_what_cannot_be_replayed_is_told_and_stays_dead(api, workflow, origin, fields, why):
    row = letter(workflow, **fields)
    answer = replay(api("operator"), row, origin)
    assert answer.status_code == 409
    assert why in answer.json()["error"]["message"]
    row.refresh_from_db()
    assert (row.status, row.replay_count) == ("dead", 0)
    assert waiting("hello-loops") == []


def test_from_the_start_the_node_need_not_exist_any_more(api, workflow):
    row = letter(workflow, node_id="88")
    assert replay(api("operator"), row).status_code == 202


def test_a_workflow_that_was_never_started_has_no_place_for_it(api):
    row = letter("unknown")
    answer = replay(api("operator"), row)
    assert answer.status_code == 409
    assert "no active version" in answer.json()["error"]["message"]


def test_an_active_version_that_cannot_be_loaded_is_a_409(api, workflow):
    from orchestrator.models import WorkflowVersion

    definition = workflow.active_version.definition
    definition["nodes"][0]["type"] = "gone"
    WorkflowVersion.objects.filter(pk=workflow.active_version_id).update(definition=definition)
    answer = replay(api("operator"), letter(workflow))
    assert answer.status_code == 409
    assert answer.json()["error"]["details"]


# States of the workflow


def test_of_a_stopped_workflow_it_waits_in_the_inbox(api, workflow):
    client = api("operator")
    client.post("/prod/stop", {"workflow_id": "hello-loops"})
    body = replay(client, letter(workflow)).json()
    assert (body["status"], body["workflow_status"]) == ("replayed", "stopped")
    assert len(waiting("hello-loops")) == 1


def complete(*names, activation=1):
    """Let slots complete as their runners do: in the store, and then in the database."""

    async def mark(queue):
        for name in names:
            loop, _, slot = name.partition("/")
            lease = Lease(workflow="hello-loops", loop=loop, slot=int(slot), token=1)
            begun = await queue.begin(lease, activation)
            number = begun.number + 1
            commit = Commit(
                number=number, sequence=0, activation=activation, completion=Completion()
            )
            await queue.commit(lease, commit)

    on_store(mark)


def note_completed(*loops):
    LoopSlot.objects.filter(loop__in=loops).update(state="completed")


def states():
    return dict(LoopSlot.objects.values_list("loop", "state"))


def marks():
    return on_store(lambda queue: queue.completed("hello-loops"))


def test_a_completed_workflow_goes_on(api, workflow):
    complete("1/0", "3/0")
    note_completed("1", "3")
    body = replay(api("operator"), letter(workflow)).json()
    assert (body["status"], body["workflow_status"]) == ("replayed", "starting")
    assert marks() == {} and states() == {"1": "pending", "3": "pending"}
    assert len(waiting("hello-loops")) == 1


def test_a_loop_that_has_completed_alone_goes_on_too(api, workflow):
    complete("1/0")
    note_completed("1")
    LoopSlot.objects.filter(loop="3").update(state="running")
    assert replay(api("operator"), letter(workflow)).json()["status"] == "replayed"
    assert marks() == {} and states() == {"1": "pending", "3": "running"}


def test_a_completion_that_its_runner_has_not_noted_is_withdrawn(api, workflow):
    complete("1/0", "3/0")
    LoopSlot.objects.update(state="running")
    assert replay(api("operator"), letter(workflow)).json()["status"] == "replayed"
    assert marks() == {} and len(waiting("hello-loops")) == 1


def test_a_sending_that_was_cut_off_is_finished(api, workflow):
    complete("1/0", "3/0")
    note_completed("1", "3")
    row = letter(workflow, status="replaying", replay_from="start", replay_at=workflow.created_at)
    on_store(lambda queue: queue.reopen("hello-loops"))
    assert pump() == 1
    assert states() == {"1": "pending", "3": "pending"}
    row.refresh_from_db()
    assert row.status == "replayed" and len(waiting("hello-loops")) == 1


# Crashes in between


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["reopen", "put", "_conclude"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("completed", [True, False])
def test_whoever_dies_at_any_step_leaves_it_to_the_next(
    api, workflow, redis_url, monkeypatch, step, before, completed
):
    from storage.redis_queue import RedisQueueStore

    if completed:
        complete("1/0", "3/0")
        note_completed("1", "3")
    row = letter(workflow)
    DeadLetter.objects.filter(pk=row.pk).update(
        status="replaying", replay_from="start", replay_count=1, replay_at=Now()
    )
    place = replays if step == "_conclude" else RedisQueueStore
    original = getattr(place, step)

    def dies(*args, **kwargs):
        if not before:
            original(*args, **kwargs)
        raise Died

    async def dies_in_the_store(*args, **kwargs):
        if not before:
            await original(*args, **kwargs)
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(place, step, dies if step == "_conclude" else dies_in_the_store)
        try:
            pump()
        except Died:
            assert step != "reopen" or completed
    pump()
    pump()
    row.refresh_from_db()
    assert row.status == "replayed"
    assert len(waiting("hello-loops")) == 1
    assert "completed" not in states().values() and marks() == {}


def test_without_redis_it_waits_for_the_next_round(api, workflow, settings, live_redis):
    row = letter(workflow)
    away = {**settings.ORCHESTRATOR, "REDIS_URL": "redis://127.0.0.1:1/0"}
    settings.ORCHESTRATOR, back = away, settings.ORCHESTRATOR
    answer = replay(api("operator"), row)
    assert (answer.status_code, answer.json()["status"]) == (202, "replaying")
    settings.ORCHESTRATOR = back
    assert pump() == 1 and pump() == 0
    row.refresh_from_db()
    assert row.status == "replayed" and len(waiting("hello-loops")) == 1


def test_what_was_edited_into_nonsense_meanwhile_keeps_nothing_else_waiting(workflow):
    sound = letter(workflow)
    broken = letter(workflow, item=[1], replay_at=None)
    foreign = letter(workflow, loop="77")
    DeadLetter.objects.update(
        status="replaying", replay_from="start", replay_count=1, replay_at=Now()
    )
    assert pump() == 1
    found = dict(DeadLetter.objects.values_list("pk", "status"))
    assert found == {sound.pk: "replayed", broken.pk: "dead", foreign.pk: "dead"}
    broken.refresh_from_db()
    foreign.refresh_from_db()
    assert "its item is no object" in broken.note and "loop" in foreign.note


def test_a_full_inbox_takes_no_more(workflow, monkeypatch):
    monkeypatch.setattr(replays, "INBOX_ITEMS", 3)
    for _ in range(5):
        letter(workflow)
    DeadLetter.objects.update(
        status="replaying", replay_from="start", replay_count=1, replay_at=Now()
    )
    assert pump() == 3 and pump() == 0
    assert DeadLetter.objects.filter(status="replaying").count() == 2


def test_a_workflow_with_letters_can_be_deleted(api, workflow):
    client = api("editor")
    row = letter(workflow)
    letter(workflow, origin=row)
    replay(client, row)
    client.post("/prod/stop", {"workflow_id": "hello-loops"})
    assert client.delete("/workflows/hello-loops/").status_code == 204
    assert not DeadLetter.objects.exists() and not Workflow.objects.exists()
    assert waiting("hello-loops") == []
