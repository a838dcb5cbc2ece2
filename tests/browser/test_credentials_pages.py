"""Somebody stores a credential, says who may use it, replaces and deletes it; no page ever tells
its secret again, and whoever may not is offered nothing."""

import re

import pytest

from orchestrator.runtime.credentials import keyring
from tests.browser.a_site import asking
from tests.browser.conftest import log_in, opened
from tests.deployment import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.long]

SECRET = "canary-of-the-pages"
USERS = (
    "from orchestrator.security.actors import SYSTEM\n"
    "from orchestrator.services.access import create_user\n"
    "create_user(SYSTEM, 'eddy', {0!r}, role='editor')\n"
    "create_user(SYSTEM, 'vera', {0!r})\n"
)


@pytest.fixture(scope="module")
def people(deployment):
    """Make eddy, who is an editor, and vera, who is a viewer."""
    deployment.manage("shell", "-c", USERS.format(PASSWORD))


@pytest.fixture
def stored(deployment):
    """Store a bearer credential as ada."""

    def store(name, **more):
        body = {"name": name, "kind": "bearer", "values": {"token": SECRET}, **more}
        deployment.client.post("/credentials/", json=body).raise_for_status()
        return f"/credentials/{name}/"

    return store


RECORD = """
const real = window.fetch;
window.fetch = async (...request) => {
  const answer = await real(...request);
  sessionStorage.seen = (sessionStorage.seen ?? "") + (await answer.clone().text());
  return answer;
};
"""


@pytest.fixture
def answers(page):
    """Return what gives the text of all that the server has answered to scripts of this tab."""
    page.add_init_script(RECORD)
    return lambda: page.evaluate("sessionStorage.seen ?? ''")


def fetched(deployment, name):
    return deployment.client.get(f"/credentials/{name}/").json()


def button(place, name):
    return place.get_by_role("button", name=name, exact=True)


def field(place, name):
    """Return the control that is shown with a label; there are some for each kind."""
    return place.get_by_label(name, exact=True).filter(visible=True)


def test_a_credential_is_stored_with_the_keyboard(page, expect, deployment, answers):
    page.goto("/credentials/")
    button(page, "New credential").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="New credential")
    expect(field(dialog, "Name")).to_be_focused()
    page.keyboard.type("a b")
    page.keyboard.press("Enter")
    expect(field(dialog, "Name")).to_be_focused()
    expect(field(dialog, "Name")).to_have_attribute("aria-invalid", "true")
    field(dialog, "Name").fill("mine")
    field(dialog, "Kind").select_option("http-basic")
    field(dialog, "Username").fill("ada")
    password = field(dialog, "Password")
    password.fill("12345")
    page.keyboard.press("Enter")
    expect(password).to_be_focused()
    expect(dialog).to_contain_text("has less than 6 characters")
    expect(password).to_have_attribute("type", "password")
    field(dialog, "Show what I type").check()
    expect(password).to_have_attribute("type", "text")
    password.fill(SECRET)
    password.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="mine", exact=True)).to_be_focused()
    row = page.get_by_role("row").filter(has_text="mine")
    expect(row).to_contain_text("…ages")
    expect(row).to_contain_text("every editor")
    values = page.evaluate("[...document.querySelectorAll('input, textarea')].map((e) => e.value)")
    assert '"fingerprint":"ages"' in answers()
    assert SECRET not in "".join(values) + page.content() + answers()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="mine", level=1)).to_be_visible()
    expect(page.get_by_text("By no workflow")).to_be_visible()
    assert SECRET not in page.content() + answers()


def test_values_of_any_name_with_several_lines(page, expect, deployment):
    page.goto("/credentials/?new")
    dialog = page.get_by_role("dialog")
    field(dialog, "Name").fill("keys")
    field(dialog, "Kind").select_option("generic")
    field(dialog, "Name 1").fill("private")
    field(dialog, "Value 1").fill("first line\nsecond line")
    button(dialog, "Another value").click()
    field(dialog, "Name 2").fill("private")
    field(dialog, "Value 2").fill("something else")
    button(dialog, "Store").click()
    expect(dialog).to_contain_text("There are two values of the name private.")
    field(dialog, "Name 2").fill("public")
    button(dialog, "Store").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile("/credentials/$"))
    assert opened_values(deployment, "keys") == {
        "private": "first line\nsecond line", "public": "something else"
    }  # fmt: skip


def opened_values(deployment, name):
    """Return what is stored, as a process that runs nodes gets it."""
    shown = deployment.manage(
        "shell", "-v0", "-c",
        "import json; from orchestrator.models import Credential\n"
        f"row = Credential.objects.get(name={name!r}); print(row.pk, row.sealed)",
    )  # fmt: skip
    return keyring().open(*shown.split())


