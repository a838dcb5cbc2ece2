"""Addresses that a browser shows as a page and a program reads as JSON."""

import pytest
from django.test import Client

from tests.integration.letters import letter

pytestmark = pytest.mark.django_db
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PATHS = [
    "/dead-letters/", "/dead-letters/1/", "/queues/", "/queues/orders/%21inbox%3A1/",
    "/credentials/", "/credentials/shop/", "/audit/",
]  # fmt: skip


def get(client, path, accept=None):
    return client.get(path, headers={} if accept is None else {"Accept": accept})


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_gets_the_page(client, make_user, path):
    client.force_login(make_user("admin"))
    answer = get(client, path, BROWSER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("role", "path", "needs"),
    [
        (None, "/credentials/", "credential.list"),
        ("operator", "/credentials/", "credential.list"),
        ("operator", "/credentials/shop/", "credential.list"),
        ("editor", "/audit/", "audit.read"),
    ],
)
def test_a_page_that_needs_a_right_says_which(client, make_user, role, path, needs):
    client.force_login(make_user(role))
    answer = get(client, path, BROWSER)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert f"<code>{needs}</code>" in answer.content.decode()
    assert "<form id=" not in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "links"),
    [
        (None, set()),
        ("operator", set()),
        ("editor", {"/credentials/"}),
        ("admin", {"/credentials/", "/audit/"}),
    ],
)
def test_the_header_leads_to_what_one_may_see(client, make_user, role, links):
    client.force_login(make_user(role))
    for path in ("/", "/queues/", "/docs/"):
        page = get(client, path, BROWSER).content.decode()
        assert {each for each in ("/credentials/", "/audit/") if f'href="{each}"' in page} == links


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_without_a_login_is_led_there_and_back(client, path):
    answer = get(client, path, BROWSER)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login/?next=/")
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html"])
def test_whatever_does_not_prefer_a_page_gets_json(client, make_user, accept):
    found = letter("a")
    client.force_login(make_user("viewer"))
    answer = get(client, f"/dead-letters/{found.pk}/", accept)
    assert answer.json()["id"] == found.pk
    assert "Accept" in answer.headers["Vary"]


def test_a_type_that_there_is_not_is_refused_as_before(client, make_user):
    client.force_login(make_user("viewer"))
    assert get(client, "/dead-letters/", "image/png").status_code == 406


def test_what_changes_something_is_the_api_whatever_is_accepted(make_user, settings):
    found = letter("a")
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("operator"))
    path, headers = f"/dead-letters/{found.pk}/", {"Accept": BROWSER}
    body = {"data": {"note": "mine"}, "content_type": "application/json"}
    answer = client.patch(path, **body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed")
    token = client.get(path, headers=headers).cookies["orchestrator_csrftoken"].value
    answer = client.patch(path, **body, headers={**headers, "X-CSRFToken": token})
    assert answer.json()["note"] == "mine"


def test_a_bearer_token_needs_no_csrf_token(api):
    found = letter("a")
    answer = api("operator").patch(f"/dead-letters/{found.pk}/", {"note": "x"})
    assert answer.status_code == 200


def test_a_page_encodes_what_its_address_holds(client, make_user):
    client.force_login(make_user("viewer"))
    answer = get(client, "/queues/orders/%3Cscript%3Ealert(1)/", BROWSER)
    assert b"<script>alert" not in answer.content


def test_the_schema_still_has_them(client, api):
    paths = api("viewer").get("/schema/?format=json").json()["paths"]
    wanted = {"/dead-letters", "/queues", "/credentials", "/audit"}
    assert wanted <= {path.rstrip("/") for path in paths}
