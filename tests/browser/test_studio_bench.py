"""A developer's day at one node: settings, input, a run, its output, an error, a pin."""

import json

import pytest

from tests.waiting import eventually

pytestmark = pytest.mark.browser

SHARE = "{{ 100 / data.value }}"
FIXED = "{{ 100 / data.value if data.value else 0 }}"


@pytest.fixture
def studio(page, deployment):
    """Store a workflow and open it in the studio at a node."""

    def open_at(name, nodes, edges, node, query=""):
        flow = {"name": name, "nodes": nodes, "edges": edges}
        created = deployment.create(flow)
        page.goto(f"/studio/{created}/?node={node}{query}")
        page.get_by_role("tablist", name="Of the node").wait_for()
        return created

    return open_at


def part(node_id, kind, x=0, config=None, **form):
    data = {"form": form, "config": config or {}}
    return {"id": node_id, "type": kind, "data": data, "position": {"x": x, "y": 0}}


def edge(source, target):
    return {"id": f"{source}-{target}", "source": source, "target": target}


def shares(text=SHARE):
    nodes = [
        part("people", "counter", interval=0.2),
        part("share", "data-transformer", 320, fields={"share": text}),
        part("out", "queue-writer", 640, {"queue_name": "shares", "overflow": "drop_oldest"}),
    ]
    return nodes, [edge("people", "share"), edge("share", "out")]


def tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def run(page):
    page.get_by_role("button", name="Run node", exact=True).click()


def form_of(page, node_id):
    """Return what the document has of a node's form; the studio keeps what is not saved."""
    text = page.evaluate("Object.entries(localStorage).filter(([k]) => /draft/i.test(k))")
    nodes = [n for _, draft in text for n in json.loads(draft)["document"]["nodes"]]
    return next((n["data"]["form"] for n in nodes if n["id"] == node_id), None)


def test_an_error_is_shown_where_it_belongs_and_mended(page, expect, studio):
    studio("Mend", *shares(), "share")
    panel = page.locator(".node-panel")
    run(page)
    expect(panel.get_by_role("heading", name="template failed")).to_be_visible()
    expect(panel.locator(".trace")).to_contain_text("division by zero")
    expect(page.get_by_role("button", name="Run node share")).to_be_visible()
    page.get_by_role("button", name="Go to the field").click()
    expect(panel.locator("[data-name=fields] .run-error")).to_contain_text("division by zero")
    value = page.get_by_label("Value 1", exact=True)
    value.fill("{{ 100 / data.value if data.value els")
    expect(value).to_have_attribute("spellcheck", "false")
    errors = panel.locator("#form-fields-errors")
    expect(errors).to_contain_text("line 1")
    expect(value).to_have_value("{{ 100 / data.value if data.value els")
    value.fill(FIXED)
    expect(errors.locator("li")).to_have_count(0)
    expect(panel.locator(".template-preview")).to_contain_text("0 number")
    expect(panel.locator(".run-error")).to_have_count(0)
    run(page)
    tree = page.get_by_role("tree", name="Output")
    expect(tree.get_by_role("treeitem")).to_have_text(["value: 0", "share: 0"])
    expect(panel.locator(".bench-standing")).to_contain_text("Fresh")
    eventually(lambda: form_of(page, "share") == {"fields": {"share": FIXED}})


def test_a_path_of_the_input_goes_into_a_template(page, expect, studio):
    nodes, edges = shares("x")
    studio("Paths", nodes, edges, "share")
    tab(page, "Input")
    page.get_by_role("button", name="Run node people now").click()
    row = page.get_by_role("tree", name="Input").get_by_role("treeitem")
    expect(row).to_have_text(["value: 0"])
    row.focus()
    page.keyboard.press("i")
    name = page.get_by_label("Name 1", exact=True)
    expect(name).to_be_visible()
    eventually(lambda: "{{ data.value }}" in json.dumps(form_of(page, "share") or {}))
    value = page.get_by_label("Value 1", exact=True)
    value.fill("{{ data.v")
    offer = page.get_by_label("Fields of the input").get_by_role("button")
    expect(offer).to_contain_text("data.value")
    page.keyboard.press("Enter")
    expect(value).to_have_value("{{ data.value }}")
    expect(page.locator(".template-preview")).to_contain_text("0 number")


