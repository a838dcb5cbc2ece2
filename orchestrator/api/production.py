"""`/prod/...`: what an operator wants of a workflow."""

from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView, valid
from orchestrator.api.serializers import (
    ErrorSerializer,
    ProductionRequest,
    StartRequest,
    StatusSerializer,
    StatusWithRunners,
    StopRequest,
)
from orchestrator.services import production
from orchestrator.services.production import Change

_ANSWERS = {
    200: StatusSerializer,
    202: StatusSerializer,
    404: ErrorSerializer,
    409: ErrorSerializer,
}


def answer(change: Change) -> Response:
    """202 when runners have something to do now, 200 when it was so already."""
    return Response(change.status, status=202 if change.changed else 200)


class StartView(ResourceView):
    @extend_schema(request=StartRequest, responses=_ANSWERS)
    def post(self, request: Request) -> Response:
        """Start a workflow, or let it go on."""
        wanted = valid(StartRequest, request.data)
        change = production.start(
            self.actor,
            wanted["workflow_id"],
            loop=wanted["loop"],
            origin=wanted["origin"],
            number=wanted["version"],
        )
        return answer(change)


class StopView(ResourceView):
    @extend_schema(request=StopRequest, responses=_ANSWERS)
    def post(self, request: Request) -> Response:
        """Stop a workflow or one loop after the item in hand, or at once."""
        wanted = valid(StopRequest, request.data)
        change = production.stop(
            self.actor, wanted["workflow_id"], loop=wanted["loop"], force=wanted["force"]
        )
        return answer(change)


class _ChangeView(ResourceView):
    change: ClassVar[Callable[..., Change]]

    @extend_schema(request=ProductionRequest, responses=_ANSWERS)
    def post(self, request: Request) -> Response:
        """Change what is desired of a workflow or of one loop."""
        wanted = valid(ProductionRequest, request.data)
        return answer(type(self).change(self.actor, wanted["workflow_id"], loop=wanted["loop"]))


class PauseView(_ChangeView):
    change = staticmethod(production.pause)


class ResumeView(_ChangeView):
    change = staticmethod(production.resume)


class DrainView(_ChangeView):
    change = staticmethod(production.drain)


class StatusView(ResourceView):
    @extend_schema(responses={200: StatusWithRunners, 404: ErrorSerializer})
    def get(self, request: Request, workflow_id: str) -> Response:
        """Tell what a workflow does."""
        return Response(production.status(self.actor, workflow_id))
