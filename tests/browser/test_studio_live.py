"""A person watches production in the studio, saves versions, and is not alone in doing so."""

import json
import re

import pytest

from tests.browser.conftest import choose_mode, log_in, opened
from tests.deployment import PASSWORD, USER

pytestmark = [pytest.mark.browser, pytest.mark.long]

LOST = "Connection lost"
MAKE_USER = """
from django.contrib.auth.models import User
User.objects.create_user({name!r}, password={password!r})
"""
GIVE_ROLE = """
from django.contrib.auth.models import Group, User
User.objects.get(username={name!r}).groups.set([Group.objects.get_or_create(name={role!r})[0]])
"""
WATCH_WHAT_IS_WRITTEN = """() => {
    window.written = [];
    const place = ({ target }) => (target.nodeType === 3 ? target.parentElement : target);
    const seen = new MutationObserver((all) => {
        window.written.push(...all.map((change) => place(change).className));
    });
    const what = { subtree: true, childList: true, characterData: true };
    seen.observe(document.querySelector(".react-flow__nodes"), what);
}"""
WHAT_IS_GREEN = """() => {
    const good = getComputedStyle(document.body).getPropertyValue("--good").trim();
    const tone = (element) => getComputedStyle(element).getPropertyValue("--tone").trim();
    return [...document.querySelectorAll(".studio *")]
        .filter((element) => element.checkVisibility() && tone(element) === good)
        .map((element) => String(element.className));
}"""
PASTE = """(text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    document.activeElement.blur();
    const event = new ClipboardEvent("paste", { bubbles: true, clipboardData });
    document.body.dispatchEvent(event);
}"""


@pytest.fixture
def slow_queue():
    """Many numbers a second into a queue of twenty, of which one a second is taken out."""
    return {
        "name": "Slow queue",
        "nodes": [
            {"id": "make", "type": "counter", "data": {"form": {"interval": 0.02}}},
            {"id": "write", "type": "queue-writer", "data": {"config": {"max_length": 20}}},
            {"id": "read", "type": "queue-reader", "data": {}},
            {"id": "wait", "type": "static-delay", "data": {"form": {"seconds": 1}}},
        ],
        "edges": [
            {"id": "a", "source": "make", "target": "write"},
            {"id": "b", "source": "write", "target": "read"},
            {"id": "c", "source": "read", "target": "wait"},
        ],
    }


@pytest.fixture
def counting():
    """A number every twentieth of a second, for ever."""
    return {
        "name": "Counting",
        "nodes": [
            {"id": "make", "type": "counter", "data": {"form": {"interval": 0.05}}},
            {"id": "show", "type": "debug", "data": {}},
        ],
        "edges": [{"id": "a", "source": "make", "target": "show"}],
    }


def studio(page, workflow_id, mode="production"):
    """Open a workflow in the studio."""
    page.goto(f"./studio/{workflow_id}/?mode={mode}")
    page.get_by_role("group", name="Production").wait_for()


def control(page, name):
    return page.get_by_role("group", name="Production").get_by_role("button", name=name, exact=True)


def state(page):
    return page.get_by_role("group", name="Production").locator(".badge")


def start(page, expect):
    control(page, "Start").click()
    expect(state(page)).to_have_text(re.compile("running|blocked"))


def counter(page, node):
    return page.locator(f'.react-flow__node[data-id="{node}"] .live-count')


def light(page, node):
    return page.locator(f'.react-flow__node[data-id="{node}"] .node-live')


def save_button(page):
    return page.locator(".save").get_by_role("button", name=re.compile("^Save"))


def versions_button(page, number):
    return page.locator(".save").get_by_role("button", name=f"Version {number}")


def rename(page, name):
    page.get_by_label("Name of the workflow").fill(name)


def number(locator):
    return int(re.sub(r"\D", "", locator.inner_text()) or 0)


def stored(deployment, workflow_id):
    return deployment.client.get(f"/workflows/{workflow_id}/").json()


def save_elsewhere(deployment, workflow_id, change):
    """Save a version over the API, as somebody else would."""
    definition = stored(deployment, workflow_id)["definition"]
    change(definition)
    answer = deployment.client.put(f"/workflows/{workflow_id}/", json=definition)
    assert answer.status_code == 200, answer.text
    return answer.json()["version"]


