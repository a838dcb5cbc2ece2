"""Two people change one workflow: whoever saves second is told, and nothing is lost."""

import pytest

from orchestrator.models import WorkflowVersion
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows

pytestmark = pytest.mark.django_db
PATH = "/workflows/hello-loops/"


@pytest.fixture
def stored(hello_loops):
    return workflows.create(SYSTEM, hello_loops)


def changed(workflow, stop):
    workflow["nodes"][0]["data"]["form"]["stop"] = stop
    return workflow


def newest():
    version = WorkflowVersion.objects.first()
    return version.number, version.definition["nodes"][0]["data"]["form"]["stop"]


def test_who_saves_second_is_told_of_the_first(api, stored, hello_loops):
    first, second = api("editor"), api("admin")
    assert first.put(f"{PATH}?after=1", changed(hello_loops, 6)).json()["version"] == 2
    answer = second.put(f"{PATH}?after=1", changed(hello_loops, 7))
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "conflict"
    assert error["message"] == "there is a newer version, 2, by editor"
    assert newest() == (2, 6)


def test_a_save_follows_the_version_it_names(api, stored, hello_loops):
    client = api()
    for number in (1, 2, 3):
        body = client.put(f"{PATH}?after={number}", changed(hello_loops, number + 10)).json()
        assert (body["version"], body["created"]) == (number + 1, True)


def test_without_a_number_it_follows_whichever_is_the_newest(api, stored, hello_loops):
    client = api()
    client.put(PATH, changed(hello_loops, 6))
    assert client.put(PATH, changed(hello_loops, 7)).json()["version"] == 3


def test_nothing_new_after_the_newest_is_no_conflict(api, stored, hello_loops):
    body = api().put(f"{PATH}?after=1", hello_loops).json()
    assert (body["version"], body["created"]) == (1, False)


def test_a_number_nobody_has_saved_yet_is_a_conflict(api, stored, hello_loops):
    assert api().put(f"{PATH}?after=9", changed(hello_loops, 6)).status_code == 409


@pytest.mark.parametrize("after", ["x", "-1", "0", "1.5", str(2**40), "1;", "%00", "null", ""])
def test_what_is_no_number_is_named(api, stored, hello_loops, after):
    answer = api().put(f"{PATH}?after={after}", changed(hello_loops, 6))
    assert answer.status_code == 400
    assert [detail["path"] for detail in answer.json()["error"]["details"]] == ["after"]
    assert newest() == (1, 5)


def test_a_viewer_learns_nothing_by_saving(api, stored, hello_loops):
    assert api("viewer").put(f"{PATH}?after=9", hello_loops).status_code == 403
