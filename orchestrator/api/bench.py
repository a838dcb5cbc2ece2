"""`/dev/...`: one node at a time."""

from functools import partial

from asgiref.sync import sync_to_async
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator.api.authentication import actor_of_request, framework_request
from orchestrator.api.base import ResourceView, valid
from orchestrator.api.errors import answer_of, json_response
from orchestrator.api.serializers import (
    CacheAnswer,
    ErrorSerializer,
    ExecuteAnswer,
    ExecuteRequest,
    PinRequest,
    SessionSerializer,
)
from orchestrator.security.actors import Actor
from orchestrator.services import bench
from orchestrator.services.bench_request import BenchRequest
from orchestrator.services.stores import run_async

_CACHE_ANSWERS = {200: CacheAnswer, 404: ErrorSerializer}


@csrf_exempt  # checked with the session in `actor_of_request`; a bearer token needs no check
async def execute(request: HttpRequest) -> JsonResponse:
    """Run one node on the bench; it waits for a child in the event loop that holds its pipes."""
    try:
        actor, wanted = await sync_to_async(_parse)(request)
        return JsonResponse(await bench.execute(actor, wanted))
    except Exception as error:
        answer = answer_of(error)
        if answer is None:
            raise
        return json_response(answer)


def _parse(plain: HttpRequest) -> tuple[Actor, BenchRequest]:
    request = framework_request(plain)
    actor = actor_of_request(request)
    if request.method != "POST":
        raise MethodNotAllowed(request.method or "")
    return actor, BenchRequest(**valid(ExecuteRequest, request.data))


class CacheView(ResourceView):
    @extend_schema(parameters=[SessionSerializer], responses=_CACHE_ANSWERS)
    def get(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return what is cached of a node, and whether it still holds."""
        session = valid(SessionSerializer, request.query_params)["session"]
        look = partial(bench.look, self.actor, workflow_id, node_id, session)
        return Response(run_async(look))

    @extend_schema(request=PinRequest, responses=_CACHE_ANSWERS)
    def put(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Pin data as a node's output."""
        wanted = valid(PinRequest, request.data)
        pin = partial(bench.pin, self.actor, workflow_id, node_id, **wanted)
        return Response(run_async(pin))

    @extend_schema(parameters=[SessionSerializer], responses={204: None, 404: ErrorSerializer})
    def delete(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Forget what is cached of a node."""
        session = valid(SessionSerializer, request.query_params)["session"]
        run_async(partial(bench.forget, self.actor, workflow_id, node_id, session))
        return Response(status=204)


class _ExecuteSchema(APIView):
    """How `execute` is described at `/schema/`; it serves nothing."""

    @extend_schema(
        request=ExecuteRequest,
        responses={
            200: ExecuteAnswer,
            **dict.fromkeys((400, 404, 409, 422, 429, 503, 504), ErrorSerializer),
        },
    )
    def post(self, request: Request) -> Response:
        """Run one node with the cached outputs of its upstream nodes."""
        raise NotImplementedError


execute.cls, execute.initkwargs = _ExecuteSchema, {}  # type: ignore[attr-defined]
