"""`/nodes/`: the node types there are, and their forms."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView, valid
from orchestrator.api.form_serializers import (
    FormAnswer,
    FormRequest,
    ValidateAnswer,
    ValuesRequest,
)
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import nodes

_ERRORS = dict.fromkeys((400, 404, 422), ErrorSerializer)


class NodesView(ResourceView):
    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """List the node types, and those that could not be loaded."""
        return Response(nodes.list_all(self.actor))


class NodeFormView(ResourceView):
    @extend_schema(responses={200: FormAnswer, **_ERRORS})
    def get(self, request: Request, node_type: str) -> Response:
        """Return the form of a node type, with its JSON Schema."""
        return Response(nodes.form(self.actor, node_type))

    @extend_schema(request=FormRequest, responses={200: FormAnswer, **_ERRORS})
    def post(self, request: Request, node_type: str) -> Response:
        """Return the form with these values: choices, errors and what is shown."""
        wanted = valid(FormRequest, request.data)
        return Response(nodes.fill_form(self.actor, node_type, **wanted))


class ValidateView(ResourceView):
    @extend_schema(request=ValuesRequest, responses={200: ValidateAnswer, **_ERRORS})
    def post(self, request: Request, node_type: str) -> Response:
        """Check values as saving a workflow does, and store nothing."""
        wanted = valid(ValuesRequest, request.data)
        return Response(nodes.validate_form(self.actor, node_type, **wanted))
