"""Building a workflow on the studio's canvas, with the keyboard and with the mouse."""

import json
import re

import pytest

from tests.browser.conftest import log_in, opened

pytestmark = pytest.mark.browser

NARROW = {"width": 390, "height": 844}
CLIPBOARD = ("clipboard-read", "clipboard-write")


def cards(page):
    return page.locator(".react-flow__node")


def card(page, name):
    """Return the card of the node of this label."""
    return cards(page).filter(has=page.get_by_text(name, exact=True))


def counts(page):
    return page.get_by_role("group", name="Status")


def new_studio(page):
    page.goto("./studio/")
    page.get_by_role("heading", name="Build your first loop").wait_for()


def choose(page, text):
    """Type into the dialog that is open, and take what comes first."""
    page.get_by_role("dialog").get_by_role("combobox").fill(text)
    page.keyboard.press("Enter")


def import_file(page, content, name="workflow.json"):
    text = content if isinstance(content, str) else json.dumps(content)
    file = {"name": name, "mimeType": "application/json", "buffer": text.encode()}
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name="Import JSON …").click()
    chooser.value.set_files([file])


def exported(page):
    """Return what the menu exports."""
    with page.expect_download() as download:
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name="Export as JSON").click()
    return download.value.suggested_filename, json.loads(download.value.path().read_text())


def chain(length):
    """Return a workflow of nodes in a row: a counter, and so many that pass on what they get."""
    nodes = [
        {"id": f"n{i}", "type": "debug" if i else "counter", "position": {"x": 320 * i, "y": 0}}
        for i in range(length)
    ]
    edges = [{"id": f"e{i}", "source": f"n{i}", "target": f"n{i + 1}"} for i in range(length - 1)]
    return {"name": "Chain", "nodes": nodes, "edges": edges}


def test_a_loop_is_built_with_the_keyboard_alone(page, expect):
    new_studio(page)
    page.get_by_role("group", name="Sources").get_by_role("button", name="Counter").focus()
    page.keyboard.press("Enter")
    expect(card(page, "Counter")).to_be_focused()

    page.keyboard.press("a")
    choose(page, "transform")
    expect(card(page, "Transform")).to_be_focused()
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")

    page.keyboard.press("Alt+ArrowLeft")
    expect(card(page, "Counter")).to_be_focused()
    page.keyboard.press("a")
    choose(page, "debug")
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("Alt+ArrowRight")
    expect(card(page, "Transform")).to_be_focused()
    page.keyboard.press("c")
    expect(page.get_by_role("dialog", name="Connect Transform to")).to_be_visible()
    choose(page, "debug")
    expect(counts(page)).to_contain_text("3 nodes, 3 edges")
    expect(page.locator("#announcer")).to_contain_text("Connected Transform to Debug")

    page.keyboard.press("Delete")
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")
    page.keyboard.press("Control+z")
    expect(counts(page)).to_contain_text("3 nodes, 3 edges")
    page.keyboard.press("Control+Shift+z")
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")


def test_adding_a_node_behind_another_is_undone_in_one_step(page, expect):
    new_studio(page)
    page.get_by_role("button", name="start from a small example").click()
    expect(counts(page)).to_contain_text("3 nodes, 2 edges")
    card(page, "Show it").get_by_role("button", name="Add a node after Show it").click()
    choose(page, "switch")
    expect(counts(page)).to_contain_text("4 nodes, 3 edges")
    page.get_by_role("button", name="Undo").click()
    expect(counts(page)).to_contain_text("3 nodes, 2 edges")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Build your first loop")).to_be_visible()


def test_nodes_are_dragged_from_the_palette_and_connected_by_the_mouse(page, expect):
    new_studio(page)
    canvas = page.get_by_role("region", name="Canvas")
    palette = page.get_by_role("complementary", name="Node types")
    for name, x in (("Counter", 60), ("Debug", 380)):
        palette.get_by_role("button", name=name).drag_to(
            canvas, target_position={"x": x + 100, "y": 470}
        )
        expect(card(page, name)).to_be_visible()
    source = card(page, "Counter").locator(".react-flow__handle.source")
    source.drag_to(card(page, "Debug"), target_position={"x": 60, "y": 20})
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")

    # a source has no input
    card(page, "Debug").locator(".react-flow__handle.source").drag_to(
        card(page, "Counter"), target_position={"x": 60, "y": 20}
    )
    expect(page.get_by_text("it starts a loop and has no input")).to_be_visible()
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")


