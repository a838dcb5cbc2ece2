"""Every page, wide in light and narrow in dark: axe-core finds nothing serious, nothing hangs out
at the side, and nothing is asked of, or run from, anywhere else.

A new page gets a row in PAGES. `{...}` stands for what `a_site.busy_site` has of a kind.
"""

from pathlib import Path

import axe_playwright_python
import pytest

from tests.browser.a_site import busy_site
from tests.browser.conftest import log_in, opened

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SERIOUS = {"serious", "critical"}
LOOKS = {
    "light, wide": ("light", {"width": 1280, "height": 800}),
    "dark, narrow": ("dark", {"width": 390, "height": 844}),
}
PAGES = {
    "dashboard": "/",
    "studio, new": "/studio/",
    "studio": "/studio/{workflow}/",
    "studio, a node": "/studio/{workflow}/?node={node}",
    "studio, production": "/studio/{workflow}/?mode=production",
    "dead letters": "/dead-letters/",
    "dead letter": "/dead-letters/{letter}/",
    "queues": "/queues/",
    "queue": "/queues/{workflow}/{queue}/",
    "runs": "/runs/",
    "run": "/runs/{run}/",
    "run, a step": "/runs/{run}/?step=1",
    "run, its state": "/runs/{run}/?tab=state",
    "run, its checkpoints": "/runs/{run}/?tab=checkpoints",
    "run, its graph": "/runs/{run}/?tab=graph",
    "credentials": "/credentials/",
    "credentials, a new one": "/credentials/?new",
    "credential": "/credentials/{credential}/",
    "audit log": "/audit/",
    "audit log, one kind": "/audit/?action=workflow.create&since=2026-01-01T00:00:00Z",
    "API": "/docs/",
    "admin": "/admin/",
    "admin, workflows": "/admin/orchestrator/workflow/",
    "admin, workflow": "/admin/orchestrator/workflow/{workflow}/change/",
    "admin, node": "/admin/orchestrator/workflow/{workflow}/nodes/{node}/",
    "admin, dead letters": "/admin/orchestrator/deadletter/",
    "admin, runs": "/admin/orchestrator/run/",
    "admin, a new token": "/admin/orchestrator/apitoken/add/",
    "admin, users": "/admin/auth/user/",
    "admin, a new user": "/admin/auth/user/add/",
}
OPEN = {"login": "/login/", "admin login": "/admin/login/"}
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  return [document.documentElement.scrollWidth - width,
    ...[...document.querySelectorAll("body *")]
      .filter((e) => e.getBoundingClientRect().right > width + 1)
      .slice(0, 3).map((e) => e.outerHTML.slice(0, 120))];
}"""

# The admin's buttons fade from the colours of one look to those of the other.
TRANSITIONS = """() => Promise.allSettled(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished)
)"""


@pytest.fixture(scope="module")
def site(browser, redis_server, tmp_path_factory):
    with busy_site(tmp_path_factory.mktemp("deployment")) as (deployed, names):
        yield deployed, names


@pytest.fixture(scope="module")
def session(browser, site):
    """Return the cookies of somebody who has logged in."""
    with opened(browser, site[0].url) as page:
        log_in(page)
        return page.context.storage_state()


def problems_of(page):
    """Return what is wrong with a page, as text, in each look and size."""
    found = []
    for look, (scheme, viewport) in LOOKS.items():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(viewport)
        settle(page)
        found += [f"{look}: {text}" for text in [*axe(page), *hanging_out(page)]]
    return found


def settle(page):
    """Wait until what the page has asked for is there."""
    page.wait_for_load_state("networkidle")
    page.locator("body:not(:has([aria-busy=true]))").wait_for()
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")
    page.evaluate(TRANSITIONS)


def axe(page):
    """Return the serious findings: the rule, and the elements."""
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {preload: false})")
    return [
        f"{each['id']}: {node['failureSummary']} {node['html'][:160]}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"][:4]
    ]


def hanging_out(page):
    over, *elements = page.evaluate(OVERFLOW)
    return [f"{over} px too wide: {elements}"] if over > 0 else []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_by_everybody(browser, site, session, name):
    deployed, names = site
    with opened(browser, deployed.url, storage_state=session) as page:
        answer = page.goto(PAGES[name].format(**names))
        assert answer.status == 200
        found = problems_of(page)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", OPEN)
def test_a_page_for_strangers_can_be_used_by_everybody(browser, site, name):
    with opened(browser, site[0].url) as page:
        page.goto(OPEN[name])
        found = problems_of(page)
        assert not found, "\n".join(found)
