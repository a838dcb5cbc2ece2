"""S14: markup and scripts in whatever is stored are text on every page.

Each payload would leave an element with `data-hurt`, or call `hurt`, were it ever taken as markup.
`escaped` counts these, and what the browser says that the policy for content has held back.
"""

import contextlib

import pytest

from tests.browser.a_site import GRAPH, asking
from tests.browser.conftest import browser, log_in, opened
from tests.deployment import Deployment
from tests.waiting import eventually

__all__ = ["browser"]  # the fixture

pytestmark = pytest.mark.browser

MARK = "data-hurt"
PAYLOADS = (
    f"<img {MARK} src=x onerror=hurt()>",
    f"<script {MARK}>hurt()</script>",
    f'"><svg {MARK} onload=hurt()>',
    f"' {MARK} autofocus onfocus=hurt() x='",
    f"</script><script {MARK}>hurt()</script>",
    f"</textarea></title></style><b {MARK}>",
    f"--><iframe {MARK} srcdoc='<script>parent.hurt()</script>'></iframe>",
    f"<a {MARK} href=javascript:hurt()>x</a>",
    f"<math><mtext><table><mglyph><style><!--</style><img {MARK} src=x onerror=hurt()>",
    f"<form {MARK} id=app><input name=attributes></form>",
    f"<style {MARK}>@import '//127.0.0.1:9/x'</style><base {MARK} href=//127.0.0.1:9/>",
    f"\\u003cimg {MARK}\\u003e &lt;img {MARK}&gt; %3Cimg {MARK}%3E",
    f"${{hurt()}} <%= hurt() %> [[{MARK}]] <!-- ko --> <x-y {MARK} @click=hurt() v-html=x>",
)
ALL = " ".join(PAYLOADS)
SHORT = PAYLOADS[0]
WATCH = """
window.hurts = 0;
window.hurt = () => { window.hurts += 1; };
addEventListener("securitypolicyviolation", () => { window.hurts += 1; });
"""
FOUND = """(mark) => ({
  elements: document.querySelectorAll(`[${mark}]`).length,
  calls: window.hurts,
  shown: document.body.textContent.split(mark).length - 1
    + [...document.querySelectorAll("input, textarea")]
      .reduce((sum, e) => sum + e.value.split(mark).length - 1, 0),
})"""

WORKFLOW = {
    "name": SHORT,
    "nodes": [
        {"id": "lines", "type": "string-iterator",
         "data": {"label": ALL, "form": {"text": "\n".join([*PAYLOADS, "{}"])}}},
        {"id": "log", "type": "debug", "data": {"label": SHORT, "form": {"level": "warning"}}},
        {"id": "make", "type": "data-transformer",
         "data": {"label": ALL, "form": {"fields": {SHORT: "{{ data.value }}", "all": ALL}}}},
        {"id": "put", "type": "queue-writer", "data": {"config": {"queue_name": "marked"}}},
        {"id": "take", "type": "queue-reader", "data": {"label": ALL}},
        {"id": "parse", "type": "parse-json", "data": {"label": ALL}},
    ],
    "edges": [
        {"id": "a", "source": "lines", "target": "log"},
        {"id": "b", "source": "log", "target": "make"},
        {"id": "c", "source": "make", "target": "put"},
        {"id": "d", "source": "put", "target": "take"},
        {"id": "e", "source": "take", "target": "parse"},
    ],
}  # fmt: skip
COUNTER = {"id": "lines", "type": "counter", "data": {"form": {"interval": 0.05}}}
ENDLESS = {**WORKFLOW, "nodes": [COUNTER, *WORKFLOW["nodes"][1:]]}
FAILING = {
    **GRAPH,
    "name": ALL[:200],
    "entry_point": "fail",
    "nodes": [{"id": "fail", "tool": "test.fail", "arguments": {"message": "{{ data.text }}"}}],
    "edges": [],
}
PAGES = {
    "dashboard": "/",
    "studio": "/studio/{workflow}/",
    "studio, a node": "/studio/{workflow}/?node=make",
    "studio, production": "/studio/{workflow}/?mode=production&node=make",
    "studio, a dead letter": "/studio/{workflow}/?node=parse&mode=bench&dead_letter={letter}",
    "dead letters": "/dead-letters/",
    "dead letters, one by one": "/dead-letters/?view=letters",
    "dead letter": "/dead-letters/{letter}/",
    "queues": "/queues/",
    "queue": "/queues/{waiting}/marked/",
    "runs": "/runs/",
    "run": "/runs/{run}/",
    "run, a step": "/runs/{run}/?step=1",
    "run, its state": "/runs/{run}/?tab=state",
    "run, its graph": "/runs/{run}/?tab=graph",
    "credential": "/credentials/shop/",
    "audit log": "/audit/?action=token.manage",
    "admin": "/admin/",
    "admin, workflows": "/admin/orchestrator/workflow/",
    "admin, workflow": "/admin/orchestrator/workflow/{workflow}/change/",
    "admin, node": "/admin/orchestrator/workflow/{workflow}/nodes/make/",
    "admin, dead letters": "/admin/orchestrator/deadletter/",
    "admin, dead letter": "/admin/orchestrator/deadletter/{letter}/change/",
    "admin, runs": "/admin/orchestrator/run/",
    "admin, run": "/admin/orchestrator/run/{run}/change/",
    "admin, tokens": "/admin/orchestrator/apitoken/",
    "admin, audit log": "/admin/orchestrator/auditentry/",
    "admin, users": "/admin/auth/user/",
}
SILENT = {"admin", "admin, users"}
"""Pages that show nothing of it."""


