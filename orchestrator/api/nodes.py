"""`/nodes/`: the node types there are, and their forms."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import nodes


class NodesView(ResourceView):
    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """List the node types, and those that could not be loaded."""
        return Response(nodes.list_all(self.actor))


class NodeFormView(ResourceView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT, 404: ErrorSerializer})
    def get(self, request: Request, node_type: str) -> Response:
        """Return the form of a node type, with its JSON Schema."""
        return Response(nodes.form(self.actor, node_type))
