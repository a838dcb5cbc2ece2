"""Redaction: which values are secrets, and what is left of the rest."""

import sys

import pytest

from orchestrator.security.redaction import REDACTED, is_secret, redact


@pytest.mark.parametrize(
    "key",
    [
        *("password", "Password", "db_password", "passwordHash", "PASSWD", "user.passwd", "pwd"),
        *("secret", "client-secret", "secrets", "token", "accessToken", "refresh token", "TOKENS"),
        *("api_key", "apiKey", "APIKEY", "x-api-key", "api key", "api.key", "Authorization"),
        *("proxy-authorization", "Cookie", "set-cookie", "private_key", "privateKey", "credential"),
        *(
            "credentials",
            "aws_access_key_id",
            "AWS_SECRET_ACCESS_KEY",
            "session_id",
            "x" * 300 + "_token",
        ),
    ],
)
def test_a_key_names_a_secret(key):
    assert is_secret(key)
    assert redact({key: "canary"}).value == {key: REDACTED}


@pytest.mark.parametrize(
    "key",
    ["name", "id", "author", "key", "keys", "pass", "passed", "monkey", "session", "", 5, None],
)
def test_other_keys_do_not(key):
    assert not is_secret(key)


@pytest.mark.parametrize("secret", ["canary", 5, None, ["canary"], {"deep": {"er": "canary"}}])
def test_whatever_is_under_the_key_goes(secret):
    found = redact({"a": [{"b": [{"api_key": secret, "left": 1}, [{"token": secret}]]}]})
    assert found.value == {"a": [{"b": [{"api_key": REDACTED, "left": 1}, [{"token": REDACTED}]]}]}
    assert found.found and found.whole


@pytest.mark.parametrize(
    "value", [None, True, 5, 1.5, "token", [], {}, ["password", "x"], {"a": [1, {"b": [None]}]}]
)
def test_what_holds_no_secret_stays_as_it_is(value):
    found = redact(value)
    assert found.value == value
    assert not found.found and found.whole


def test_the_given_value_is_not_touched():
    value = {"password": "canary", "rows": [{"token": "canary"}]}
    redact(value)
    assert value == {"password": "canary", "rows": [{"token": "canary"}]}


def test_depth_is_no_obstacle():
    depth = sys.getrecursionlimit() * 20
    value = leaf = {}
    for _ in range(depth):
        leaf["a"] = leaf = {}
    leaf["password"] = "canary"
    found = redact(value)
    below = found.value
    for _ in range(depth):
        below = below["a"]
    assert below == {"password": REDACTED}


def test_what_has_no_room_is_cut():
    found = redact({"first": "a" * 50, "rows": list(range(1000)), "password": "canary"}, 100)
    assert not found.whole
    assert found.value["first"] == "a" * 50
    assert found.value["rows"] == list(range(len(found.value["rows"])))
    assert len(found.value["rows"]) < 30


def test_a_long_text_is_cut():
    found = redact({"text": "a" * 1_000_000}, 100)
    assert not found.whole
    assert len(found.value["text"]) <= 100


def test_what_contains_itself_is_cut():
    value = {"n": 1}
    value["again"] = value
    assert not redact(value, 1000).whole
