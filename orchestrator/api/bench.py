"""`/dev/...`: one node at a time."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator.api.asynchronous import Work, answered, posted
from orchestrator.api.base import ResourceView, valid
from orchestrator.api.bench_serializers import (
    CacheAnswer,
    CancelAnswer,
    CancelRequest,
    ExecuteAnswer,
    ExecuteRequest,
    ForgetRequest,
    InputAnswer,
    LoadRequest,
    OverviewAnswer,
    OverviewRequest,
    PinRequest,
    RenderAnswer,
    RenderRequest,
    SessionSerializer,
    UnsavedRequest,
)
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.exceptions import InvalidRequest
from orchestrator.services.bench import execution, load, views
from orchestrator.services.bench.cancel import cancel
from orchestrator.services.bench.request import Bench, BenchRequest, open_bench, open_for
from orchestrator.services.stores import run_async

# Each serves every request: to make one takes longer than all it does.
_EXECUTE, _RENDER = ExecuteRequest(), RenderRequest()
NOT_STORED = "_"
"""Stands in a path for a workflow that was never saved, and is in the body; no slug is like it."""

_CHILD_ERRORS = dict.fromkeys((400, 404, 409, 413, 422, 429, 503, 504), ErrorSerializer)
_ERRORS = dict.fromkeys((404, 503), ErrorSerializer)


@csrf_exempt  # checked with the session in `asking`; a bearer token needs no check
async def execute(request: HttpRequest) -> HttpResponse:
    """Run one node on the bench; it waits for a child in the event loop that holds its pipes."""
    return await answered(request, _execute)


@csrf_exempt
async def render(request: HttpRequest) -> HttpResponse:
    """Preview a template; it waits as `execute` does."""
    return await answered(request, _render)


def _execute(plain: HttpRequest) -> Work:
    actor, wanted = posted(plain, _EXECUTE)
    request = BenchRequest(**wanted)
    return partial(execution.execute, open_for(actor, request), request)


def _render(plain: HttpRequest) -> Work:
    actor, wanted = posted(plain, _RENDER)
    node_id, template, data = (wanted.pop(name) for name in ("node_id", "template", "input"))
    opened = open_bench(actor, "bench.execute", **wanted)
    return partial(views.render, opened, node_id, template, data)


class BenchView(ResourceView):
    def opened(self, action: str, workflow_id: str, **more: Any) -> Bench:
        if workflow_id != NOT_STORED:
            return open_bench(self.actor, action, workflow_id, **more)
        if more.get("workflow") is None:
            raise InvalidRequest(f"{NOT_STORED} is no stored workflow: send a workflow")
        return open_bench(self.actor, action, None, **more)

    def session(self) -> str | None:
        return valid(SessionSerializer, self.request.query_params)["session"]

    def unsaved(self, action: str, workflow_id: str) -> Bench:
        """Open the workflow of the body, or else the stored one."""
        return self.opened(action, workflow_id, **valid(UnsavedRequest, self.request.data))


class CancelView(BenchView):
    @extend_schema(request=CancelRequest, responses={200: CancelAnswer, 409: ErrorSerializer})
    def post(self, request: Request) -> Response:
        """End a node that runs on the bench, with all that it started."""
        wanted = valid(CancelRequest, request.data)
        run_async(
            partial(cancel, self.actor, wanted["workflow_id"], wanted["node_id"], wanted["session"])
        )
        return Response({"cancelled": True})


class OverviewView(BenchView):
    @extend_schema(
        operation_id="dev_cache_overview",
        parameters=[SessionSerializer],
        responses={200: OverviewAnswer, **_ERRORS},
    )
    def get(self, request: Request, workflow_id: str) -> Response:
        """Tell of every node whether what is remembered of it still holds."""
        opened = self.opened("bench.read", workflow_id, session=self.session())
        return Response(run_async(partial(views.overview, opened)))

    @extend_schema(
        operation_id="dev_cache_overview_unsaved",
        request=OverviewRequest,
        responses={200: OverviewAnswer, 400: ErrorSerializer, **_ERRORS},
    )
    def post(self, request: Request, workflow_id: str) -> Response:
        """Tell it for the workflow as it is being changed, which is not saved.

        `_` stands for the id of one that was never saved.
        """
        opened = self.opened("bench.read", workflow_id, **valid(OverviewRequest, request.data))
        return Response(run_async(partial(views.overview, opened)))


class CacheView(BenchView):
    @extend_schema(parameters=[SessionSerializer], responses={200: CacheAnswer, **_ERRORS})
    def get(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return what is remembered of a node, and whether it still holds."""
        opened = self.opened("bench.read", workflow_id, session=self.session())
        return Response(run_async(partial(views.look, opened, node_id)))

    @extend_schema(
        operation_id="dev_cache_unsaved",
        request=UnsavedRequest,
        responses={200: CacheAnswer, 400: ErrorSerializer, **_ERRORS},
    )
    def post(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return it for a node of the workflow as it is being changed."""
        opened = self.unsaved("bench.read", workflow_id)
        return Response(run_async(partial(views.look, opened, node_id)))

    @extend_schema(
        request=PinRequest,
        responses={200: CacheAnswer, 409: ErrorSerializer, 413: ErrorSerializer, **_ERRORS},
    )
    def put(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Pin data as a node's output."""
        wanted = valid(PinRequest, request.data)
        where = {name: wanted.pop(name) for name in ("session", "workflow")}
        opened = self.opened("bench.write", workflow_id, **where)
        return Response(run_async(partial(views.pin, opened, node_id, **wanted)))

    @extend_schema(parameters=[SessionSerializer], responses={204: None, **_ERRORS})
    def delete(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Forget a node's output, its given input and its cursor."""
        opened = self.opened("bench.write", workflow_id, session=self.session())
        run_async(partial(views.forget, opened, node_id))
        return Response(status=204)


class ForgetView(BenchView):
    @extend_schema(request=ForgetRequest, responses={204: None, 400: ErrorSerializer, **_ERRORS})
    def post(self, request: Request) -> Response:
        """Forget the same of a node of the workflow as it is being changed."""
        wanted = valid(ForgetRequest, request.data)
        node_id = wanted.pop("node_id")
        run_async(partial(views.forget, open_bench(self.actor, "bench.write", **wanted), node_id))
        return Response(status=204)


class InputView(BenchView):
    @extend_schema(parameters=[SessionSerializer], responses={200: InputAnswer, **_CHILD_ERRORS})
    def get(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return what a node would be given, and the paths that its templates may name."""
        opened = self.opened("bench.read", workflow_id, session=self.session())
        return Response(run_async(partial(views.merged_input, opened, node_id)))

    @extend_schema(
        operation_id="dev_input_unsaved",
        request=UnsavedRequest,
        responses={200: InputAnswer, **_CHILD_ERRORS},
    )
    def post(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return it for a node of the workflow as it is being changed."""
        opened = self.unsaved("bench.read", workflow_id)
        return Response(run_async(partial(views.merged_input, opened, node_id)))


class LoadView(BenchView):
    @extend_schema(
        request=LoadRequest,
        responses={
            200: CacheAnswer,
            **dict.fromkeys((400, 404, 409, 413, 503), ErrorSerializer),
        },
    )
    def post(self, request: Request) -> Response:
        """Load what production has seen: a dead letter, a tap sample, an entry of a queue."""
        wanted = valid(LoadRequest, request.data)
        where = {name: wanted[name] for name in ("session", "workflow")}
        opened = self.opened("bench.write", wanted["workflow_id"], **where)
        found = load.find(opened, wanted["source"], wanted["kind"], wanted["node_id"])
        return Response(run_async(partial(load.put, opened, found)))


class _ExecuteSchema(APIView):
    """How `execute` is described at `/schema/`; it serves nothing."""

    @extend_schema(request=ExecuteRequest, responses={200: ExecuteAnswer, **_CHILD_ERRORS})
    def post(self, request: Request) -> Response:
        """Run one node with the cached outputs of its upstream nodes."""
        raise NotImplementedError


class _RenderSchema(APIView):
    """How `render` is described at `/schema/`; it serves nothing."""

    @extend_schema(request=RenderRequest, responses={200: RenderAnswer, **_CHILD_ERRORS})
    def post(self, request: Request) -> Response:
        """Preview a template with the input that its node would be given."""
        raise NotImplementedError


execute.cls, execute.initkwargs = _ExecuteSchema, {}  # type: ignore[attr-defined]
render.cls, render.initkwargs = _RenderSchema, {}  # type: ignore[attr-defined]
