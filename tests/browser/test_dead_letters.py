"""An operator finds out what failed, mends it and replays it; one letter, and many."""

import json
import re

import pytest

from tests.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.long]

EVIL = "<img src=x onerror=document.title='hurt'>"


@pytest.fixture
def expect():
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def totals(deployment):
    """Make a workflow whose loop leaves dead letters: orders without a price, and half a line."""

    def make(name, lines, dead):
        text = "\n".join(lines)
        workflow = {
            "name": name,
            "nodes": [
                {"id": "orders", "type": "string-iterator", "data": {"form": {"text": text}}},
                {"id": "parse", "type": "parse-json", "data": {}},
                {"id": "total", "type": "data-transformer",
                 "data": {"form": {"fields": {"total": "{{ data.count * data.price }}"}}}},
                {"id": "write", "type": "file-writer", "data": {"form": {"path": f"{name}.jsonl"}}},
            ],
            "edges": [
                {"id": "a", "source": "orders", "target": "parse"},
                {"id": "b", "source": "parse", "target": "total"},
                {"id": "c", "source": "total", "target": "write"},
            ],
        }  # fmt: skip
        workflow_id = deployment.create(workflow)
        deployment.post("/prod/start", workflow_id)
        eventually(lambda: number_of(deployment, workflow_id) == dead)
        deployment.wait_for(workflow_id, "completed")
        return workflow_id

    return make


def number_of(deployment, workflow_id):
    params = {"workflow_id": workflow_id, "limit": 1}
    return deployment.client.get("/dead-letters/", params=params).json()["count"]


def order(number, **more):
    return json.dumps({"order": number, "count": 5, **more})


def button(place, name):
    return place.get_by_role("button", name=re.compile(f"^{name}"))


def test_one_letter_is_understood_mended_and_replayed(page, expect, totals, deployment):
    lines = [order(1, price=1), order(2, ratio=1.0, note=EVIL), '{"order": 3, "cou']
    workflow = totals("mended", lines, 2)
    page.goto(f"/dead-letters/?workflow_id={workflow}")
    errors = page.get_by_role("table", name="Errors")
    expect(errors.get_by_role("row")).to_have_count(3)
    row = errors.get_by_role("row").filter(has_text="node total")
    row.get_by_role("rowheader").get_by_role("link").click()
    letters = page.get_by_role("table", name="Dead letters")
    expect(letters.get_by_role("row")).to_have_count(2)
    letters.get_by_role("rowheader").get_by_role("link").click()

    expect(page.get_by_label("Message")).to_contain_text("'price' is missing")
    expect(page.locator("#trace")).to_contain_text("Traceback")
    tree = page.locator("#payload-tree")
    expect(tree).to_contain_text("ratio: 1.0")
    expect(tree).to_contain_text(EVIL)
    expect(page.get_by_role("link", name="Open on the bench")).to_have_attribute(
        "href", re.compile(rf"/studio/{workflow}/\?node=total&mode=bench&dead_letter=\d+$")
    )
    button(page, "Edit").click()
    text = page.get_by_label("The payload as JSON")
    text.fill("{")
    expect(text).to_have_attribute("aria-invalid", "true")
    expect(button(page, "Save and replay")).to_be_disabled()
    text.fill('{"order": 2, "count": 5, "price": 4, "ratio": 1.0}')
    button(page, "Save and replay from node total").click()
    expect(page.locator("#status")).to_have_text("replayed")
    expect(page.locator("#outcome")).to_contain_text("by ada")
    expect(page.locator("#outcome").get_by_role("link")).to_be_focused()
    eventually(lambda: [row["total"] for row in deployment.rows("mended.jsonl")] == [5, 20])
    assert "hurt" not in page.title()


def test_every_letter_of_an_error_is_replayed_at_once(page, expect, totals, deployment):
    workflow = totals("many", [order(n) for n in range(60)], 60)
    saved = deployment.client.get(f"/workflows/{workflow}/").json()["definition"]
    saved["nodes"][2]["data"]["form"]["fields"]["total"] = "{{ data.count }}"
    assert deployment.client.put(f"/workflows/{workflow}/", json=saved).status_code == 200
    assert deployment.post("/prod/start", workflow).status_code == 202  # each order once more
    eventually(lambda: len(deployment.rows("many.jsonl")) == 60)

    page.goto(f"/dead-letters/?workflow_id={workflow}")
    button(page, "Replay 60").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Replay 60 dead letters?")
    question.get_by_label("How many in a second").fill("10000")
    button(question, "Cancel").click()
    expect(page.locator('[data-status="dead"]')).to_contain_text("60")
    button(page, "Replay 60").click()
    button(question, "Replay 60").click()
    expect(page.get_by_text("60 letters are on the way.")).to_be_visible()
    expect(page.get_by_text("No letter matches")).to_be_visible()
    expect(page.locator('[data-status="replayed"]')).to_contain_text("60")
    eventually(lambda: len(deployment.rows("many.jsonl")) == 120)
    orders = [row["order"] for row in deployment.rows("many.jsonl")[60:]]
    assert sorted(orders) == list(range(60))


def test_a_selection_is_discarded_after_it_was_asked_about(page, expect, totals):
    workflow = totals("chosen", [order(n) for n in range(60)], 60)
    page.goto(f"/dead-letters/?workflow_id={workflow}&view=letters")
    boxes = page.get_by_role("checkbox", name=re.compile("^Select letter"))
    expect(boxes).to_have_count(50)
    expect(page.get_by_role("region", name="Selected letters")).to_be_hidden()
    boxes.nth(0).check()
    boxes.nth(1).check()
    button(page, "Discard 2").click()
    question = page.get_by_role("dialog")
    question.get_by_label("Why").fill("test orders")
    button(question, "Discard 2").click()
    expect(page.get_by_text("2 letters discarded.")).to_be_visible()
    expect(page.locator('[data-status="discarded"]')).to_contain_text("2")

    page.get_by_label("Select every letter shown").check()
    button(page, "Select all 58 that match").click()
    button(page, "Discard 58").click()
    button(question, "Discard 58").click()
    expect(page.get_by_text("No letter matches")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Discarded")).click()
    expect(page).to_have_url(re.compile("status=discarded"))
    page.get_by_role("rowheader").get_by_role("link").first.click()
    expect(page.locator("#status")).to_have_text("discarded")
    expect(button(page, "Replay")).to_be_hidden()


def test_a_letter_that_somebody_else_has_dealt_with(page, expect, totals, deployment):
    workflow = totals("raced", [order(1)], 1)
    letter = deployment.dead_letters(workflow)[0]["id"]
    page.goto(f"/dead-letters/{letter}/")
    expect(button(page, "Replay from node total")).to_be_enabled()
    assert deployment.client.post(f"/dead-letters/{letter}/discard", json={}).status_code == 200
    button(page, "Replay from node total").click()
    expect(page.get_by_role("alert")).to_contain_text("was discarded")
    expect(page.locator("#status")).to_have_text("discarded")
    expect(button(page, "Replay")).to_be_hidden()


def test_new_letters_are_counted_live(page, expect, totals):
    page.goto("/dead-letters/?workflow_id=live")
    expect(page.get_by_text("No letter matches")).to_be_visible()
    totals("live", [order(n) for n in range(3)], 3)
    expect(page.locator('[data-status="dead"]')).to_contain_text("3")
    expect(page.get_by_role("table", name="Errors").get_by_role("row")).to_have_count(2)


def test_a_letter_that_there_is_not(page, expect):
    page.goto("/dead-letters/999999/")
    expect(page.get_by_role("alert")).to_contain_text("there is no dead letter 999999")
