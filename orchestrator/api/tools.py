"""`/tools`: functions by name."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nodes.tools import Tool
from orchestrator.api.asynchronous import Work, answered, posted
from orchestrator.api.base import ResourceView
from orchestrator.api.graph_serializers import ToolCall, ToolDetail, ToolResult, ToolsAnswer
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import tools

_CALL = ToolCall()


class ToolsView(ResourceView):
    @extend_schema(operation_id="tools_list", responses=ToolsAnswer)
    def get(self, request: Request) -> Response:
        """List the tools by name."""
        return Response({"results": [_row(tool) for tool in tools.list_all(self.actor)]})


class ToolView(ResourceView):
    @extend_schema(responses={200: ToolDetail, 404: ErrorSerializer})
    def get(self, request: Request, name: str) -> Response:
        """Return a tool with the JSON Schema of its arguments."""
        tool, schema = tools.get(self.actor, name)
        return Response({**_row(tool), "arguments": schema})


@csrf_exempt  # checked with the session in `asking`; a bearer token needs no check
async def call(request: HttpRequest, name: str) -> HttpResponse:
    """Call a tool; it waits in the event loop for the worker that does it."""
    return await answered(request, partial(_prepare, name))


def _prepare(name: str, plain: HttpRequest) -> Work:
    actor, wanted = posted(plain, _CALL)
    return partial(tools.call, tools.prepare(actor, name, **wanted))


class _CallSchema(APIView):
    """How `call` is described at `/schema/`; it serves nothing."""

    @extend_schema(
        operation_id="tools_call",
        request=ToolCall,
        responses={
            200: ToolResult,
            **dict.fromkeys((400, 404, 422, 503, 504), ErrorSerializer),
        },
    )
    def post(self, request: Request, name: str) -> Response:
        """Let a worker call a tool, and wait for the result."""
        raise NotImplementedError


call.cls, call.initkwargs = _CallSchema, {}  # type: ignore[attr-defined]


def _row(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "signature": f"{tool.name}{tool.signature}",
    }