def test_problems_are_shown_where_they_are_and_the_list_leads_there(page, expect):
    new_studio(page)
    bad = '<img src=x onerror="document.title=1">'
    import_file(
        page,
        {
            "name": bad,
            "nodes": [
                {"id": "a", "type": "counter", "data": {"form": {"interval": 1}}},
                {
                    "id": "b",
                    "type": "switch",
                    "data": {"label": bad, "form": {"cases": {"x": "y"}}},
                },
                {"id": "c", "type": "no-such-node"},
            ],
            "edges": [
                {"id": "e", "source": "a", "target": "b", "condition": "data.value >"},
                {"id": "f", "source": "b", "target": "c"},
            ],
        },
    )
    trouble = card(page, bad).get_by_role("img", name="1 problem: This field is required.")
    expect(trouble).to_be_visible()
    expect(page.locator(".line-label").get_by_role("img")).to_have_count(1)
    button = page.get_by_role("button", name=re.compile(r"^\d problems"))
    button.click()
    page.get_by_role("button", name=re.compile("value: This field is required")).click()
    expect(card(page, bad)).to_be_focused()
    expect(card(page, bad)).to_have_class(re.compile("selected"))

    button.click()
    page.get_by_role("button", name=re.compile("Counter → ")).click()
    expect(page.locator(".react-flow__edge.selected")).to_have_count(1)
    page.get_by_role("button", name="Remove this edge").click()
    expect(page.locator(".line-label").get_by_role("img")).to_have_count(0)
    expect(page).not_to_have_title("1")


def test_nodes_are_copied_from_one_workflow_into_another(page, expect, deployment, hello_loops):
    page.context.grant_permissions(CLIPBOARD)
    workflow = deployment.create(hello_loops)
    page.goto(f"./studio/{workflow}/")
    expect(cards(page)).to_have_count(4)
    cards(page).first.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")

    new_studio(page)
    page.locator(".react-flow__pane").click(position={"x": 30, "y": 400})
    page.keyboard.press("Control+v")
    expect(counts(page)).to_contain_text("4 nodes, 3 edges, 4 selected")
    page.keyboard.press("Control+v")
    expect(counts(page)).to_contain_text("8 nodes, 6 edges, 4 selected")
    assert len({edge["target"] for edge in exported(page)[1]["edges"]}) == 6
    page.get_by_role("button", name="Undo").click()
    expect(counts(page)).to_contain_text("4 nodes, 3 edges")


def test_a_draft_survives_a_reload_and_can_be_discarded(page, expect, deployment, hello_loops):
    workflow = deployment.create(hello_loops)
    page.goto(f"./studio/{workflow}/")
    expect(counts(page)).to_contain_text("Saved as version 1")
    page.get_by_label("Name of the workflow").fill("Not saved yet")
    cards(page).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Delete")
    expect(counts(page)).to_contain_text("3 nodes, 2 edges")
    expect(counts(page)).to_contain_text("Not saved")

    page.reload()
    expect(page.get_by_text("they were made from version 1")).to_be_visible()
    expect(page.get_by_label("Name of the workflow")).to_have_value("Not saved yet")
    expect(counts(page)).to_contain_text("3 nodes, 2 edges")
    page.get_by_role("button", name="Discard them").click()
    expect(counts(page)).to_contain_text("4 nodes, 3 edges")
    page.reload()
    expect(counts(page)).to_contain_text("Saved as version 1")
    expect(page.get_by_text("Your unsaved changes")).to_be_hidden()


