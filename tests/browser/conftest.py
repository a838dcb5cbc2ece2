"""A real server, a real runner and a real browser."""

import os
import shutil
from contextlib import closing

import pytest

from tests.deployment import PASSWORD, USER, Deployment

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


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
    """A page of somebody who has logged in; whatever the page itself complains of fails the test.

    What the console says of an answer that is no 200 is not counted: the page shows that.
    """
    complaints = []
    address = deployment.url
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend(elsewhere(request.url, address)))
    page.goto("/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    yield page
    context.close()
    assert complaints == []


def elsewhere(url, address):
    """Return the URL when it is not the server's own."""
    return [] if url.startswith((address, "blob:", "data:")) else [url]
