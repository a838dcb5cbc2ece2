"""`/webhooks/<path>`: requests of other systems, into the inbox of a loop.

No login of ours is asked for: what a request has to prove is in the webhook's own settings.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nodes.contract import Json
from orchestrator.api.errors import answer_of, json_response, plain
from orchestrator.api.headers import POLICY_HEADER
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.api.webhook_bodies import body_of
from orchestrator.exceptions import Busy, InvalidRequest, PayloadTooLarge
from orchestrator.services import webhook_checks, webhooks
from orchestrator.services.webhooks import Hook, Taken
from storage.codec import encode

AT_ONCE = 200
"""Requests that this process has in hand, those that wait for an answer aside."""
WAITING = 100
"""Requests that wait for the answer of a workflow in this process."""
MAX_KEY = 255


class TakenAnswer(serializers.Serializer[Any]):
    """A request that is stored."""

    id = serializers.CharField()
    repeated = serializers.BooleanField(help_text="It had been taken before, by its key.")


ANSWER_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""What a workflow answers is anybody's: shown by a browser, it has no origin and runs nothing."""


class _Seats:
    def __init__(self, count: int) -> None:
        self._free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raise Busy when there is none. Belongs to one event loop."""
        if not self._free:
            raise Busy("this process has as many webhook requests in hand as it may; try again")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


_hands, _waiting = _Seats(AT_ONCE), _Seats(WAITING)


class _OtherMethod(MethodNotAllowed):
    def __init__(self, method: str, hook: Hook) -> None:
        super().__init__(method)
        self.allowed = ", ".join(hook.settings["methods"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A request that may be taken. `mark` tells it from others with the same key."""

    hook: Hook
    data: dict[str, Json]
    key: str
    mark: str

    async def take(self) -> Taken:
        return await webhooks.take(self.hook, self.data, key=self.key, mark=self.mark)


def _described(name: str, told: str, body: Any = OpenApiTypes.ANY) -> Any:
    """Describe a method. What a workflow answers may be anything, with any status."""
    return extend_schema(
        operation_id=name,
        description=f"{told} What it has to prove is in the settings of the webhook.",
        request=body,
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        responses={
            202: TakenAnswer,
            **dict.fromkeys((400, 404, 405, 413, 415, 422, 429, 503, 504), ErrorSerializer),
            "default": OpenApiResponse(OpenApiTypes.ANY, "What an http-response node answers."),
        },
    )


@csrf_exempt  # a cookie proves nothing here
async def receive(request: HttpRequest, path: str) -> HttpResponse:
    """Take a request: 202 when it is stored, or what the workflow answers."""
    try:
        with _hands.one():
            found = await database_sync_to_async(_read, thread_sensitive=False)(request, path)
            if not found.hook.waits:
                return _accepted(await found.take())
        with _waiting.one():
            taken = await found.take()
            return _answered(await webhooks.answer(found.hook, taken))
    except _OtherMethod as error:
        response = json_response(answer_of(error) or plain(405, ""))
        response["Allow"] = error.allowed
        return response
    except Exception as error:
        answer = answer_of(error)
        if answer is None:
            raise
        return json_response(answer)


class _ReceiveSchema(APIView):
    """How `receive` is described at `/schema/`; it serves nothing."""

    authentication_classes = ()
    permission_classes = ()

    @_described("webhook_post", "Send a request to a workflow that runs.")
    def post(self, request: Request, path: str) -> Response:
        raise NotImplementedError

    @_described("webhook_put", "Send a request to a workflow that runs, by PUT.")
    def put(self, request: Request, path: str) -> Response:
        raise NotImplementedError

    @_described("webhook_get", "Send a request without a body to a workflow that runs.", None)
    def get(self, request: Request, path: str) -> Response:
        raise NotImplementedError


receive.cls, receive.initkwargs = _ReceiveSchema, {}  # type: ignore[attr-defined]


def _read(request: HttpRequest, path: str) -> _Request:
    """Do all that is synchronous: look the path up, check the request, read it."""
    hook = webhooks.find(path)
    settings = hook.settings
    if request.method not in settings["methods"]:
        raise _OtherMethod(request.method or "", hook)
    raw = request.body
    if len(raw) > settings["max_bytes"]:
        raise PayloadTooLarge(f"the body has more than {settings['max_bytes']} bytes")
    headers = {name.lower(): value for name, value in request.headers.items()}
    private = webhook_checks.check(hook, headers, raw)
    key = headers.get(settings["idempotency_header"].lower(), "")
    if len(key) > MAX_KEY:
        raise InvalidRequest(f"an idempotency key has at most {MAX_KEY} characters")
    data = {
        "method": request.method,
        "path": hook.path,
        "query": _query(request),
        "headers": {name: value for name, value in headers.items() if name not in private},
        "body": body_of(headers.get("content-type", ""), raw),
    }
    address = f"{request.method} {request.get_full_path()}\n".encode()
    return _Request(hook=hook, data=data, key=key, mark=hashlib.sha256(address + raw).hexdigest())


def _query(request: HttpRequest) -> dict[str, Json]:
    lists = request.GET.lists()
    return {name: values if len(values) > 1 else values[0] for name, values in lists}


def _accepted(taken: Taken) -> HttpResponse:
    body = orjson.dumps({"id": taken.id, "repeated": taken.repeated})
    return HttpResponse(body, status=202, content_type="application/json")


def _answered(given: dict[str, Json]) -> HttpResponse:
    body, kind = given["body"], given["content_type"]
    if isinstance(body, str):
        content, kind = body.encode(), kind or "text/plain; charset=utf-8"
    else:
        content = b"" if body is None else encode(body)
        kind = kind or "application/json"
    response = HttpResponse(content, status=given["status"], content_type=kind)
    response[POLICY_HEADER] = ANSWER_POLICY
    response["Cache-Control"] = "no-store"
    return response