def test_a_change_turns_stale_what_is_behind_it_and_a_pin_holds(page, expect, studio):
    studio("Pins", *shares(FIXED), "share")
    run(page)
    standing = page.locator(".bench-standing")
    expect(standing).to_contain_text("Fresh")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(standing).to_contain_text("Pinned")
    tab(page, "Settings")
    page.get_by_label("Name 1", exact=True).fill("part")
    expect(standing).to_contain_text("Pinned")
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(standing).to_contain_text("Not run")
    run(page)
    expect(standing).to_contain_text("Fresh")
    tab(page, "Settings")
    page.get_by_label("Name 1", exact=True).fill("quota")
    expect(standing).to_contain_text("Its settings have changed.")
    page.keyboard.press("Control+Enter")
    rows = page.get_by_role("tree", name="Output").get_by_role("treeitem")
    expect(rows).to_have_text(["value: 0", "quota: 0"])


def test_what_is_typed_last_is_kept_when_another_node_is_opened(page, expect, studio):
    studio("Leave", *shares(FIXED), "people")
    page.get_by_label("Stop", exact=True).fill("7")
    page.get_by_role("button", name="Run node share").click()  # on the card, at once
    expect(page.locator(".last-run").first).to_be_visible()
    page.locator(".react-flow__node[data-id=share]").click()
    eventually(lambda: (form_of(page, "people") or {}).get("stop") == 7)


def test_an_output_of_five_megabytes_is_looked_at_in_parts(page, expect, studio):
    line = json.dumps({"list": list(range(250_000))}, separators=(",", ":"))
    names = ["once", "twice"]
    nodes = [
        part("text", "string-iterator", text=line),
        *(part(name, "parse-json", field="line", target=name) for name in names),
    ]
    edges = [edge("text", "once"), edge("once", "twice")]
    studio("Large", nodes, edges, "twice", "&tab=output")
    run(page)
    tree = page.get_by_role("tree", name="Output")
    rows = tree.get_by_role("treeitem")
    expect(rows.first).to_contain_text("characters")
    expect(page.locator(".json-bytes")).to_contain_text("MiB")
    for key in ("twice", "list"):
        tree.get_by_role("treeitem").filter(has_text=f"{key}: ").last.click()
    expect(tree.get_by_text("Show more of 249,900 left")).to_be_visible()
    assert rows.count() < 200
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the output").click()
    assert download.value.suggested_filename == "twice-output.json"
    saved = json.loads(download.value.path().read_text())
    assert saved["twice"]["list"][-1] == 249_999


def test_a_dead_letter_is_opened_on_the_bench(page, expect, studio, deployment):
    created = studio("Letters", *shares(), "people")
    client = deployment.client
    client.post("/prod/start", json={"workflow_id": created})
    letters = f"/dead-letters/?workflow_id={created}"
    eventually(lambda: client.get(letters).json()["count"] == 1)
    number = client.get(letters).json()["results"][0]["id"]
    page.goto(f"/studio/{created}/?node=share&mode=bench&dead_letter={number}")
    given = page.locator(".given")
    expect(given).to_contain_text(f"Given from dead letter {number}")
    rows = page.get_by_role("tree", name="Input").get_by_role("treeitem")
    expect(rows).to_have_text(["value: 0"])
    tab(page, "Dead letters")
    expect(page.locator(".letters")).to_contain_text("division by zero")
    tab(page, "Taps")
    page.locator(".tap summary").first.click()
    page.get_by_role("button", name="Pin its output").first.click()
    expect(page.locator(".bench-standing")).to_contain_text("from a tap of production")
    client.post("/prod/stop", json={"workflow_id": created})


def test_a_workflow_that_was_never_saved_is_run(page, expect):
    page.goto("/studio/")
    palette = page.get_by_role("complementary", name="Node types")
    palette.get_by_role("button", name="Counter").click()
    page.get_by_role("tab", name="Settings", exact=True).wait_for()
    run(page)
    rows = page.get_by_role("tree", name="Output").get_by_role("treeitem")
    expect(rows).to_have_text(["value: 0"])
    page.get_by_role("button", name="Input, settings and output side by side").click()
    wide = page.get_by_role("dialog")
    expect(wide.get_by_role("region", name="Input")).to_contain_text("it has no input")
    expect(wide.get_by_role("region", name="Settings").get_by_label("Stop")).to_be_visible()
    expect(wide.get_by_role("tree", name="Output")).to_be_visible()
    page.keyboard.press("Escape")
    expect(wide).to_have_count(0)
