"""`/healthz` for whoever restarts processes, `/readyz` for people."""

from django.http import HttpRequest, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.services import health


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; it asks nothing of anybody."""
    return JsonResponse({"status": "ok"})


class ReadyView(ResourceView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT, 503: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Tell whether the database and Redis are there, and how many runners are alive."""
        answer = health.ready(self.actor)
        return Response(answer, status=200 if answer["ready"] else 503)
