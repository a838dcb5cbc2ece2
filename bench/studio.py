"""The studio in a real browser: how soon it can be used, and what a frame costs while it is used.

A server and a runner of their own; workflows of 300 and of 2,000 nodes, in loops of ten. On the
bench a node is dragged and the canvas is moved; in production the loops run, and the canvas is
moved while their counters change. A frame's work is the processor time that Chromium's own trace
tells of the page's main thread between two frames; the time on the screen depends on the machine's
graphics, which a browser without a screen draws on the CPU, and on what else the machine does.

    python bench/studio.py [NODES ...]       # writes studio-trace.json beside the table
"""

import gzip
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["TEST_DATA_OWNER"] = "main"  # so that each process takes the folder it is given

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright  # noqa: E402

from tests.browser.conftest import BROWSERS, FLAGS  # noqa: E402
from tests.deployment import PASSWORD, USER, Deployment  # noqa: E402

SIZES = (300, 2000)
LOOP = 10
AT_ONCE, FAR = 10, 100
"""Cards that are there when a page can be used, and at least when it is seen from far away."""
RUNNING = 30
"""Loops that run while the counters are watched; more would measure the runner."""
STEPS, STEP = 120, 1 / 60
WINDOW = {"width": 1280, "height": 800}
FRAME = 1000 / 60
INTERACTIVE, SCRIPT = 1000.0, 250.0
"""Budgets: milliseconds until 300 nodes can be used; KB of the script, compressed."""
TRACED = [
    *("devtools.timeline", "disabled-by-default-devtools.timeline"),
    *("devtools.timeline.frame", "disabled-by-default-devtools.timeline.frame"),
]
READY = """(wanted) => new Promise((resolve) => {
    const look = () => {
        if (document.querySelectorAll(".react-flow__node .card").length < wanted)
            return requestAnimationFrame(look);
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    };
    look();
})"""
FRAMES = """() => {
    window.frames_ = [];
    let before = performance.now();
    const next = (now) => {
        window.frames_.push(now - before);
        before = now;
        window.again = requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
}"""
FREE = """() => {
    for (let y = 260; y < 700; y += 7)
        for (let x = 120; x < 500; x += 7)
            if (document.elementFromPoint(x, y)?.classList.contains("react-flow__pane"))
                return [x, y];
}"""


@dataclass(kw_only=True)
class Row:
    """What was measured of one thing that is done: milliseconds of work, and between frames."""

    nodes: int
    what: str
    frames: int
    work_median: float
    work_p95: float
    work_max: float
    interval_median: float
    interval_p95: float


def workflow(nodes: int) -> dict[str, Any]:
    """Return loops of ten: a counter, eight that look at its item, and one more."""
    found: dict[str, Any] = {"name": f"Studio {nodes}", "nodes": [], "edges": []}
    for number in range(nodes):
        loop, place = divmod(number, LOOP)
        first = place == 0
        form = {"interval": 0.05 if loop < RUNNING else 3600} if first else {}
        found["nodes"].append({
            "id": f"n{number}", "type": "counter" if first else "debug", "data": {"form": form},
            "position": {"x": place * 320, "y": loop * 120},
        })  # fmt: skip
        if not first:
            ends = {"source": f"n{number - 1}", "target": f"n{number}"}
            found["edges"].append({"id": f"e{number}", **ends})
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    binary = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


