"""An admin finds out who did what, sees what was before and after, and takes the log along."""

import json
import re

import pytest

from tests.browser.conftest import log_in, opened
from tests.deployment import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.long]

EDDY = (
    "from orchestrator.security.actors import SYSTEM\n"
    "from orchestrator.services.access import create_user\n"
    f"create_user(SYSTEM, 'eddy', {PASSWORD!r}, role='editor')\n"
)


def flow(stop):
    node = {"id": "1", "type": "counter", "data": {"form": {"stop": stop}}}
    return {"name": "Watched", "nodes": [node], "edges": []}


@pytest.fixture(scope="module")
def watched(deployment):
    """Make a workflow with 60 versions, and eddy, who is an editor."""
    deployment.manage("shell", "-c", EDDY)
    workflow = deployment.create(flow(1))
    for stop in range(2, 61):
        deployment.client.put(f"/workflows/{workflow}/", json=flow(stop)).raise_for_status()
    return workflow


def entries(page):
    return page.get_by_role("table", name="Entries").locator("tbody").get_by_role("row")


def test_entries_are_filtered_by_who_what_to_what_and_when(page, expect, watched):
    page.goto("/audit/")
    expect(entries(page)).to_have_count(50)
    page.get_by_label("What", exact=True).select_option("user.manage")
    expect(entries(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?action=user.manage$"))
    page.get_by_label("What", exact=True).select_option("")
    page.get_by_label("Who", exact=True).fill("system")
    expect(page).to_have_url(re.compile("actor=system"))
    expect(entries(page).filter(has_text="ada")).not_to_have_count(50)
    expect(entries(page).first).to_contain_text("system")
    page.get_by_label("Who", exact=True).fill("")
    page.get_by_label("To what").fill(f"workflow:{watched}")
    expect(page.get_by_text(re.compile("^1.50 of 60 entries"))).to_be_visible()
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_text(re.compile("^51.60 of 60 entries"))).to_be_visible()
    entries(page).last.get_by_role("link", name="workflow.create").click()
    expect(entries(page)).to_have_count(1)
    expect(page.get_by_label("What", exact=True)).to_have_value("workflow.create")
    page.wait_for_load_state()
    page.get_by_label("Time", exact=True).select_option("1h")
    expect(entries(page)).to_have_count(1)
    page.get_by_label("Time", exact=True).select_option("between")
    page.get_by_label("until").fill("2001-02-03T04:05:06")
    page.get_by_label("until").press("Enter")
    expect(page.get_by_role("heading", name="No entry matches")).to_be_visible()
    expect(page).to_have_url(re.compile("until=2001-02-03"))
    page.reload()
    expect(page.get_by_label("until")).to_have_value("2001-02-03T04:05:06")
    page.goto("/audit/?since=nonsense")
    expect(page.locator("#problem")).to_contain_text("since")


def test_what_was_before_and_after_is_read_at_once(page, expect, watched, deployment):
    page.goto(f"/audit/?object=workflow:{watched}&action=workflow.save")
    newest = entries(page).first
    expect(newest.locator("li").filter(has_text="version")).to_contain_text("changed version 59→60")
    newest.get_by_text("All of it").focus()
    page.keyboard.press("Enter")
    entry = deployment.client.get(f"/audit/?object=workflow:{watched}").json()["results"][0]
    expect(newest).to_contain_text(entry["after"]["digest"])
    expect(newest).to_contain_text(entry["before"]["digest"])
    expect(newest).to_contain_text("python-httpx")


def test_what_is_shown_is_exported(page, expect, watched):
    page.goto(f"/audit/?object=workflow:{watched}&action=workflow.save")
    expect(page.get_by_text(re.compile("^1.50 of 59 entries"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as JSON lines").click()
    assert download.value.suggested_filename == "audit.jsonl"
    lines = [json.loads(text) for text in download.value.path().read_text().splitlines()]
    assert [line["after"]["version"] for line in lines] == list(range(2, 61))


def test_whoever_may_not_read_it_gets_nothing_of_it(browser, deployment, watched, expect):
    with opened(browser, deployment.url) as page:
        log_in(page, "eddy")
        expect(page.get_by_role("link", name="Audit log")).to_have_count(0)
        assert page.goto("/audit/").status == 403
        expect(page.get_by_role("main")).to_contain_text("needs the right audit.read")
        expect(page.get_by_text("workflow.save")).to_have_count(0)


def test_the_link_of_the_page_is_in_sight_on_a_phone(browser, deployment, expect):
    with opened(browser, deployment.url, viewport={"width": 390, "height": 844}) as page:
        log_in(page)
        page.goto("/audit/")
        link = page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit log")
        expect(link).to_be_in_viewport(ratio=1)
