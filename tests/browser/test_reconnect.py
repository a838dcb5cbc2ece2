"""What a page shows while server, session or permission are gone, and when they are back."""

import re

import pytest

from tests.browser.conftest import log_in, opened
from tests.deployment import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.long]

CHECKED_AGAIN = 40_000
"""Milliseconds within which an open socket is asked again who it belongs to."""
MAKE_USER = """
from django.contrib.auth.models import Group, User
user = User.objects.create_user({name!r}, password={password!r})
user.groups.add(Group.objects.get_or_create(name={role!r})[0])
"""
TAKE_ROLE = """
from django.contrib.auth.models import User
User.objects.get(username={name!r}).groups.clear()
"""


@pytest.fixture
def running(deployment, hello_loops):
    """Make a workflow that counts for ever, and start it."""

    def make(name):
        hello_loops["name"] = name
        hello_loops["nodes"][0]["data"]["form"] = {"stop": None, "interval": 0.05}
        workflow = deployment.create(hello_loops)
        deployment.post("/prod/start", workflow).raise_for_status()
        deployment.wait_for(workflow, "running")
        return workflow

    return make


@pytest.fixture
def make_user(deployment):
    def make(name, role):
        code = MAKE_USER.format(name=name, password=PASSWORD, role=role)
        deployment.manage("shell", "-v0", "-c", code)

    return make


def row_of(page, name):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def button(place, name):
    return place.get_by_role("button", name=re.compile(f"^{name}"))


def iterations(row):
    return int(re.sub(r"\D", "", row.locator('[data-label="Iterations"]').inner_text()) or 0)


def test_a_restarted_server_is_found_again(page, expect, deployment, running):
    running("Through a restart")
    row, banner = row_of(page, "Through a restart"), page.locator("#connection")
    state = row.locator(".badge")
    expect(state).to_have_text("running")
    deployment.web.kill()
    deployment.web.wait()
    expect(banner).to_contain_text("Connection lost")
    expect(state).to_have_text("was running")
    expect(button(row, "Pause")).to_be_disabled()
    before = iterations(row)

    deployment.start_web()
    expect(banner).to_be_hidden()
    expect(state).to_have_text("running")
    shown = row.locator('[data-label="Iterations"]')
    expect(shown).not_to_have_text(f"{before:,}")
    assert iterations(row) > before  # the loops went on meanwhile
    button(row, "Pause").click()
    expect(state).to_have_text("paused")


def rename_in_studio(page, workflow, name):
    """Open a workflow in the studio and change it, without saving."""
    page.goto(f"/studio/{workflow}/")
    page.get_by_label("Name of the workflow").fill(name)


def save_in_studio(page, expect, version):
    page.locator(".save").get_by_role("button", name=re.compile("^Save")).click()
    saved = page.get_by_role("button", name=f"Version {version}", exact=True)
    expect(saved).to_be_visible()


def test_what_is_not_saved_yet_outlives_a_restart(page, expect, deployment, hello_loops):
    workflow = deployment.create(hello_loops)
    rename_in_studio(page, workflow, "After a restart")
    deployment.web.kill()
    deployment.web.wait()
    banner = page.locator("#connection")
    expect(banner).to_contain_text("Connection lost")
    deployment.start_web()
    expect(banner).to_be_hidden()
    save_in_studio(page, expect, 2)
    assert deployment.client.get(f"/workflows/{workflow}/").json()["name"] == "After a restart"


def test_what_is_not_saved_yet_outlives_a_session(page, expect, deployment, hello_loops):
    workflow = deployment.create(hello_loops)
    rename_in_studio(page, workflow, "After a session")
    other = page.context.new_page()
    other.goto("/")
    button(other, "Log out").click()
    log_in(other)
    save_in_studio(page, expect, 2)
    assert deployment.client.get(f"/workflows/{workflow}/").json()["name"] == "After a session"


def test_a_permission_is_taken_away_while_a_page_is_open(
    browser, deployment, expect, running, make_user
):
    running("For operators")
    make_user("bob", "operator")
    with opened(browser, deployment.url) as page:
        log_in(page, "bob")
        row, banner = row_of(page, "For operators"), page.locator("#connection")
        expect(row.locator(".badge")).to_have_text("running")
        deployment.manage("shell", "-v0", "-c", TAKE_ROLE.format(name="bob"))
        button(row, "Pause").click()
        expect(page.locator("#notices")).to_contain_text("needs the role")
        expect(banner).to_contain_text("You may not watch this", timeout=CHECKED_AGAIN)
        expect(row.locator(".badge")).to_have_text("was running")
        expect(button(row, "Pause")).to_be_disabled()


def test_who_logs_out_elsewhere_is_told_and_comes_back_to_the_page(
    browser, deployment, expect, running, make_user
):
    workflow = running("For viewers")
    make_user("eve", "viewer")
    with opened(browser, deployment.url) as page:
        log_in(page, "eve", at="/queues/")
        banner = page.locator("#connection")
        expect(page.get_by_role("link", name=re.compile("^queue_")).first).to_be_visible()
        other = page.context.new_page()
        other.goto("/")
        expect(row_of(other, "For viewers").locator(".badge")).to_have_text("running")
        button(other, "Log out").click()
        expect(other.get_by_label("User name")).to_be_visible()
        expect(banner).to_contain_text("You are logged out", timeout=CHECKED_AGAIN)

        banner.get_by_role("link", name="Log in").click()
        page.get_by_label("User name").fill("eve")
        page.get_by_label("Password").fill(PASSWORD)
        button(page, "Log in").click()
        expect(page).to_have_url(f"{deployment.url}/queues/")
        expect(banner).to_be_hidden()
    assert deployment.status(workflow)["desired"] == "running"


def test_two_people_see_the_same(page, browser, deployment, expect, running, make_user):
    running("Seen by two")
    make_user("joe", "operator")
    mine = row_of(page, "Seen by two").locator(".badge")
    with opened(browser, deployment.url) as second:
        log_in(second, "joe")
        row = row_of(second, "Seen by two")
        theirs = row.locator(".badge")
        expect(theirs).to_have_text("running")
        button(row, "Pause").click()
        for state in (mine, theirs):
            expect(state).to_have_text("paused")
        button(row_of(page, "Seen by two"), "Resume").click()
        for state in (mine, theirs):
            expect(state).to_have_text("running")
