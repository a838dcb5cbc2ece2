"""A real server, a real runner and a real browser."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
USER, PASSWORD = "ada", "a-long-password"


@pytest.fixture(scope="session")
def browser():
    """Chromium; skips without one, fails under REQUIRE_ALL."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        reason = f"no browser was found: one of {', '.join(BROWSERS)}"
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Not by pytest-playwright, which breaks pytest-asyncio in the same process.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def deployment(browser, redis_server, tmp_path_factory):
    """Start the web process and a runner on a database of their own, and return the address."""
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "static").mkdir()
    env = {
        **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "ALLOWED_HOSTS")},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "DATA_DIR": str(folder),
        "REDIS_URL": redis_server.url,
        "SECRET_KEY": "only-for-tests",
    }
    run(env, "manage.py", "migrate", "-v0")
    names = ("--username", USER, "--email", "ada@example.com")
    run(env, "manage.py", "createsuperuser", "--noinput", "-v0", *names)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = ("-m", "uvicorn", "config.asgi:application", "--port", str(port))
    with (
        process(env, folder / "web.log", *server, "--timeout-graceful-shutdown", "2"),
        process(env, folder / "runner.log", "manage.py", "runner"),
    ):
        eventually(lambda: answers(f"{address}/healthz"))
        yield address


@pytest.fixture
def page(browser, deployment):
    """A page of somebody who has logged in; whatever the page itself complains of fails the test.

    What the console says of an answer that is no 200 is not counted: the page shows that.
    """
    complaints = []
    context = browser.new_context(base_url=deployment, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend(elsewhere(request.url, deployment)))
    page.goto("/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    yield page
    context.close()
    assert complaints == []


def elsewhere(url, deployment):
    """Return the address when it is not the server's own."""
    return [] if url.startswith((deployment, "blob:", "data:")) else [url]


def run(env, *command):
    subprocess.run((sys.executable, *command), cwd=ROOT, env=env, check=True)


@contextmanager
def process(env, log, *command):
    """Run a child until the block is left; it is asked to end, and made to when it does not."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            (sys.executable, *command), cwd=ROOT, env=env, stdout=output, stderr=output
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    try:
        with urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False