def test_a_workflow_is_started_watched_paused_and_stopped(page, expect, deployment, slow_queue):
    studio(page, deployment.create(slow_queue))
    expect(state(page)).to_have_text("stopped")
    expect(page.locator(".mode")).to_contain_text("It was never started")
    start(page, expect)
    expect(state(page)).to_have_text("blocked")
    expect(page.locator(".run-controls .reason")).to_have_text("queue full")
    expect(page.locator(".edge-live .depth")).to_have_text(re.compile("^[1-9][0-9]*/20$"))
    expect(light(page, "make")).to_have_attribute("data-tone", "warn")
    expect(light(page, "wait")).to_have_attribute("data-tone", "good")
    assert number(counter(page, "make")) > number(counter(page, "wait"))
    control(page, "Pause").click()
    expect(state(page)).to_have_text("paused")
    control(page, "Resume").click()
    expect(state(page)).to_have_text(re.compile("running|blocked"))
    control(page, "Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(state(page)).to_have_text("stopped")


def test_counters_move_and_the_cards_are_not_drawn_again(page, expect, deployment, counting):
    studio(page, deployment.create(counting))
    start(page, expect)
    expect(counter(page, "show")).to_have_text(re.compile(r"^\d+$"))
    page.evaluate(WATCH_WHAT_IS_WRITTEN)
    before = number(counter(page, "show"))
    expect(counter(page, "show")).not_to_have_text(str(before))
    page.wait_for_function("() => window.written.length > 10")
    written = set(page.evaluate("window.written"))
    assert written <= {"live-count", "live-rate", "live-last", "live-failed"}


def test_a_lost_connection_leaves_no_light_on(page, expect, deployment, counting):
    studio(page, deployment.create(counting))
    start(page, expect)
    expect(light(page, "show")).to_have_attribute("data-tone", "good")
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text(LOST)
    expect(state(page)).to_have_text("was running")
    expect(light(page, "show")).to_have_attribute("data-tone", "unknown")
    expect(control(page, "Stop")).to_be_disabled()
    green = page.evaluate(WHAT_IS_GREEN)
    assert green == []
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_be_hidden()
    expect(light(page, "show")).to_have_attribute("data-tone", "good")


def test_what_runs_is_told_apart_from_what_is_edited(page, expect, deployment, counting):
    workflow_id = deployment.create(counting)
    studio(page, workflow_id)
    told = page.locator(".mode")
    start(page, expect)
    expect(told).to_contain_text("Production has version 1, the same as on the canvas.")

    def slower(definition):
        definition["nodes"][0]["data"]["form"]["interval"] = 0.06

    save_elsewhere(deployment, workflow_id, slower)
    page.get_by_role("button", name="Show version 2").click()
    expect(told).to_contain_text("One node differs and is marked.")
    expect(page.locator(".node-mark")).to_have_text("not as in version 1")
    choose_mode(page, "Bench")
    expect(told).to_contain_text("Production is not touched")
    expect(page.locator(".node-mark")).to_have_count(0)
    control(page, "Update to version 2").click()
    choose_mode(page, "Production")
    expect(told).to_contain_text("Production has version 2, the same as on the canvas.")
    assert deployment.client.get(f"/prod/status/{workflow_id}").json()["version"] == 2


def test_versions_are_compared_and_restored(page, expect, deployment, counting):
    workflow_id = deployment.create(counting)

    def more(definition):
        definition["nodes"][0]["data"]["form"]["interval"] = 9
        definition["nodes"].append({"id": "third", "type": "debug", "data": {}})
        definition["edges"].append({"id": "b", "source": "show", "target": "third"})

    save_elsewhere(deployment, workflow_id, more)
    studio(page, workflow_id, "bench")
    versions_button(page, 2).click()
    panel = page.get_by_role("region", name="Versions")
    expect(panel.get_by_role("listitem").first).to_contain_text("on the canvas")
    panel.get_by_role("button", name="Version 1").click()
    expect(panel.locator(".summary")).to_have_text("1 node added, 1 node changed, 1 edge added")
    expect(panel).to_contain_text("data.form.interval")
    expect(panel).to_contain_text("0.05 → 9")
    expect(page.locator('.node-mark[data-mark="added"]')).to_have_text("added")
    panel.get_by_role("button", name="Restore").click()
    expect(panel.locator(".summary")).to_have_text("no difference")
    expect(page.locator(".react-flow__node")).to_have_count(2)
    page.keyboard.press("Control+s")
    expect(versions_button(page, 3)).to_be_visible()
    now = stored(deployment, workflow_id)
    assert now["version"] == 3
    assert [node["id"] for node in now["definition"]["nodes"]] == ["make", "show"]


def test_two_people_who_save_lose_nothing(page, expect, deployment, counting):
    workflow_id = deployment.create(counting)
    studio(page, workflow_id, "bench")
    rename(page, "Mine")

    def labelled(definition):
        definition["nodes"][1]["data"]["label"] = "Theirs"

    save_elsewhere(deployment, workflow_id, labelled)
    save_button(page).click()
    dialog = page.get_by_role("dialog", name="Somebody else has saved version 2")
    expect(dialog).to_contain_text(f"{USER} saved it")
    expect(dialog.locator("section").first).to_contain_text("Theirs (show)")
    expect(dialog.locator("section").last).to_contain_text('"Counting" → "Mine"')
    assert stored(deployment, workflow_id)["version"] == 2  # nothing was saved over it
    dialog.get_by_role("button", name="Combine both").click()
    expect(page.get_by_text("Theirs", exact=True)).to_be_visible()
    save_button(page).click()
    expect(versions_button(page, 3)).to_be_visible()
    now = stored(deployment, workflow_id)
    assert (now["name"], now["definition"]["nodes"][1]["data"]["label"]) == ("Mine", "Theirs")


def test_what_was_mine_comes_back_after_taking_theirs(page, expect, deployment, counting):
    workflow_id = deployment.create(counting)
    studio(page, workflow_id, "bench")
    name = page.get_by_label("Name of the workflow")
    rename(page, "Mine")
    save_elsewhere(deployment, workflow_id, lambda definition: definition.update(name="Theirs"))
    page.get_by_role("button", name="Compare and choose").click()
    dialog = page.get_by_role("dialog", name="Somebody else has saved version 2")
    expect(dialog.locator(".note")).to_contain_text("name")
    dialog.get_by_role("button", name="Take theirs").click()
    expect(name).to_have_value("Theirs")
    page.locator(".react-flow__pane").click(position={"x": 300, "y": 500})
    page.keyboard.press("Control+z")
    expect(name).to_have_value("Mine")
    save_button(page).click()
    expect(versions_button(page, 3)).to_be_visible()
    assert stored(deployment, workflow_id)["name"] == "Mine"


def test_a_new_workflow_is_saved_and_started(page, expect, deployment, counting):
    page.goto("./studio/")
    expect(page.get_by_text("Save it to run it in production.")).to_be_visible()
    rename(page, "Quite new")
    page.evaluate(PASTE, json.dumps(counting))
    expect(page.locator(".react-flow__node")).to_have_count(2)
    save_button(page).click()
    expect(page).to_have_url(re.compile("/studio/quite-new/"))
    rename(page, "Newer still")
    control(page, "Start").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Save and start Quite new?")
    question.get_by_role("button", name="Save and start").click()
    expect(state(page)).to_have_text("running")
    assert deployment.client.get("/prod/status/quite-new").json()["version"] == 2


@pytest.fixture
def give_role(deployment):
    """Give a user, who is made when there is none, one role and no other."""
    known = set()

    def give(name, role):
        if name not in known:
            deployment.manage("shell", "-c", MAKE_USER.format(name=name, password=PASSWORD))
            known.add(name)
        deployment.manage("shell", "-c", GIVE_ROLE.format(name=name, role=role))

    return give


def test_a_role_that_is_taken_away_makes_the_page_read_only(
    browser, expect, deployment, counting, give_role
):
    workflow_id = deployment.create(counting)
    give_role("bob", "editor")
    with opened(browser, deployment.url) as page:
        log_in(page, "bob")
        studio(page, workflow_id, "bench")
        rename(page, "Mine")
        give_role("bob", "viewer")
        message = page.locator(".studio-message[role=alert]")
        expect(message).to_contain_text("You may only look at")
        expect(save_button(page)).to_have_count(0)
        expect(control(page, "Start")).to_have_count(0)
        expect(page.get_by_label("Name of the workflow")).to_have_value("Mine")
        expect(page.get_by_label("Name of the workflow")).not_to_be_editable()
        assert stored(deployment, workflow_id)["version"] == 1
        give_role("bob", "editor")
        expect(save_button(page)).to_be_visible()
        expect(message).to_have_count(0)
        save_button(page).click()
        expect(versions_button(page, 2)).to_be_visible()