def test_where_it_is_used_and_that_what_runs_keeps_it(page, expect, deployment, stored):
    address = stored("kept")
    workflow = deployment.create(asking("Uses what is kept", "kept"))
    deployment.post("/prod/start", workflow).raise_for_status()
    page.goto(address)
    use = page.locator("#uses").get_by_role("listitem")
    expect(use).to_contain_text("version 1")
    expect(use).to_contain_text("is to run")
    href = re.compile(rf"/studio/{workflow}/\?node=ask$")
    expect(use.get_by_role("link", name="ask")).to_have_attribute("href", href)
    button(page, "Delete").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Uses what is kept")
    button(question, "Delete").click()
    expect(page.locator("#problem")).to_contain_text(f"used by what runs: {workflow}")
    deployment.post("/prod/stop", workflow).raise_for_status()
    button(page, "Delete").click()
    button(question, "Cancel").click()
    assert fetched(deployment, "kept")["name"] == "kept"
    button(page, "Delete").click()
    button(question, "Delete").click()
    expect(page).to_have_url(re.compile("/credentials/$"))
    expect(page.get_by_role("link", name="kept", exact=True)).to_have_count(0)
    assert deployment.client.get(address).status_code == 404
    page.goto(address)
    expect(page.locator("#problem")).to_contain_text("there is no credential kept")


def test_other_values_and_who_may_use_it(page, expect, deployment, stored, people, answers):
    page.goto(stored("changed"))
    token = field(page, "Token")
    expect(token).to_have_value("")
    button(page, "Replace").click()
    expect(page.locator("#replace-form")).to_contain_text("an object of 1 to 50 named texts")
    token.fill(f"{SECRET}-two")
    token.press("Enter")
    expect(page.get_by_text("The secret is replaced.")).to_be_visible()
    expect(token).to_have_value("")
    expect(page.locator("#facts")).to_contain_text("…-two")
    assert opened_values(deployment, "changed") == {"token": f"{SECRET}-two"}

    page.get_by_label("only these").check()
    users = page.get_by_label("Users")
    users.fill("eddy\nnobody-here")
    button(page, "Save").click()
    expect(users).to_be_focused()
    expect(page.locator("#grants-form")).to_contain_text("there is no user nobody-here")
    users.fill("eddy")
    page.get_by_label("Groups").fill("editor\nadmin")
    button(page, "Save").click()
    expect(page.locator("#facts")).to_contain_text("eddy, group admin, group editor")
    found = fetched(deployment, "changed")
    assert (found["users"], found["groups"]) == (["eddy"], ["admin", "editor"])
    page.get_by_label("every editor").check()
    button(page, "Save").click()
    expect(page.locator("#facts")).to_contain_text("every editor")
    assert fetched(deployment, "changed")["users"] is None
    assert SECRET not in page.content() + answers()
    page.get_by_role("link", name="Its history").click()
    expect(page.get_by_role("table", name="Entries")).to_contain_text("values_replaced true")
    assert SECRET not in page.content() + answers()


def test_whoever_may_not_change_it_is_offered_nothing(browser, deployment, stored, people, expect):
    address = stored("adas")
    with opened(browser, deployment.url) as page:
        log_in(page, "eddy")
        page.goto(address)
        expect(page.get_by_text("Only whoever made it, and admins, may change it.")).to_be_visible()
        for name in ("Delete", "Replace", "Save"):
            expect(button(page, name)).to_be_hidden()
        expect(page.get_by_role("link", name="Its history")).to_have_count(0)
        expect(page.get_by_role("link", name="Audit log")).to_have_count(0)
        assert refused(page, "PUT", address, {"values": {"token": "taken-over"}}) == 403
        assert refused(page, "DELETE", address) == 403
    with opened(browser, deployment.url) as page:
        log_in(page, "vera")
        expect(page.get_by_role("link", name="Credentials")).to_have_count(0)
        assert page.goto("/credentials/").status == 403
        expect(page.get_by_role("main")).to_contain_text("needs the right credential.list")
        assert page.goto(address).status == 403
        assert refused(page, "GET", "/credentials/") == 403
    assert opened_values(deployment, "adas") == {"token": SECRET}


def refused(page, method, path, body=None):
    """Return the status that a script of the page gets."""
    return page.evaluate(
        """async ([method, path, body]) => {
          const token = document.querySelector('meta[name="csrf-token"]').content;
          const headers = {
            Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token,
          };
          return (await fetch(path, {method, headers, body: body && JSON.stringify(body)})).status;
        }""",
        [method, path, body],
    )


def test_the_studio_leads_to_a_new_credential_and_offers_it(page, expect, deployment, stored):
    stored("first")
    workflow = deployment.create(asking("Asks for a login", "first"))
    page.goto(f"/studio/{workflow}/?node=ask")
    choice = page.get_by_label("Credential", exact=True)
    expect(choice).to_have_value("first")
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="New credential").click()
    other = opening.value
    dialog = other.get_by_role("dialog", name="New credential")
    field(dialog, "Name").fill("second")
    field(dialog, "Kind").select_option("bearer")
    field(dialog, "Token").fill(SECRET)
    button(dialog, "Store").click()
    expect(other.get_by_role("link", name="second", exact=True)).to_be_visible()
    other.close()
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # a headless page always has it
    expect(choice.locator("option", has_text="second")).to_have_count(1)
    choice.select_option("second")
    expect(choice).to_have_value("second")


def test_the_studio_leads_nobody_there_who_may_not(browser, deployment, stored, people, expect):
    stored("not-for-vera")
    workflow = deployment.create(asking("Looked at", "not-for-vera"))
    with opened(browser, deployment.url) as page:
        log_in(page, "vera")
        page.goto(f"/studio/{workflow}/?node=ask")
        expect(page.get_by_label("Credential", exact=True)).to_have_value("not-for-vera")
        expect(page.get_by_role("link", name="New credential")).to_have_count(0)
