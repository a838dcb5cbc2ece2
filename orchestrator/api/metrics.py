"""`/metrics`, which Prometheus asks for."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from orchestrator.api.base import ResourceView
from orchestrator.services import metrics


class MetricsView(ResourceView):
    def perform_content_negotiation(self, request: Request, force: bool = False) -> object:
        """Leave it to the text itself: there are two formats, both of them are text."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """Return the metrics of the system as text for Prometheus."""
        body, content_type = metrics.exposition(self.actor, request.headers.get("Accept", ""))
        return HttpResponse(body, content_type=content_type)