@pytest.fixture(scope="module")
def site(browser, redis_server, tmp_path_factory):
    """A deployment, and the ids of what has markup everywhere."""
    with contextlib.closing(Deployment(tmp_path_factory.mktemp("deployment"))) as deployed:
        deployed.start_runner()
        deployed.start_worker()
        deployed.manage("create_token", "ada", "--name", SHORT)
        api = deployed.client
        for payload in PAYLOADS:
            deployed.create({**WORKFLOW, "name": payload})
        shop = {"name": "shop", "kind": "bearer", "values": {"token": "a-token-of-the-shop"}}
        api.post("/credentials/", json=shop).raise_for_status()
        deployed.create(asking(ALL[:200], "shop"))
        workflow = deployed.create(WORKFLOW)
        waiting = deployed.create(ENDLESS)
        for each in (workflow, waiting):
            deployed.post("/prod/start", each).raise_for_status()
        deployed.post("/prod/stop", waiting, loop="take").raise_for_status()
        graph = api.post("/graph/create", json=FAILING).raise_for_status().json()["graph_id"]
        started = {"graph_id": graph, "initial_state": {"text": ALL, SHORT: ALL}}
        run = api.post("/graph/run", json=started).raise_for_status().json()["run_id"]
        letters = eventually(lambda: deployed.dead_letters(workflow))
        note = {"note": ALL}
        api.patch(f"/dead-letters/{letters[0]['id']}/", json=note).raise_for_status()
        made = {"workflow": workflow, "waiting": waiting, "letter": letters[0]["id"], "run": run}
        eventually(lambda: api.get(f"/queues/{waiting}/marked/").json()["depth"] > 5)
        yield deployed, made


@pytest.fixture(scope="module")
def session(browser, site):
    """The cookies of somebody whose browser calls itself what it likes."""
    with opened(browser, site[0].url, user_agent=SHORT) as page:
        log_in(page)
        return page.context.storage_state()


@pytest.fixture(scope="module")
def told():
    """Rows of the table."""
    return []


@pytest.mark.parametrize("name", PAGES)
def test_markup_is_text(browser, site, session, told, name):
    deployed, made = site
    with opened(browser, deployed.url, storage_state=session) as page:
        page.add_init_script(WATCH)
        assert page.goto(PAGES[name].format(**made)).status == 200
        look(page)
        found = page.evaluate(FOUND, MARK)
        told.append((name, found))
        assert found["elements"] == found["calls"] == 0
        assert bool(found["shown"]) is (name not in SILENT)


def test_the_log_of_a_node_is_text(browser, site, session, told):
    """On the bench: what a node logs, what it is given, and what it gives."""
    deployed, made = site
    with opened(browser, deployed.url, storage_state=session) as page:
        page.add_init_script(WATCH)
        page.goto(f"/studio/{made['workflow']}/?node=log&mode=bench")
        page.get_by_role("button", name="Run to here").click()
        page.get_by_role("tree", name="Output").wait_for()
        look(page)
        found = page.evaluate(FOUND, MARK)
        told.append(("studio, the log of a run", found))
        assert found["elements"] == found["calls"] == 0
        assert found["shown"]


def look(page):
    """Wait for what the page asks for, and point at everything that may say more."""
    page.wait_for_load_state("networkidle")
    page.locator("body:not(:has([aria-busy=true]))").wait_for()
    for tab in page.get_by_role("tab").all():
        if tab.is_visible() and tab.is_enabled():
            tab.click()
    page.wait_for_load_state("networkidle")


def test_every_page_was_looked_at(told, section):
    lines = [f"{'page':30} {'shown as text':>13} {'elements':>8} {'scripts, reports':>16}"]
    lines += [
        f"{name:30} {found['shown']:>13} {found['elements']:>8} {found['calls']:>16}"
        for name, found in told
    ]
    lines.append(f"payloads: S14 {len(PAYLOADS)}")
    section("stored markup", "\n".join(lines))
    assert len(told) == len(PAGES) + 1
