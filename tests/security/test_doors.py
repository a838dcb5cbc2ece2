"""Every route and method with every role: who gets in, and who is sent away (S2)."""

from collections import Counter

import pytest
from django.test import Client
from django.urls import resolve
from rest_framework.test import APIClient

from orchestrator.models import AuditEntry
from orchestrator.security.actors import ACTIONS, ROLE_NAMES, SYSTEM, Role
from orchestrator.services import workflows
from tests.integration.test_routes import API, ROUTES, path_of
from tests.security.doors import DOORS

pytestmark = pytest.mark.django_db(transaction=True)
METHODS = ("get", "post", "put", "patch", "delete")
WHO = (None, "nobody", *ROLE_NAMES)


@pytest.fixture
def stored(live_redis, hello_loops):
    return workflows.create(SYSTEM, hello_loops)


def knock(client, method, path, body):
    """Ask, as a program does, and return the status and the code of the error."""
    answer = getattr(client, method)(path, body, format="json", headers={"Accept": "*/*"})
    if answer.status_code < 400:
        return answer.status_code, None
    return answer.status_code, answer.json()["error"]["code"]


def test_every_route_and_method_has_its_row(stored, api):
    """A method that a view offers, by `OPTIONS` or by not answering 405, is in the table."""
    listed = {(method, resolve(path).route) for method, path, _, _ in DOORS}
    admin = api("admin")
    offered = set()
    for route, demand in ROUTES.items():
        if demand != API:
            continue
        for method in METHODS:
            status, _ = knock(admin, method, path_of(route) + "/", None)
            if status != 405:
                offered.add((method, route))
    assert offered == listed


@pytest.mark.parametrize("role", WHO)
def test_a_role_gets_what_the_table_says(stored, make_user, make_token, tally, role):
    client = APIClient(raise_request_exception=False)
    if role is not None:
        user = make_user(None if role == "nobody" else role)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user)}")
    seen = tally("S2", f"API as {role or 'nobody, without login'}")
    level = 0 if role in (None, "nobody") else Role[role.upper()]
    for method, path, body, action in DOORS:
        with seen.attempt():
            status, code = knock(client, method, path, body)
        if role is None:
            right = status == 401
        elif action is None or level >= ACTIONS[action]:
            right = status == 503 or (status not in (401, 403) and status < 500)
        else:
            right = (status, code) == (403, "not_allowed")
        if not right:
            seen.escaped.append((method, path, status, code))


@pytest.mark.parametrize(
    "action", ["audit.read", "bench.execute", "production.start", "queue.purge", "workflow.read"]
)
def test_one_right_opens_its_doors_and_no_other(stored, make_user, make_token, tally, action):
    """The scope of an admin's token, so that nothing else is there to let it in."""
    client = APIClient(raise_request_exception=False)
    token = make_token(make_user("admin"), scopes=[action])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    seen = tally("S2", "API with a token of one scope")
    for method, path, body, needed in DOORS:
        if needed is None:
            continue
        with seen.attempt():
            status, _ = knock(client, method, path, body)
        if (status == 403) is (needed == action) and not _two_rights(method, path, action):
            seen.escaped.append((method, path, status))


def _two_rights(method, path, action):
    """A door that asks for a second right behind the first."""
    return path in ("/examples/",) or (path.startswith("/credentials/") and method != "get")


def test_the_methods_that_are_not_offered_do_nothing(stored, api, tally):
    admin = api("admin")
    before = Counter(AuditEntry.objects.values_list("action", flat=True))
    listed = {(method, resolve(path).route) for method, path, _, _ in DOORS}
    seen = tally("S2", "methods that there are not")
    for route, demand in ROUTES.items():
        for method in METHODS:
            if demand == API and (method, route) not in listed:
                with seen.attempt():
                    status, _ = knock(admin, method, path_of(route) + "/", None)
                if status != 405:
                    seen.escaped.append((method, route, status))
    assert Counter(AuditEntry.objects.values_list("action", flat=True)) == before


def test_nobody_gets_a_page_without_a_login(tally):
    seen = tally("S2", "pages without a login")
    for route, demand in ROUTES.items():
        if demand == "login":
            with seen.attempt():
                answer = Client().get(path_of(route))
            if answer.status_code != 302 or not answer["Location"].startswith("/login/"):
                seen.escaped.append((route, answer.status_code))
