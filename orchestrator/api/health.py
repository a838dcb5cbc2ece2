"""`/healthz` for whoever restarts processes, `/readyz` for whoever sends them requests."""

from django.db import Error
from django.http import HttpRequest, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orchestrator.api.authentication import asking, framework_request
from orchestrator.security.actors import Actor
from orchestrator.services import health


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; it asks nothing of anybody."""
    return JsonResponse({"status": "ok"})


class ReadyView(APIView):
    """It answers without a login, for load balancers and probes have none."""

    authentication_classes = ()
    permission_classes = ()

    def perform_authentication(self, request: Request) -> None:
        """Leave the session as it is: without authenticators it would be made nobody's."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT, 503: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Tell whether requests can be served: database, migrations, keys and Redis.

        Whoever may `health.read` is told why not, and how many runners and workers are alive.
        """
        checked = health.checks()
        actor = _known(request) if checked["database"] == health.OK else None
        answer = health.ready(checked, actor)
        return Response(answer, status=200 if answer["ready"] else 503)


def _known(request: Request) -> Actor | None:
    try:
        return asking(framework_request(request._request))
    except (APIException, Error):
        return None
