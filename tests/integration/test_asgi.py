"""What stands before Django: the limit on bodies, and the life of the process."""

import asyncio

import pytest
from asgiref.testing import ApplicationCommunicator

from config.asgi import application
from orchestrator.api.parsers import MAX_BODY
from orchestrator.services import stores


def request(headers=()):
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/workflows/",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
    }
    return ApplicationCommunicator(application, scope)


async def status(communicator):
    return (await communicator.receive_output(5))["status"]


async def test_a_body_that_says_it_is_too_large_is_not_read():
    communicator = request([(b"content-length", str(MAX_BODY + 1).encode())])
    assert await status(communicator) == 413


@pytest.mark.django_db(transaction=True)
async def test_a_body_that_turns_out_too_large_is_cut_off():
    communicator = request()
    chunk = {"type": "http.request", "body": b"x" * (MAX_BODY // 2), "more_body": True}
    for _ in range(3):
        await communicator.send_input(chunk)
    assert await status(communicator) == 413


@pytest.mark.django_db(transaction=True)
async def test_the_process_opens_and_closes_what_it_shares():
    lifespan = ApplicationCommunicator(application, {"type": "lifespan"})
    await lifespan.send_input({"type": "lifespan.startup"})
    assert (await lifespan.receive_output(5))["type"] == "lifespan.startup.complete"
    assert asyncio.get_running_loop() in stores._stores
    await lifespan.send_input({"type": "lifespan.shutdown"})
    assert (await lifespan.receive_output(5))["type"] == "lifespan.shutdown.complete"
    assert asyncio.get_running_loop() not in stores._stores
    await lifespan.wait(5)
