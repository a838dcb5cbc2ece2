"""A real server, a real runner and a real browser."""

import os
import shutil
from contextlib import closing, contextmanager

import pytest

from tests.deployment import PASSWORD, USER, Deployment

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WIDE = {"width": 1280, "height": 800}
SHOWN_BY_THE_PAGE = ("Failed to load resource", "WebSocket connection to")
"""What the console says of an answer that is no 200, or of none: the page itself tells that."""


@pytest.fixture(scope="module")
def browser():
    """Chromium; skips without one, fails under REQUIRE_ALL."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        reason = f"no browser was found: one of {', '.join(BROWSERS)}"
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Not by pytest-playwright, which breaks pytest-asyncio in the same process; and not for the
    # whole session, because its event loop would be in the way of asynchronous tests.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def deployment(browser, redis_server, tmp_path_factory):
    """A deployment with a runner; `redis_server` only says whether there is a server at all."""
    with closing(Deployment(tmp_path_factory.mktemp("deployment"))) as deployed:
        deployed.start_runner()
        yield deployed


@pytest.fixture
def page(browser, deployment):
    """A page of somebody who has logged in; what the page itself complains of fails the test."""
    with opened(browser, deployment.url) as page:
        log_in(page)
        yield page


@pytest.fixture
def expect():
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)
    return expect


@contextmanager
def opened(browser, address, **options):
    """Give a page in a browser profile of its own, at the address of a site.

    It fails at the end when a script raised or wrote an error, when the policy for content was
    violated, or when anything was asked of another site.
    """
    complaints = []
    context = browser.new_context(base_url=address, **{"viewport": WIDE, **options})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(error.stack or str(error)))
    page.on("console", lambda message: complaints.extend(errors_of(message)))
    page.on("request", lambda request: complaints.extend(elsewhere(request.url, address)))
    try:
        yield page
    finally:
        context.close()
    assert not complaints, "\n".join(complaints)


def log_in(page, user=USER, password=PASSWORD, at="./"):
    """Log in from the page at a path, and come back to it."""
    page.goto(at)
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()
    page.wait_for_load_state()  # until then a button may be shown that no script listens to yet


def choose_mode(page, name):
    """Change the studio to the bench or to production."""
    # Not the radio itself: it is hidden, and a forced click misses when the header moves.
    mode = page.get_by_role("radiogroup", name="Mode")
    mode.get_by_text(name, exact=True).click()
    mode.get_by_role("radio", name=name, checked=True).wait_for()


def errors_of(message):
    """Return what a script, or the browser on behalf of the policy, wrote as an error."""
    if message.type != "error" or message.text.startswith(SHOWN_BY_THE_PAGE):
        return []
    return [message.text]


def elsewhere(url, address):
    """Return the URL when it is not the server's own."""
    return [] if url.startswith((address, "blob:", "data:")) else [url]
