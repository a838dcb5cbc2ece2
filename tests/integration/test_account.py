"""`/account/`: a page asks who it is shown to, and with which role."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["viewer", "operator", "editor", "admin"])
def test_a_role_is_told(api, role):
    client = api(role)
    assert client.get("/account/").json() == {"username": role, "role": role}


def test_a_role_that_was_taken_away_is_told_at_once(api):
    client = api("editor")
    client.user.groups.clear()
    assert client.get("/account/").json() == {"username": "editor", "role": None}


def test_nobody_else_is_told(client):
    assert client.get("/account/").status_code == 401
