"""A person sees all workflows, makes some, starts, pauses and stops them, and watches."""

import json
import re

import pytest

from tests.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.long]

NAME = 'Hello <img src=x onerror="document.title=1"> loops'


def counting(hello_loops, name, **form):
    """Return a workflow under a name, with a form of its counter."""
    hello_loops["name"] = name
    hello_loops["nodes"][0]["data"]["form"] = form
    hello_loops["nodes"][3]["data"]["form"]["path"] = f"{len(name)}.jsonl"
    return hello_loops


FAILING = {
    "name": "Failing",
    "nodes": [
        {"id": "1", "type": "counter", "data": {"form": {"start": -2, "stop": 3}}},
        {
            "id": "2",
            "type": "data-transformer",
            "data": {"form": {"fields": {"x": "{{ 1 / data.value }}"}}},
        },
        {"id": "3", "type": "queue-writer", "data": {"config": {"queue_name": "left"}}},
    ],
    "edges": [
        {"id": "a", "source": "1", "target": "2"},
        {"id": "b", "source": "2", "target": "3"},
    ],
}


def row_of(page, name):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def button(place, name):
    return place.get_by_role("button", name=re.compile(f"^{name}"))


def number(row, label):
    return row.locator(f'[data-label="{label}"]')


@pytest.fixture
def stored(page, deployment):
    """Store a workflow, start it if asked to, and return its row; at the end it is removed."""
    ids = []

    def store(workflow, *, running=True):
        ids.append(deployment.create(workflow))
        if running:
            assert deployment.post("/prod/start", ids[-1]).status_code == 202
        page.goto("./")
        return row_of(page, workflow["name"])

    yield store
    for workflow_id in ids:
        deployment.post("/prod/stop", workflow_id)
        path = f"/workflows/{workflow_id}/"
        eventually(lambda path=path: deployment.client.delete(path).status_code == 204)


def test_an_empty_dashboard_leads_to_workflows(page, expect, deployment):
    expect(page.get_by_text("There is no workflow yet")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="New workflow")).to_have_count(2)
    page.get_by_role("button", name="Load the examples").click()
    expect(row_of(page, "Hello loops")).to_be_visible()
    expect(page.get_by_text("There is no workflow yet")).to_be_hidden()
    for row in deployment.client.get("/workflows/").json()["results"]:
        assert deployment.client.delete(f"/workflows/{row['id']}/").status_code == 204


def test_files_are_imported_and_what_is_wrong_with_them_is_told(
    page, expect, deployment, hello_loops
):
    hello_loops["name"] = NAME
    wrong = {**hello_loops, "nodes": [{"id": "1", "type": "nothing"}]}
    contents = {
        "good.json": json.dumps(hello_loops),
        "wrong.json": json.dumps(wrong),
        "no.json": "{",
    }
    files = [
        {"name": name, "mimeType": "application/json", "buffer": text.encode()}
        for name, text in contents.items()
    ]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import JSON").first.click()
    chooser.value.set_files(files)
    told = page.get_by_role("dialog", name="Not imported")
    expect(told.get_by_text("nodes[0].type")).to_be_visible()
    expect(told.get_by_text("It is not JSON")).to_be_visible()
    expect(told.get_by_role("heading", level=3)).to_have_text(["wrong.json", "no.json"])
    told.get_by_role("button", name="Close").click()
    expect(row_of(page, NAME).locator(".badge")).to_have_text("stopped")
    assert page.title() == "Workflows · Workflow Orchestrator"
    (imported,) = deployment.client.get("/workflows/").json()["results"]
    assert deployment.client.delete(f"/workflows/{imported['id']}/").status_code == 204


def test_a_start_is_seen_live_and_a_stop_is_asked_about(page, expect, stored, hello_loops):
    row = stored(counting(hello_loops, "Counting", interval=0.02), running=False)
    state, question = row.locator(".badge"), page.get_by_role("dialog")
    expect(state).to_have_text("stopped")
    expect(number(row, "Version")).to_contain_text("never ran")
    button(row, "Start").click()
    expect(state).to_have_text("running")
    expect(number(row, "Iterations")).to_have_text(re.compile(r"^\d\d"))
    expect(row.locator(".rate")).to_have_text(re.compile(r"^[1-9]"))
    expect(row.locator(".spark .line")).to_have_attribute("d", re.compile("^M"))
    expect(page.locator("#total-rate")).to_have_text(re.compile(r"^[1-9]"))
    expect(page.locator("#system-runners")).to_have_text("1 runner")
    page.reload()  # the history is the server's
    expect(row.locator(".spark .line")).to_have_attribute("d", re.compile("^M"))

    button(row, "Pause").click()
    expect(state).to_have_text("paused")
    expect(button(row, "Resume")).to_be_focused()
    page.keyboard.press("Enter")
    expect(state).to_have_text("running")
    button(row, "Stop").click()
    button(question, "Cancel").click()
    expect(state).to_have_text("running")
    button(row, "Stop").click()
    button(question, "Stop").click()
    expect(state).to_have_text("stopped")
    expect(button(row, "Start")).to_be_focused()


def test_what_waits_and_what_died_is_counted(page, expect, stored):
    row = stored(FAILING)
    expect(number(row, "Failures")).to_contain_text("1 dead letter")
    expect(number(row, "Queued")).to_have_text("4")
    expect(page.locator("#total-queued")).to_have_text("4")
    expect(page.locator("#total-dead")).to_have_text("1")
    page.get_by_label("Attention").check()
    expect(row).to_be_visible()
    page.get_by_role("link", name="1 dead letter").click()
    expect(page).to_have_url(re.compile(r"/dead-letters/\?workflow_id=failing$"))


def test_rows_are_chosen_searched_and_sorted_and_remembered(page, expect, stored, hello_loops):
    stored(counting(hello_loops, "Alpha"), running=False)
    busy = stored(counting(hello_loops, "Beta", interval=0.05))
    names = page.get_by_role("rowheader").get_by_role("link")
    expect(names).to_have_text(["Alpha", "Beta"])
    button(page.get_by_role("columnheader", name="Iterations", exact=True), "Iterations").click()
    expect(names).to_have_text(["Beta", "Alpha"])
    page.get_by_label("Ended").check()
    expect(busy).to_be_hidden()
    expect(page.locator("#shown")).to_have_text("1 of 2 workflows shown")
    page.get_by_label("Search by name or state").fill("BET")
    expect(page.get_by_text("No workflow matches.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Ended")).to_be_checked()
    button(page, "Show all of them").click()
    expect(names).to_have_text(["Beta", "Alpha"])
    head = page.get_by_role("columnheader", name="Iterations", exact=True)
    expect(head).to_have_attribute("aria-sort", "descending")


def test_a_lost_connection_leaves_no_green_light(page, expect, stored, hello_loops):
    row = stored(counting(hello_loops, "Lost"), running=False)
    state, banner = row.locator(".badge"), page.locator("#connection")
    expect(state).to_have_text("stopped")
    page.context.set_offline(True)
    expect(banner).to_contain_text("Connection lost")
    expect(state).to_have_text("was stopped")
    expect(button(row, "Start")).to_be_disabled()
    for light in ("runners", "redis", "database"):
        expect(page.locator(f"#system-{light}")).to_have_attribute("data-tone", "unknown")
    page.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(state).to_have_text("stopped")
    expect(page.locator("#system-redis")).to_have_attribute("data-tone", "good")
