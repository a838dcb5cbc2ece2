"""Take the pictures of the documents from a real system: `make pictures`.

It starts a deployment with a runner and a worker, lets workflows run in it, and writes PNG files
beside this one. Needs what `make test` needs, and Chromium.
"""

import json
import os
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
os.environ["TEST_DATA_OWNER"] = "main"  # each deployment has a folder of its own

from tests.browser.conftest import BROWSERS, FLAGS, log_in  # noqa: E402
from tests.deployment import Deployment  # noqa: E402

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LONG_ENOUGH = 40_000
"""Milliseconds in which the curves of the dashboard get a shape."""


def node(number: int, kind: str, label: str, place: tuple[int, int], config=None, **form) -> dict:
    data = {"label": label, "form": form, "config": config or {}}
    position = dict(zip("xy", place, strict=True))
    return {"id": str(number), "type": kind, "data": data, "position": position}


def invoices() -> dict:
    """Two loops: the second is slower than the first, and one invoice in fifty has no customer."""
    customer = "{{ ['Ada', 'Grace', 'Edsger', 'Barbara'][data.value % 4] }}"
    share = "{{ 100 / ((data.value % 50) - 7) }}"
    queue = {"queue_name": "priced", "max_length": 400}
    wait = "{{ 0.05 if data.amount > 12 else 0.012 }}"
    nodes = [
        node(1, "counter", "Take invoices", (0, 0), interval=0.02),
        node(2, "data-transformer", "Find the customer", (270, 0), fields={"customer": customer}),
        node(3, "data-transformer", "Work out the share", (540, 0), fields={"amount": share}),
        node(
            4, "if-condition", "Is it a credit?", (810, 0), field="amount", value=0, operator="less"
        ),
        node(
            5,
            "queue-writer",
            "Keep the credits",
            (1080, -70),
            {"queue_name": "credits", "overflow": "drop_oldest"},
        ),
        node(6, "queue-writer", "Hand over", (1080, 90), queue),
        node(7, "queue-reader", "Take over", (270, 260), {"queue_name": "priced"}),
        node(8, "dynamic-delay", "Book the invoice", (540, 260), seconds=wait),
        node(9, "file-writer", "Write the journal", (810, 260), path="journal.jsonl"),
    ]
    ways = [(1, 2), (2, 3), (3, 4), (4, 5, "yes"), (4, 6, "no"), (6, 7), (7, 8), (8, 9)]
    edges = [
        {
            "id": f"e{i}",
            "source": str(way[0]),
            "target": str(way[1]),
            "sourceHandle": (*way, None)[2],
        }
        for i, way in enumerate(ways)
    ]
    return {"name": "Invoices", "nodes": nodes, "edges": edges}


def fill(site: Deployment) -> tuple[str, str]:
    """Let workflows run, and return the number of a dead letter and of a run."""
    site.manage("load_examples")
    for name in (site.create(invoices()), "hello-loops", "log-triage"):
        site.post("/prod/start", name).raise_for_status()
    graph = json.loads(Path("examples/graphs/data-quality.json").read_text())
    graph_id = site.client.post("/graph/create", json=graph).raise_for_status().json()["graph_id"]
    state = {"path": "examples/quality.csv", "goal": 0.97, "pause": 0.4}
    wanted = {"graph_id": graph_id, "initial_state": state}
    run = site.client.post("/graph/run", json=wanted).raise_for_status().json()["run_id"]
    return "invoices", run


def main() -> None:
    binary = next(filter(None, map(shutil.which, BROWSERS)))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Deployment(Path(folder))) as site,
        sync_playwright() as playwright,
    ):
        site.start_runner()
        site.start_worker()
        workflow, run = fill(site)
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        light = open_page(browser, site, WIDE)
        light.wait_for_timeout(LONG_ENOUGH)
        letter = site.dead_letters(workflow)[0]["id"]
        dashboard(light, "dashboard")
        bench(light)
        production(light, workflow)
        take(light, f"/dead-letters/{letter}/", "dead-letter", "Replay")
        take(light, f"/runs/{run}/?step=5", "run", "completed")
        dark = open_page(browser, site, WIDE, "dark")
        production(dark, workflow, "dark")
        narrow = open_page(browser, site, NARROW)
        dashboard(narrow, "narrow")
        browser.close()


def open_page(browser: Browser, site: Deployment, size: dict, scheme: str = "light") -> Page:
    context = browser.new_context(
        base_url=site.url, viewport=size, color_scheme=scheme, device_scale_factor=1.5
    )
    page = context.new_page()
    log_in(page)
    return page


def dashboard(page: Page, name: str) -> None:
    page.goto("/")
    expect(page.get_by_text("running").first).to_be_visible()
    page.wait_for_timeout(4000)
    keep(page, name)


def bench(page: Page) -> None:
    """Node 5 of the orders with what its run gave, beside its settings and its input."""
    page.goto("/studio/orders/?node=5&mode=bench")
    page.get_by_role("button", name="Run to here").click()
    page.get_by_role("tab", name="Output").click()
    expect(page.get_by_role("tree", name="Output")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)
    keep(page, "studio-bench")


def production(page: Page, workflow: str, name: str = "studio-production") -> None:
    page.goto(f"/studio/{workflow}/?mode=production")
    expect(page.locator(".badge").first).to_be_visible()
    page.wait_for_timeout(4000)
    keep(page, name)


def take(page: Page, path: str, name: str, shown: str) -> None:
    page.goto(path)
    expect(page.get_by_text(shown).first).to_be_visible()
    page.wait_for_timeout(1000)
    keep(page, name)


def keep(page: Page, name: str) -> None:
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
