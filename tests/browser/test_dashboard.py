"""A person logs in, sees a workflow, starts it and watches it; then runs one of its nodes."""

import json
import re

import pytest

pytestmark = pytest.mark.browser

NAME = 'Hello <img src=x onerror="document.title=1"> loops'
ENDLESS = "Endless"


def store(page, hello_loops, name, form):
    """Store a workflow under a name, with a form of its counter, and return its row."""
    hello_loops["name"] = name
    hello_loops["nodes"][0]["data"]["form"] = form
    hello_loops["nodes"][3]["data"]["form"]["path"] = f"{len(name)}.jsonl"
    token = page.locator('meta[name="csrf-token"]').get_attribute("content")
    answer = page.request.post(
        "/workflows/", data=hello_loops, headers={"X-CSRFToken": token, "Referer": page.url}
    )
    assert answer.status == 201, answer.text()
    page.reload()
    return row_of(page, name)


def row_of(page, name):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def button(place, name):
    return place.get_by_role("button", name=re.compile(f"^{name}"))


@pytest.fixture
def expect():
    from playwright.sync_api import expect

    return expect


def test_an_empty_dashboard_leads_to_the_examples(page, expect):
    expect(page.get_by_text("There is no workflow yet")).to_be_visible()
    expect(page.get_by_text("manage.py load_examples")).to_be_visible()


def test_a_start_is_seen_live(page, expect, hello_loops):
    row = store(page, hello_loops, NAME, {"stop": 40, "interval": 0.05})
    state = row.locator(".badge")
    expect(state).to_have_text("stopped")
    button(row, "Start").click()
    expect(state).to_have_text("running")
    expect(state).to_have_text("completed", timeout=15_000)
    # Both loops count an item: the one that makes it and the one that writes it.
    expect(row.locator('[data-label="Iterations"]')).to_have_text("80")
    expect(button(row, "Start")).to_be_visible()
    assert page.title() == "Workflows · Workflow Orchestrator"


def test_a_stop_is_asked_about(page, expect, hello_loops):
    row = store(page, hello_loops, ENDLESS, {"stop": None, "interval": 0.05})
    state, question = row.locator(".badge"), page.get_by_role("dialog")
    button(row, "Start").click()
    expect(state).to_have_text("running")
    button(row, "Stop").click()
    button(question, "Cancel").click()
    expect(state).to_have_text("running")
    button(row, "Stop").click()
    button(question, "Stop").click()
    expect(state).to_have_text("stopped")


def test_a_node_runs_on_the_bench(page, expect, hello_loops):
    store(page, hello_loops, "Bench", {"start": 7}).get_by_role("link").click()
    result, given = page.get_by_role("region", name="Result"), page.get_by_label("Input")
    button(page, "Counter, node 1").focus()
    page.keyboard.press("Enter")
    button(page, "Run node").click()
    expect(result).to_contain_text("Output of node 1")
    assert json.loads(result.locator("pre").first.inner_text()) == {"value": 7}
    given.fill("[1")
    button(page, "Run node").click()
    expect(given).to_have_attribute("aria-invalid", "true")


def test_a_lost_connection_leaves_no_green_light(page, expect, hello_loops):
    row = store(page, hello_loops, "Lost", {"stop": 1})
    state, banner = row.locator(".badge"), page.locator("#connection")
    expect(state).to_have_text("stopped")
    page.context.set_offline(True)
    expect(banner).to_contain_text("Connection lost", timeout=20_000)
    expect(state).to_have_text("was stopped")
    expect(button(row, "Start")).to_be_disabled()
    page.context.set_offline(False)
    expect(banner).to_be_hidden(timeout=20_000)
    expect(state).to_have_text("stopped")
