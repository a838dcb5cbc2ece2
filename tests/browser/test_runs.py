"""A person makes a graph, runs it, watches it, finds out why it failed, and goes on with it."""

import json
import re

import pytest

from tests.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.long]

NAME = "Count <img src=x onerror=alert(1)>"
COUNT = {
    "name": NAME,
    "entry_point": "add",
    "nodes": [
        {"id": "add", "tool": "test.add", "arguments": {"left": "{{ data.add }}"}},
        {"id": "nap", "tool": "test.wait", "arguments": {"seconds": "{{ data.seconds }}"}},
        {"id": "done", "type": "data-transformer", "data": {"form": {"fields": {"done": True}}}},
    ],
    "edges": [
        {"source": "add", "target": "nap"},
        {"source": "nap", "target": "add", "condition": "data.add < data.goal", "budget": 9000},
        {"source": "nap", "target": "done", "condition": "data.add >= data.goal"},
    ],
}
FILE = {
    "name": "Needs a file",
    "entry_point": "look",
    "nodes": [{"id": "look", "tool": "test.fail_unless", "arguments": {"path": "{{ data.path }}"}}],
    "edges": [],
}


@pytest.fixture(scope="module")
def worker(deployment):
    process = deployment.start_worker()
    eventually(deployment.workers)
    return process


def make(deployment, graph):
    answer = deployment.client.post("/graph/create", json=graph)
    assert answer.status_code == 201, answer.text
    return answer.json()["graph_id"]


def run(deployment, graph, state, **options):
    body = {"graph_id": make(deployment, graph), "initial_state": state, "wait": False, **options}
    answer = deployment.client.post("/graph/run", json=body)
    assert answer.is_success, answer.text
    return answer.json()["run_id"]


def button(place, name):
    return place.get_by_role("button", name=name, exact=True)


def steps_of(page):
    return page.get_by_role("listbox", name="Steps").get_by_role("option")


def test_a_graph_is_made_and_run_from_the_page(page, expect, deployment):
    page.goto("/runs/")
    expect(page.get_by_text("There is no graph yet")).to_be_visible()
    expect(page.get_by_text("No worker is alive, so runs wait.")).to_be_visible()
    button(page, "New graph").click()
    dialog, text = page.get_by_role("dialog"), page.get_by_label("Its JSON")
    text.fill(json.dumps({**COUNT, "entry_point": "nobody"}))
    button(dialog, "Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("entry_point")
    text.fill(json.dumps(COUNT))
    button(dialog, "Create").click()
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()

    button(page, "Run this graph").click()
    dialog, text = page.get_by_role("dialog"), page.get_by_label("Initial state")
    text.fill("[1")
    expect(text).to_have_attribute("aria-invalid", "true")
    text.fill('{"add": 0}')
    button(dialog, "goal").click()
    assert json.loads(text.input_value()) == {"add": 0, "goal": None}
    text.fill('{"add": 0, "goal": 3, "seconds": 0.2}')
    button(dialog, "Start").click()

    expect(page.locator("#state")).to_have_text("pending")
    expect(page.get_by_text("No worker is alive, so this run waits.")).to_be_visible()
    deployment.start_worker()
    # Step by step, without a reload.
    expect(page.locator("#state")).to_have_text("running")
    steps = steps_of(page)
    expect(steps).to_have_count(7)
    expect(page.locator("#state")).to_have_text("completed")
    steps.nth(2).click()
    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("heading", name="Step 3: add")).to_be_visible()
    expect(panel.locator(".change")).to_have_text(re.compile("add.*changed.*1.*2"))
    page.keyboard.press("ArrowDown")
    page.get_by_role("tab", name="State").click()
    expect(panel).to_contain_text("add: 3")
    page.get_by_role("tab", name="Graph").click()
    add = panel.get_by_role("button", name=re.compile("^add, test.add, 3 turns"))
    add.focus()
    page.keyboard.press("Enter")
    expect(steps).to_have_count(3)
    assert page.title().startswith("Run ")


