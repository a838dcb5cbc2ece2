"""Views that wait in the event loop for another process, instead of in a thread."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.serializers import Serializer

from orchestrator.api.authentication import asking, framework_request
from orchestrator.api.errors import answer_of, json_response
from orchestrator.security.actors import Actor

Work = Callable[[], Awaitable[Any]]
Prepare = Callable[[HttpRequest], Work]


async def answered(request: HttpRequest, prepare: Prepare) -> HttpResponse:
    """Do all that is synchronous in one hop to a thread, then the rest here.

    The work returns the body of the answer, or a pair of it and the status.
    """
    try:
        work = await database_sync_to_async(prepare, thread_sensitive=False)(request)
        done = await work()
    except Exception as error:
        answer = answer_of(error)
        if answer is None:
            raise
        return json_response(answer)
    body, status = done if isinstance(done, tuple) else (done, 200)
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


def posted(plain: HttpRequest, shape: Serializer) -> tuple[Actor, dict[str, Any]]:
    """Return who sends a POST, and what."""
    request = framework_request(plain)
    actor = asking(request)
    if request.method != "POST":
        raise MethodNotAllowed(request.method or "")
    return actor, shape.run_validation(request.data)
