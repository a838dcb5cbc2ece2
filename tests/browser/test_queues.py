"""An operator sees how full queues are, looks into one, and empties it."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def expect():
    from playwright.sync_api import expect

    return expect


def button(place, name):
    return place.get_by_role("button", name=re.compile(f"^{name}"))


def test_queues_are_found_and_watched(page, expect, deployment, hello_loops):
    hello_loops["name"] = "Watched"
    hello_loops["nodes"][0]["data"]["form"] = {"stop": None, "interval": 0.05}
    hello_loops["nodes"][3]["data"]["form"]["path"] = "watched.jsonl"
    workflow = deployment.create(hello_loops)
    page.goto("/queues/")
    search = page.get_by_label("Search by queue")
    search.fill("watched")
    row = page.get_by_role("row").filter(has_text="watched")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("node 2 → loop 3")
    expect(row.locator(".light")).to_have_text("empty")
    page.get_by_label("Show").select_option("all")
    expect(row).to_have_count(3)
    deployment.post("/prod/start", workflow)
    into = row.filter(has_text="queue_2_3").locator('[data-label="In/s"]')
    expect(into).to_have_text(re.compile(r"^[1-9]"))
    page.get_by_role("columnheader", name="In/s").get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="In/s")).to_have_attribute(
        "aria-sort", "descending"
    )
    expect(row.first).to_contain_text("queue_2_3")
    deployment.post("/prod/stop", workflow)


def test_a_queue_is_looked_into_and_purged(page, expect, deployment, hello_loops):
    hello_loops["name"] = "Purged"
    hello_loops["nodes"][0]["data"]["form"] = {"stop": None, "interval": 0.05}
    hello_loops["nodes"][1]["data"]["config"] = {"queue_name": "handed", "max_length": 8}
    hello_loops["nodes"][3]["data"]["form"]["path"] = "purged.jsonl"
    workflow = deployment.create(hello_loops)
    deployment.post("/prod/start", workflow)
    deployment.post("/prod/stop", workflow, loop="3")
    page.goto(f"/queues/{workflow}/handed/")
    expect(page.locator("#fill")).to_contain_text("8 of 8")
    expect(page.locator("#state")).to_have_text("full")
    expect(page.get_by_text("Node 2 in loop 1")).to_be_visible()
    deployment.post("/prod/stop", workflow)
    deployment.wait_for(workflow, "stopped")
    button(page, "Look again").click()
    items = page.locator("#items > li")
    expect(items).to_have_count(8)
    items.first.locator("summary").first.click()
    expect(items.first.locator(".tree").first).to_contain_text("value: ")

    button(page, "Purge").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("8 items will be removed for good")
    sure, name = button(question, "Remove 8 items"), question.get_by_label("Type handed")
    name.fill("hand")
    expect(sure).to_be_disabled()
    name.press("Enter")
    expect(question).to_be_visible()
    name.fill("handed")
    sure.click()
    expect(page.get_by_text("8 items removed.")).to_be_visible()
    expect(page.locator("#fill")).to_contain_text("0 of 8")
    expect(items).to_have_count(0)


def test_an_inbox_has_a_page_of_its_own(page, expect, deployment, hello_loops):
    hello_loops["name"] = "Postbox"
    deployment.create(hello_loops)
    page.goto("/queues/?kind=inbox&q=postbox")
    page.get_by_role("link", name="Inbox of loop 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Inbox of loop 3")
    expect(page.get_by_text("Replays of dead letters")).to_be_visible()
    expect(page).to_have_url(re.compile("/queues/postbox/(%21|!)inbox(%3A|:)3/$"))


def test_a_queue_that_there_is_not(page, expect, deployment, hello_loops):
    workflow = deployment.create({**hello_loops, "name": "Known"})
    page.goto(f"/queues/{workflow}/nowhere/")
    expect(page.get_by_role("alert")).to_have_text("known has no queue nowhere")
