"""The OpenAPI schema, and what drf-spectacular cannot find out by itself."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response


class BearerScheme(OpenApiAuthenticationExtension):
    """Describes BearerAuthentication."""

    target_class = "orchestrator.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "wo_..."}


class SchemaView(SpectacularAPIView):
    """The schema of the one version there is, in one language."""

    # Otherwise `?version=` goes into a header as it is, and a NUL in it ends the connection.
    api_version = settings.SPECTACULAR_SETTINGS["VERSION"]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Return the schema as YAML or JSON."""
        return self._get_schema_response(request)


class DocsView(SpectacularSwaggerSplitView):
    """The API's page; its script is a request of its own, for no page has one inside."""

    template_name = "orchestrator/docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Return the page, or with `?script` its script."""
        answer = super().get(request)
        answer.data["page"] = "docs"
        return answer
