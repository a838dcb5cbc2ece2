"""Short ways through the studio: from a card to everything of a node, from a queue to the bench."""

import re

import pytest

pytestmark = pytest.mark.browser

WRITER, READER = "Queue writer, out", "Queue reader, in"


def part(node_id, kind, x, form=None):
    return {
        "id": node_id,
        "type": kind,
        "position": {"x": x, "y": 0},
        "data": {"form": form or {}},
    }


@pytest.fixture
def studio(page, deployment):
    """Open a stored workflow of two loops at a node."""
    workflow = {
        "name": "Ways",
        "nodes": [
            part("count", "counter", 0),
            part("out", "queue-writer", 300),
            part("in", "queue-reader", 600),
            part("show", "debug", 900),
        ],
        "edges": [
            {"id": "a", "source": "count", "target": "out"},
            {"id": "b", "source": "out", "target": "in"},
            {"id": "c", "source": "in", "target": "show"},
        ],
    }
    stored = deployment.create(workflow)
    return lambda node, tab: page.goto(f"./studio/{stored}/?node={node}&tab={tab}")


def test_a_double_click_shows_everything_of_a_node(page, expect, studio):
    studio("out", "settings")
    card = page.get_by_role("group", name=re.compile("^Counter"))
    card.dblclick()
    dialog = page.get_by_role("dialog", name="Node count")
    expect(dialog.get_by_role("region", name="Settings")).to_be_visible()
    expect(dialog.get_by_role("button", name="Run node")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(card).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Start")).to_be_focused()


def test_enter_leads_into_settings_that_are_not_there_yet(page, expect, studio):
    pressed, held = False, []

    def hold(route):
        route.continue_() if pressed else held.append(route)

    page.route("**/studio/forms/**", hold)
    with page.expect_request("**/studio/forms/**"):
        studio("count", "settings")
    expect(page.get_by_text("Loading the settings")).to_be_visible()
    page.get_by_role("group", name=re.compile("^Counter")).focus()
    page.keyboard.press("Enter")
    pressed = True
    for route in held:
        route.continue_()
    expect(page.get_by_role("textbox", name="Start")).to_be_focused()


def test_an_entry_of_a_queue_is_tried_on_the_bench(page, expect, studio):
    studio("out", "output")
    page.get_by_role("button", name="Run and write").click()
    page.get_by_role("dialog").get_by_role("button", name="Run and write").click()
    page.get_by_text("Put into queues").click()
    expect(page.get_by_role("tree", name="Put into queues")).to_be_in_viewport()

    studio("in", "input")
    panel = page.get_by_role("tabpanel", name="Input")
    panel.get_by_text("What waits in").click()
    panel.get_by_text("here for").click()
    panel.get_by_role("button", name="Use it on the bench").click()
    expect(panel).to_contain_text("Given from the queue")
    page.get_by_role("button", name="Run node", exact=True).click()
    output = page.get_by_role("tree", name="Output")
    expect(output.get_by_role("treeitem")).to_have_text(["value: 0"])