def test_what_is_exported_can_be_imported_with_keys_that_nobody_knows(
    page, expect, deployment, hello_loops
):
    hello_loops["owner"] = {"team": "blue"}
    hello_loops["nodes"][0]["colour"] = "red"
    for place, node in enumerate(hello_loops["nodes"]):
        node["position"] = {"x": 320 * place, "y": 0}
    workflow = deployment.create(hello_loops)
    page.goto(f"./studio/{workflow}/")
    expect(cards(page)).to_have_count(4)
    assert exported(page) == (f"{workflow}.json", hello_loops)

    import_file(page, "{]", "broken.json")
    expect(page.get_by_text("broken.json cannot be imported. It is no JSON")).to_be_visible()
    import_file(page, {"nodes": [{"id": 1}]}, "odd.json")
    expect(page.get_by_text("nodes[0] needs an id and a type")).to_be_visible()
    expect(counts(page)).to_contain_text("Saved as version 1")

    import_file(page, chain(2))
    expect(counts(page)).to_contain_text("2 nodes, 1 edge")
    page.get_by_role("button", name="Undo").click()
    expect(counts(page)).to_contain_text("4 nodes, 3 edges")


def test_of_many_nodes_those_that_are_seen_are_drawn_and_each_is_found(page, expect):
    new_studio(page)
    import_file(page, chain(400))
    expect(counts(page)).to_contain_text("400 nodes, 399 edges")
    expect(card(page, "Counter")).to_be_visible()
    assert cards(page).count() < 100
    page.locator(".react-flow__pane").click(position={"x": 30, "y": 400})
    page.keyboard.press("/")
    choose(page, "n398")
    expect(page.locator('[data-id="n398"]')).to_be_focused()
    expect(page.locator('[data-id="n398"]')).to_be_in_viewport()
    page.get_by_role("button", name="Tidy up").click()
    tidy = exported(page)[1]
    left = {node["id"]: node["position"]["x"] for node in tidy["nodes"]}
    assert all(left[e["source"]] + 220 < left[e["target"]] for e in tidy["edges"])


def test_tidying_up_puts_no_node_on_another(page, expect):
    new_studio(page)
    heap = chain(6)
    for node in heap["nodes"]:
        node["position"] = {"x": 0, "y": 0}
    import_file(page, heap)
    expect(counts(page)).to_contain_text("6 nodes")
    page.get_by_role("button", name="Tidy up").click()
    places = page.evaluate(
        "[...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform)"
    )
    assert len(set(places)) == len(places) > 1
    page.get_by_role("button", name="Undo").click()
    expect(card(page, "Counter")).to_have_css("transform", "matrix(1, 0, 0, 1, 0, 0)")


@pytest.fixture
def viewer(deployment):
    """A user who may only look."""
    deployment.manage(
        "shell",
        "-c",
        "from orchestrator.security.actors import SYSTEM\n"
        "from orchestrator.services.access import create_user\n"
        "create_user(SYSTEM, 'looks', 'a-long-password')",
    )
    return "looks"


def test_who_may_only_look_changes_nothing(browser, deployment, expect, hello_loops, viewer):
    workflow = deployment.create(hello_loops)
    with opened(browser, deployment.url) as page:
        log_in(page, viewer)
        page.goto(f"./studio/{workflow}/")
        expect(cards(page)).to_have_count(4)
        expect(page.get_by_role("complementary", name="Node types")).to_be_hidden()
        expect(page.get_by_role("button", name="Add a node")).to_have_count(0)
        cards(page).first.focus()
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        expect(counts(page)).to_contain_text("4 nodes, 3 edges")


def test_a_workflow_that_is_not_there_is_said_to_be_missing(page, expect):
    page.goto("./studio/nobody-knows-it/")
    expect(page.get_by_role("alert")).to_contain_text("nobody-knows-it cannot be opened")


def test_it_is_built_on_a_narrow_screen_too(browser, deployment, expect):
    with opened(browser, deployment.url, viewport=NARROW, has_touch=True) as page:
        log_in(page)
        new_studio(page)
        page.get_by_role("group", name="Sources").get_by_role("button", name="Counter").tap()
        page.get_by_role("toolbar").get_by_role("button", name="Add a node").tap()
        choose(page, "debug")
        expect(counts(page)).to_contain_text("No problems")
        expect(cards(page)).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        side = page.get_by_role("complementary", name="Side panel")
        expect(side).to_be_hidden()
        page.get_by_role("button", name="Open the side panel").tap()
        expect(side).to_be_visible()
        page.keyboard.press("Escape")
        expect(side).to_be_hidden()
