"""Logins by guessing (S13), and requests that another site makes a browser send (S15)."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from orchestrator.models import AuditEntry, LoginCount
from orchestrator.security.actors import SYSTEM
from orchestrator.services import logins, workflows
from tests.security.doors import DOORS

pytestmark = pytest.mark.django_db(transaction=True)
RIGHT = "a-long-password"
_addresses = (f"203.0.113.{n}" for n in itertools.cycle(range(1, 255)))


@pytest.fixture
def tried(transactional_db):
    """Return how many passwords were looked at and found wrong since the test began."""
    last = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    return lambda: AuditEntry.objects.filter(id__gt=last, action="login.failed").count()


def log_in(name, password, **headers):
    try:
        client = Client(REMOTE_ADDR=headers.pop("address", "198.51.100.7"), headers=headers)
        answer = client.post("/login/", {"username": name, "password": password})
        return answer.status_code == 302, answer
    finally:
        connections.close_all()


def storm(requests):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda given: log_in(*given[0], **given[1]), requests))


def test_a_hundred_guesses_of_one_account_are_ten(make_user, tried, tally):
    make_user("admin")
    seen = tally("S13", "100 logins at once, one account")
    with seen.attempt():
        answers = storm(
            (("admin", f"guess-{n}"), {"address": f"203.0.113.{n}"}) for n in range(100)
        )
    seen.tried = len(answers)
    assert tried() == logins.PER_ACCOUNT
    if any(inside for inside, _ in answers) or log_in("admin", RIGHT)[0]:
        seen.escaped.append("a login over the limit")


def test_a_hundred_guesses_from_one_address_are_fifty(make_user, tried, tally):
    make_user("admin")
    seen = tally("S13", "100 logins at once, one address, X-Forwarded-For")
    with seen.attempt():
        answers = storm(
            ((f"user{n}", "guess"), {"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(100)
        )
    seen.tried = len(answers)
    assert tried() == logins.PER_ADDRESS
    if log_in("admin", RIGHT)[0]:
        seen.escaped.append("a login over the limit")
    assert log_in("admin", RIGHT, address="198.51.100.8")[0]


def test_one_network_of_the_new_kind_is_one_address():
    keys = [
        logins.counts_of("x", a)[1][0]
        for a in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "::ffff:1.2.3.4", "1.2.3.4")
    ]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4]


def test_the_answer_tells_nothing(make_user):
    """Of a wrong password, a name that there is not, and a locked account with the right one."""
    make_user("viewer")

    def told(name, password):
        page = log_in(name, password, address=next(_addresses))[1]
        kept = [line for line in page.content.decode().splitlines() if "csrf" not in line]
        return page.status_code, "\n".join(kept).replace(name, "NAME")

    wrong, unknown = told("viewer", "wrong"), told("nobody", "wrong")
    for _ in range(logins.PER_ACCOUNT):
        told("viewer", "wrong")
    assert wrong == unknown == told("viewer", RIGHT)


def test_a_name_that_there_is_not_costs_as_much(make_user, monkeypatch):
    make_user("viewer")
    hashed, encode = [], MD5PasswordHasher.encode

    def counting(self, password, salt):
        hashed.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    log_in("viewer", "wrong", address=next(_addresses))
    log_in("nobody", "wrong", address=next(_addresses))
    assert len(hashed) == 2


def test_a_right_password_begins_the_count_anew(make_user):
    make_user("viewer")
    for _ in range(3):
        for _ in range(logins.PER_ACCOUNT - 1):
            log_in("viewer", "wrong", address=next(_addresses))
        assert log_in("viewer", RIGHT, address=next(_addresses))[0]


def test_the_lock_ends(make_user):
    make_user("viewer")
    for _ in range(logins.PER_ACCOUNT):
        log_in("viewer", "wrong")
    assert not log_in("viewer", RIGHT)[0]
    LoginCount.objects.update(since=timezone.now() - logins.WINDOW - timedelta(seconds=1))
    assert log_in("viewer", RIGHT)[0]


def test_the_admins_login_is_behind_the_same_limit(make_user, tried):
    make_user("superuser")
    for _ in range(logins.PER_ACCOUNT + 5):
        Client().post("/admin/login/", {"username": "superuser", "password": "wrong"})
    assert tried() == logins.PER_ACCOUNT


@pytest.fixture
def browser(live_redis, make_user, hello_loops):
    """A browser with the session of an admin, as another site can use it: without the token."""
    workflows.create(SYSTEM, hello_loops)
    client = Client(enforce_csrf_checks=True, headers={"Origin": "https://evil.example"})
    client.force_login(make_user("superuser"))
    return client


def test_another_site_changes_nothing(browser, tally):
    seen = tally("S15", "POST, PUT, PATCH, DELETE by another site")
    doors = [(m, path, body) for m, path, body, _ in DOORS if m != "get"]
    doors += [("post", "/logout/", {}), ("post", "/admin/orchestrator/workflow/", {})]
    before = everything()
    for method, path, body in doors:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            with seen.attempt():
                answer = getattr(browser, method)(path, body or {}, content_type=kind)
            if answer.status_code not in (403, 415):
                seen.escaped.append((method, path, kind, answer.status_code))
    assert everything() == before


def test_a_get_changes_nothing(browser, tally):
    seen = tally("S15", "GET by another site")
    before = everything()
    for method, path, _, _ in DOORS:
        if method == "get":
            with seen.attempt():
                answer = browser.get(path)
            if any(name.lower().startswith("access-control") for name in answer.headers):
                seen.escaped.append((path, "CORS"))
    assert everything() == before


def test_no_other_site_may_read(browser, tally):
    seen = tally("S15", "preflight of another site")
    for method, path, _, _ in DOORS:
        with seen.attempt():
            answer = browser.options(path, headers={"Access-Control-Request-Method": method})
        if any(name.lower().startswith("access-control") for name in answer.headers):
            seen.escaped.append((method, path))


def test_cookies_stay_at_home():
    assert settings.SESSION_COOKIE_HTTPONLY and settings.SESSION_COOKIE_SAMESITE == "Lax"


def everything():
    """Return all rows of the database that are ours or of users."""
    models = [*apps.get_app_config("orchestrator").get_models(), User]
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in models
        if model.__name__ not in ("Action", "Runner")
    }
