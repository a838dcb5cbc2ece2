"""A person fills in a node's form in the admin; what depends on a field follows it."""

import pytest

pytestmark = pytest.mark.browser

FORM = {"country": "at", "state": "at-6", "size": "large", "city": "Graz"}


@pytest.fixture
def expect():
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def stored(deployment):
    """Store a workflow with a node of a type, and return the address of the node's page."""

    def store(name, node_type, form):
        nodes = [
            {"id": "start", "type": "counter", "data": {}},
            {"id": "n", "type": node_type, "data": {"form": form}},
        ]
        edges = [{"id": "e", "source": "start", "target": "n"}]
        created = deployment.create({"name": name, "nodes": nodes, "edges": edges})
        return f"/admin/orchestrator/workflow/{created}/nodes/n/"

    return store


def saved(deployment, address):
    """Return the newest version's number and the form of its node."""
    answer = deployment.client.get(f"/workflows/{address.split('/')[4]}/").json()
    return answer["version"], answer["definition"]["nodes"][1]["data"]["form"]


def choices(page, label):
    return page.get_by_label(label, exact=True).locator("option").all_inner_texts()


def save(page):
    page.get_by_role("button", name="Save as a new version").click()


def test_a_place_is_chosen_and_saved(page, expect, deployment, stored):
    address = stored("Place", "place", FORM)
    page.goto(address.partition("nodes")[0] + "change/")
    page.get_by_role("link", name="n", exact=True).click()
    page.wait_for_load_state()
    country, state, city = (page.get_by_label(x, exact=True) for x in ("Country", "State", "City"))
    expect(city).to_have_value("Graz")
    country.select_option("Canada")
    expect(state).to_have_value("")
    expect(city).to_have_value("")
    assert choices(page, "State") == ["---------", "British Columbia", "Ontario"]
    assert choices(page, "City") == ["---------"]
    expect(page.locator("#node-form-news")).to_have_text("State, City: new choices.")
    state.select_option("British Columbia")
    expect(city.locator("option")).to_have_text(["---------", "Surrey", "Vancouver"])
    city.select_option("Vancouver")
    page.get_by_label("Size", exact=True).select_option("small")
    expect(city).to_have_value("")
    expect(city.locator("option")).to_have_text(["---------", "Kelowna", "Victoria"])
    city.select_option("Victoria")
    save(page)
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(city).to_have_value("Victoria")
    wanted = {"country": "ca", "state": "ca-bc", "size": "small", "city": "Victoria"}
    assert saved(deployment, address) == (2, wanted)


def test_a_field_appears_when_its_parent_says_so(page, expect, deployment, stored):
    address = stored("Visible", "place", FORM)
    page.goto(address)
    field = page.get_by_label("Population field")
    expect(field).to_be_hidden()
    page.get_by_label("Add the population").focus()
    page.keyboard.press("Space")
    expect(field).to_be_visible()
    field.fill("people")
    save(page)
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(field).to_have_value("people")
    wanted = {**FORM, "with_population": True, "population_field": "people"}
    assert saved(deployment, address) == (2, wanted)


def test_an_error_is_told_at_its_field(page, expect, deployment, stored):
    address = stored("Message", "debug", {"message": "{{ data.a }}"})
    page.goto(address)
    message = page.get_by_label("Message")
    message.fill("{{ data. }}")
    page.keyboard.press("Tab")
    expect(message).to_have_attribute("aria-invalid", "true")
    expect(message).to_have_accessible_description(
        "What to log; empty: the whole item. May be a template."
        " line 1, column 10: expected name or number"
    )
    save(page)
    expect(page.get_by_role("alert").first).to_contain_text("Not saved")
    expect(page.locator(".errorlist:visible")).to_contain_text("line 1, column 10")
    expect(message).to_have_value("{{ data. }}")
    message.fill("{{ data.b }}")
    page.keyboard.press("Tab")
    expect(message).not_to_have_attribute("aria-invalid", "true")
    save(page)
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    assert saved(deployment, address) == (2, {"message": "{{ data.b }}"})


def test_named_values_get_more_rows(page, expect, deployment, stored):
    address = stored("Rows", "data-transformer", {"fields": {"a": 1, "b": "x\ny"}})
    page.goto(address)
    page.get_by_role("button", name="Add a row").click()
    page.keyboard.type("c")
    page.get_by_label("Value 5", exact=True).fill("[2]")
    page.get_by_label("Value 5 is").select_option("JSON")
    save(page)
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    assert saved(deployment, address) == (2, {"fields": {"a": 1, "b": "x\ny", "c": [2]}})


def test_a_tick_keeps_the_focus(page, expect, deployment, stored):
    address = stored("Ticks", "every-kind", {"several": [3]})
    page.goto(address)
    box = page.get_by_label("one", exact=True)
    box.focus()
    with page.expect_response("**/studio/forms/every-kind*"):
        page.keyboard.press("Space")
    expect(page.locator("#node-form")).not_to_have_attribute("aria-busy", "true")
    expect(box).to_be_focused()
    expect(box).to_be_checked()
    save(page)
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    assert saved(deployment, address) == (2, {"several": [1, 3]})


def test_an_answer_that_does_not_come_is_told(page, expect, stored):
    page.goto(stored("Away", "place", FORM))
    page.route("**/studio/forms/place*", lambda route: route.abort())
    page.get_by_label("Country", exact=True).select_option("Canada")
    expect(page.locator("#node-form-problem")).to_contain_text("could not be updated")
    page.unroute("**/studio/forms/place*")
    page.get_by_label("Country", exact=True).select_option("Austria")
    expect(page.locator("#node-form-problem")).to_be_hidden()


def test_without_javascript_saving_refills_the_choices(browser, page, expect, deployment, stored):
    address = stored("Plain", "place", FORM)
    state = page.context.storage_state()
    plain = browser.new_context(
        base_url=deployment.url, java_script_enabled=False, storage_state=state
    )
    bare = plain.new_page()
    bare.goto(address)
    bare.get_by_label("Country", exact=True).select_option("United States")
    save(bare)
    expect(bare.get_by_text("Not saved")).to_be_visible()
    bare.get_by_label("State", exact=True).select_option("Texas")
    save(bare)
    bare.get_by_label("City", exact=True).select_option("Houston")
    save(bare)
    expect(bare.get_by_text("Saved as version 2.")).to_be_visible()
    plain.close()
    assert saved(deployment, address)[1]["city"] == "Houston"
