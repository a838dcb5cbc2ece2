"""The short way to the bench gives what the long way through all middleware gives."""

import pytest
from asgiref.testing import ApplicationCommunicator

from config.asgi import application, http_application
from orchestrator.api.direct import DirectPaths

pytestmark = pytest.mark.django_db(transaction=True)
BODY = b'{"workflow": {"name": "w", "nodes": [{"id": "1", "type": "counter"}]}, "node_id": "1"}'
CHANGING = {b"content-length"}


@pytest.fixture
def token(make_user, make_token):
    return make_token(make_user("editor"))


def request(token, *, app=application, path="/dev/execute", host=b"testserver", method="POST"):
    headers = [(b"host", host), (b"content-type", b"application/json")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
    }
    return ApplicationCommunicator(app, scope)


async def answer(communicator, body=BODY):
    await communicator.send_input({"type": "http.request", "body": body})
    start = await communicator.receive_output(30)
    end = await communicator.receive_output(30)
    await communicator.wait(5)
    headers = {k.lower(): v for k, v in start["headers"] if k.lower() not in CHANGING}
    return start["status"], headers, end["body"]


async def test_both_ways_answer_alike(shared_store, token):
    for changed in (
        {},
        {"token": "wo_" + "x" * 43},
        {"token": "nonsense"},
        {"host": b"elsewhere.example"},
        {"method": "GET"},
        {"body": b"{"},
    ):
        body = changed.pop("body", BODY)
        given = {"token": token, **changed}
        short = await answer(request(**given), body)
        long = await answer(request(**given, app=http_application), body)
        assert short[:2] == long[:2], changed
        assert short[0] == 200 or short[2] == long[2], changed


async def test_who_sends_no_token_goes_the_long_way(shared_store):
    status, headers, _ = await answer(request(None))
    assert status == 401
    assert b"vary" in headers  # the session was looked at


async def test_nothing_goes_around_middleware_of_others(shared_store, token, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.middleware.Own"]
    seen = []

    async def long_way(scope, receive, send):
        seen.append(scope["path"])

    await request(token, app=DirectPaths(long_way)).wait(5)
    assert seen == ["/dev/execute"]
