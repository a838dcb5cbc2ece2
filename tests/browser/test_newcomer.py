"""A newcomer's whole way: from the empty dashboard to a mended dead letter, without a manual."""

import re
from contextlib import closing

import pytest

from tests.browser.conftest import choose_mode, log_in, opened
from tests.deployment import Deployment
from tests.waiting import eventually

pytestmark = pytest.mark.browser

GREET, COUNT = "Greet, Transform, 4", "Count to 1000, Counter, 1"


@pytest.fixture
def deployment(browser, redis_server, tmp_path):
    """An empty one, of this test's own."""
    with closing(Deployment(tmp_path)) as deployed:
        deployed.start_runner()
        yield deployed


class Visitor:
    """What a person does, in words of what is on the screen."""

    def __init__(self, page, expect):
        self.page, self.expect = page, expect

    def click(self, name, within=None):
        place = within or self.page
        self.page.wait_for_load_state()  # scripts listen from then on
        place.get_by_role("button", name=re.compile(f"^{name}")).first.click()

    def open_tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def open_node(self, name):
        """Open a node where all are in view: where a click scrolls, the canvas scrolls back."""
        self.page.get_by_role("button", name="Fit View").click()
        self.page.get_by_role("group", name=name).click()
        self.expect(self.page.get_by_role("tab", name="Settings")).to_be_visible()

    def set_field(self, label, text):
        self.open_tab("Settings")
        self.page.get_by_label(label, exact=True).fill(text)

    def set_row(self, name, text):
        """Fill the row that has this name. PostgreSQL gives rows back in an order of its own."""
        self.open_tab("Settings")
        names = self.page.get_by_label(re.compile(r"^Name \d+$"))
        self.expect(names.first).to_have_value(re.compile("."))
        row = [each.input_value() for each in names.all()].index(name) + 1
        self.page.get_by_label(f"Value {row}", exact=True).fill(text)

    def run(self, button):
        """Run on the bench, and return the place where the output appears."""
        self.page.get_by_role("button", name=button, exact=True).click()
        self.expect(self.page.get_by_role("button", name="Cancel")).to_have_count(0)
        self.open_tab("Output")
        return self.page.get_by_role("tabpanel", name="Output")

    def save(self, version):
        self.click("Save", self.page.locator(".save"))
        saved = self.page.get_by_role("button", name=f"Version {version}", exact=True)
        self.expect(saved).to_be_visible()

    @property
    def production(self):
        return self.page.get_by_role("group", name="Production")

    def sees_state(self, *states):
        wanted = re.compile(f"^({'|'.join(states)})$")
        self.expect(self.production.locator(".badge")).to_have_text(wanted)


def test_the_whole_way(browser, deployment, expect):
    with opened(browser, deployment.url) as page:
        visitor = Visitor(page, expect)
        log_in(page)
        open_an_example(visitor)
        change_a_form_and_run_a_node(visitor)
        make_an_error_and_fix_it(visitor)
        visitor.save(2)
        start_and_watch(visitor)
        find_a_dead_letter_and_mend_its_node(visitor, deployment)
        replay_it(visitor, deployment)
        stop(visitor, deployment)


def open_an_example(visitor):
    visitor.expect(visitor.page.get_by_text("There is no workflow yet")).to_be_visible()
    visitor.click("Load the examples")
    visitor.page.get_by_role("link", name="Hello loops").click()
    visitor.expect(visitor.page.get_by_role("group", name=GREET)).to_be_visible()
    visitor.sees_state("stopped")


def change_a_form_and_run_a_node(visitor):
    visitor.open_node(COUNT)
    visitor.set_field("Interval", "0.05")
    visitor.open_node(GREET)
    visitor.set_row("double", "{{ 12 / (data.value - 3) }}")
    visitor.set_row("text", "good day {{ data.value }}")
    output = visitor.run("Run to here")
    visitor.expect(output).to_contain_text("good day 0")
    visitor.expect(output).to_contain_text("-4")


def make_an_error_and_fix_it(visitor):
    visitor.set_row("text", "good evening {{ data.vaue }}")
    output = visitor.run("Run node")
    visitor.expect(output.get_by_role("region", name="What went wrong")).to_contain_text("vaue")
    visitor.set_row("text", "good evening {{ data.value }}")
    visitor.expect(visitor.run("Run node")).to_contain_text("good evening 0")


def start_and_watch(visitor):
    page, expect = visitor.page, visitor.expect
    visitor.click("Start", visitor.production)
    visitor.sees_state("starting", "running")
    choose_mode(page, "Production")
    counter = page.get_by_role("group", name=GREET).locator(".live-count")
    expect(counter).to_have_text(re.compile(r"^\d+$"))
    expect(counter).not_to_have_text(counter.inner_text())
    visitor.sees_state("running")


def find_a_dead_letter_and_mend_its_node(visitor, deployment):
    page, expect = visitor.page, visitor.expect
    visitor.open_node(GREET)
    visitor.open_tab("Dead letters")
    panel = page.get_by_role("tabpanel", name="Dead letters")
    expect(panel).to_contain_text(re.compile("division by zero", re.IGNORECASE))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Dead letters").click()
    page.get_by_role("rowheader").get_by_role("link").first.click()
    page.get_by_role("table", name="Dead letters").get_by_role("rowheader").get_by_role(
        "link"
    ).click()
    expect(page.locator("#payload-tree")).to_contain_text("value: 3")

    page.get_by_role("link", name="Open on the bench").click()
    output = visitor.run("Run node")
    expect(output.get_by_role("region", name="What went wrong")).to_contain_text(
        re.compile("division by zero", re.IGNORECASE)
    )
    visitor.set_row("double", "{{ 12 / (data.value + 1) }}")
    output = visitor.run("Run node")
    expect(output).to_contain_text("good evening 3")
    visitor.save(3)
    visitor.click("Update to version 3", visitor.production)
    eventually(lambda: deployment.status("hello-loops")["version"] == 3)
    visitor.sees_state("running")


def replay_it(visitor, deployment):
    page, expect = visitor.page, visitor.expect
    letter = deployment.dead_letters("hello-loops")[0]["id"]
    visitor.open_node(GREET)
    visitor.open_tab("Dead letters")
    page.get_by_role("tabpanel", name="Dead letters").get_by_role("link", name="Details").click()
    expect(page).to_have_url(re.compile(f"/dead-letters/{letter}/"))
    visitor.click("Replay")
    expect(page.locator("#status")).to_have_text("replayed")
    rows = eventually(
        lambda: [r for r in deployment.rows("hello-loops/out.jsonl") if r["value"] == 3]
    )
    assert [row["text"] for row in rows] == ["good evening 3"]


def stop(visitor, deployment):
    page = visitor.page
    page.get_by_role("link", name="Workflows", exact=True).click()
    visitor.click("Stop Hello loops")
    visitor.click("Stop", page.get_by_role("dialog"))
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Hello loops"))
    visitor.expect(row.locator(".badge")).to_have_text("stopped")
    assert deployment.status("hello-loops")["status"] == "stopped"