def log_in(browser: Browser, address: str) -> Page:
    page = browser.new_context(base_url=address, viewport=WINDOW).new_page()
    page.goto("/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()
    return page


def interactive(page: Page, path: str, cards: int) -> float:
    """Return the milliseconds from the navigation until cards are there and events are heard."""
    times = []
    for _ in range(4):
        page.goto(path)
        times.append(page.evaluate(READY, cards))
    return statistics.median(times[1:])  # the first fills the browser's cache


class Tracer:
    """Chromium's trace of what a page does."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._events: list[dict[str, Any]] = []
        self._session.on("Tracing.dataCollected", lambda found: self._events.extend(found["value"]))

    def measure(self, nodes: int, what: str, act: Callable[[], None]) -> Row:
        ended = []
        self._events.clear()
        self._session.once("Tracing.tracingComplete", lambda _: ended.append(True))
        self._page.evaluate(FRAMES)
        config = {"includedCategories": TRACED}
        options = {"traceConfig": config, "transferMode": "ReportEvents"}
        self._session.send("Tracing.start", options)
        act()
        self._session.send("Tracing.end")
        while not ended:
            self._page.wait_for_timeout(50)
        self._page.evaluate("cancelAnimationFrame(window.again)")
        return row(nodes, what, work(self._events), self._page.evaluate("window.frames_"))


def work(events: list[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of the processor that the page's main thread took for each frame."""
    began = [e for e in events if e["name"] == "BeginMainThreadFrame"]
    if not began:
        return []
    thread = max(
        {(e["pid"], e["tid"]) for e in began}, key=[(e["pid"], e["tid"]) for e in began].count
    )
    own = [e for e in events if (e["pid"], e["tid"]) == thread]
    starts = sorted(e["ts"] for e in own if e["name"] == "BeginMainThreadFrame")
    tasks = sorted((e["ts"], e.get("tdur", 0)) for e in own if e["name"] == "RunTask")
    spent = [0.0] * (len(starts) - 1)
    frame = 0
    for at, lasted in tasks:
        while frame < len(spent) - 1 and at >= starts[frame + 1]:
            frame += 1
        if starts[frame] <= at < starts[frame + 1]:
            spent[frame] += lasted / 1000
    return spent


def row(nodes: int, what: str, spent: list[float], between: list[float]) -> Row:
    return Row(
        nodes=nodes, what=what, frames=len(spent),
        work_median=statistics.median(spent), work_p95=p95(spent), work_max=max(spent),
        interval_median=statistics.median(between), interval_p95=p95(between),
    )  # fmt: skip


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def moved(page: Page, x: float, y: float) -> Callable[[], None]:
    """Return what presses the button at a place and moves the mouse for two seconds."""

    def act() -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        begun = time.perf_counter()
        for step in range(1, STEPS + 1):
            page.mouse.move(x + 2 * step, y + 60 * (step % 40) / 40)
            time.sleep(max(0.0, begun + step * STEP - time.perf_counter()))
        page.mouse.up()

    return act


def middle(page: Page) -> tuple[float, float]:
    """Return the place of a node's name near the middle of the canvas, which is dragged there."""
    boxes = [card.bounding_box() for card in page.locator(".card-label").all()]
    found = min(
        (box for box in boxes if box),
        key=lambda box: abs(box["x"] - 400) + abs(box["y"] - 400),
    )
    return found["x"] + 2, found["y"] + found["height"] / 2


def free_place(page: Page) -> tuple[float, float]:
    """Return a place of the canvas where nothing is."""
    found = page.evaluate(FREE)
    return found[0], found[1]


def fit(page: Page, cards: int) -> None:
    """Look at it from as far away as there is something to see."""
    page.locator(".react-flow__controls-fitview").click()
    page.evaluate(READY, cards)


def measured(page: Page, deployed: Deployment, nodes: int) -> Iterator[float | Row]:
    """Yield in how many milliseconds a workflow can be used, and a row for all that is done."""
    workflow_id = deployed.create(workflow(nodes))
    path, seen = f"/studio/{workflow_id}/", min(nodes, FAR)
    yield interactive(page, path, AT_ONCE)
    tracer = Tracer(page)
    yield tracer.measure(nodes, "drag a node", moved(page, *middle(page)))
    fit(page, seen)
    yield tracer.measure(nodes, "drag, from far", moved(page, *middle(page)))
    yield tracer.measure(nodes, "move the canvas", moved(page, *free_place(page)))
    deployed.client.post("/prod/start", json={"workflow_id": workflow_id}).raise_for_status()
    page.goto(f"{path}?mode=production")
    page.locator(".live-rate", has_text="/s").first.wait_for(timeout=120_000)
    still = (STEPS * STEP) * 1000
    yield tracer.measure(nodes, "counters move", lambda: page.wait_for_timeout(still))
    fit(page, seen)
    yield tracer.measure(nodes, "counters, from far", lambda: page.wait_for_timeout(still))
    yield tracer.measure(nodes, "both", moved(page, *free_place(page)))
    stop = {"workflow_id": workflow_id, "force": True}
    deployed.client.post("/prod/stop", json=stop).raise_for_status()


def main() -> int:
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    script = ROOT / "orchestrator/static/orchestrator/studio/studio.js"
    size = len(gzip.compress(script.read_bytes(), 9)) / 1000
    print(f"studio.js: {size:.0f} KB compressed (budget {SCRIPT:.0f})")
    within = size <= SCRIPT
    trace = []
    with tempfile.TemporaryDirectory() as folder, closing(Deployment(Path(folder))) as deployed:
        deployed.start_runner()
        with chromium() as browser:
            page = log_in(browser, deployed.url)
            for nodes in sizes:
                for found in measured(page, deployed, nodes):
                    show(nodes, found)
                    if isinstance(found, Row):
                        trace.append(asdict(found))
                    elif nodes <= SIZES[0]:
                        within = within and found <= INTERACTIVE
    Path("studio-trace.json").write_text(json.dumps(trace, indent=2) + "\n")
    return 0 if within else 1


def show(nodes: int, found: float | Row) -> None:
    """Print a line of the table, or its head."""
    if isinstance(found, Row):
        fits = "yes" if found.work_p95 < FRAME else "no"
        line = (
            f"{found.what:20}{found.frames:7}{found.work_median:10.1f}{found.work_p95:8.1f}"
            f"{found.work_max:8.1f}{fits:>8}{found.interval_median:12.1f}{found.interval_p95:12.1f}"
        )
    else:
        line = (
            f"\n{nodes} nodes, can be used after {found:.0f} ms"
            f"\n{'':20}{'frames':>7}{'work of a frame, ms':>34}{'between frames, ms':>24}"
            f"\n{'':27}{'median':>10}{'p95':>8}{'max':>8}{'< 16.7':>8}{'median':>12}{'p95':>12}"
        )
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
