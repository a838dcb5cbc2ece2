"""What browsers are told about every answer, and what stands in no page of ours."""

import re
from pathlib import Path

import pytest
from asgiref.testing import ApplicationCommunicator

from config.asgi import http_application
from orchestrator.api.headers import DATA_POLICY
from orchestrator.api.proxy import BehindProxy

TEMPLATES = sorted((Path(__file__).parents[2] / "orchestrator/templates").rglob("*.html"))
PAGES = (
    "/", "/login/", "/docs/", "/admin/", "/admin/login/", "/runs/", "/queues/", "/dead-letters/",
    "/studio/", "/static/orchestrator/app.css", "/admin/nothing/",
)  # fmt: skip


@pytest.fixture
def visitor(client, make_user):
    client.force_login(make_user("superuser"))
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_and_loads_only_what_is_ours(visitor, path):
    answer = visitor.get(path, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'self'",
        "img-src": "'self' data:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/workflows/", "/healthz", "/nothing", "/queues/"])
def test_data_loads_and_runs_nothing(visitor, path):
    answer = visitor.get(path, headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Content-Security-Policy"] == DATA_POLICY


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline(template):
    text = template.read_text()
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=", text)


async def ask(method, path, headers, body=b"", *, client="10.0.0.1"):
    """Ask the site behind a proxy that is trusted at 10.0.0.1."""
    application = BehindProxy(http_application, trusted=["10.0.0.1"])
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": (client, 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "http.request", "body": body})
    start = await communicator.receive_output(30)
    await communicator.receive_output(30)
    await communicator.wait(10)
    return start["status"], {k.lower(): v.decode() for k, v in start["headers"]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("client", "status"), [("10.0.0.1", 200), ("10.0.0.2", 403)])
async def test_a_form_comes_back_by_https(settings, client, status):
    """Behind a proxy the page's origin is https, while we are asked by http."""
    told = {"Host": "testserver", "X-Forwarded-Proto": "https"}
    _, headers = await ask("GET", "/login/", told)
    token = re.search(rf"{settings.CSRF_COOKIE_NAME}=(\w+)", headers[b"set-cookie"])[1]
    sent = {
        **told,
        "Origin": "https://testserver",
        "Cookie": f"{settings.CSRF_COOKIE_NAME}={token}",
        "X-CSRFToken": token,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answered, _ = await ask("POST", "/login/", sent, b"username=x&password=y", client=client)
    assert answered == status