def test_a_run_that_failed_says_why_and_goes_on(page, expect, deployment, worker):
    path = deployment.folder / "wanted"
    page.goto(f"/runs/{run(deployment, FILE, {'path': str(path)})}/")
    state = page.locator("#state")
    expect(state).to_have_text("failed")
    expect(page.locator("#failure")).to_contain_text("FileNotFoundError in look")
    button(page, "look").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("not there yet")
    path.touch()
    button(page, "Resume").click()
    expect(state).to_have_text("completed")
    expect(page.locator("#failure")).to_be_hidden()
    expect(steps_of(page)).to_have_count(2)


def test_numbers_stay_as_they_were_written(page, expect, deployment, worker):
    path = str(deployment.folder)
    text = '{"graph_id": "%s", "wait": false, "initial_state": {"path": "%s", "n": 1.0}}'
    body = text % (make(deployment, FILE), path)
    headers = {"Content-Type": "application/json"}
    answer = deployment.client.post("/graph/run", content=body, headers=headers)
    page.goto(f"/runs/{answer.json()['run_id']}/?tab=state")
    expect(page.get_by_role("tabpanel")).to_contain_text("n: 1.0")
    button(page, "Run again").click()
    expect(page.get_by_label("Initial state")).to_have_value(re.compile('"n": 1.0'))


def test_a_run_is_cancelled_forked_and_removed(page, expect, deployment, worker):
    origin = run(deployment, COUNT, {"add": 0, "goal": 100, "seconds": 0.1})
    page.goto(f"/runs/{origin}/")
    state, question = page.locator("#state"), page.get_by_role("dialog")
    expect(steps_of(page).nth(3)).to_be_visible()
    button(page, "Cancel").click()
    button(question, "Cancel the run").click()
    expect(state).to_have_text("cancelled")
    steps_of(page).nth(1).click()
    button(page, "Fork after this step").click()
    page.wait_for_url(lambda url: origin not in url)
    expect(page.get_by_role("link", name=origin[:10])).to_be_visible()
    expect(steps_of(page).first).to_contain_text("add")
    button(page, "Cancel").click()
    button(question, "Cancel the run").click()
    button(page, "Delete").click()
    button(question, "Delete").click()
    page.wait_for_url(re.compile("/runs/?$"))
    rows = page.get_by_role("table", name="Runs").get_by_role("row")
    expect(rows.filter(has_text=origin[:10])).to_contain_text("cancelled")


def test_thousands_of_steps_stay_usable(page, expect, deployment, worker):
    state = {"add": 0, "goal": 1500, "seconds": 0}
    options = {"checkpoint_every": None, "max_steps": 5000}
    run_id = run(deployment, COUNT, state, **options)
    where = f"/graph/runs/{run_id}"
    eventually(lambda: deployment.client.get(where).json()["status"] == "completed", 120)
    page.goto(f"/runs/{run_id}/")
    expect(page.locator("#steps-count")).to_have_text("3,001 in all")
    steps = page.get_by_role("listbox", name="Steps")
    steps.focus()
    page.keyboard.press("End")
    last = steps.get_by_role("option", selected=True)
    expect(last).to_have_attribute("aria-posinset", "3001")
    expect(last).to_be_in_viewport()
    expect(page.get_by_role("heading", name="Step 3,001: done")).to_be_visible()
    assert page.locator(".step").count() < 100
    page.reload()
    expect(page.get_by_role("heading", name="Step 3,001: done")).to_be_visible()


def test_the_list_is_filtered_and_stays_up_to_date(page, expect, deployment, worker):
    page.goto("/runs/")
    rows = page.locator("#rows").get_by_role("row")
    expect(rows.first).to_be_visible()
    run_id = run(deployment, FILE, {"path": "nowhere"})
    row = rows.filter(has_text=run_id[:10])
    expect(row).to_contain_text("failed")
    page.get_by_role("button", name=re.compile("^failed")).click()
    expect(rows.filter(has_text="completed")).to_have_count(0)
    page.get_by_label("Search by id, key or graph").fill(run_id)
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_label("Search by id, key or graph").fill("nothing has this name")
    expect(page.get_by_text("No run matches")).to_be_visible()
    page.goto("/runs/no-such-run/")
    expect(page.get_by_text("There is no such run")).to_be_visible()
