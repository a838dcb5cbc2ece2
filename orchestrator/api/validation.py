"""`/dev/validate`: what is wrong with a workflow that is being edited."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView, valid
from orchestrator.api.serializers import ErrorSerializer, ProblemSerializer
from orchestrator.services import validation


class WorkflowToValidate(serializers.Serializer):
    workflow = serializers.JSONField(help_text="A workflow's JSON, or whatever it is so far.")


class PortsSerializer(serializers.Serializer):
    inputs = serializers.ListField(child=serializers.CharField())
    outputs = serializers.ListField(child=serializers.CharField())


class Validation(serializers.Serializer):
    valid = serializers.BooleanField()
    problems = ProblemSerializer(many=True)
    warnings = ProblemSerializer(many=True)
    nodes = serializers.DictField(child=ProblemSerializer(many=True))
    edges = serializers.DictField(child=ProblemSerializer(many=True))
    ports = serializers.DictField(child=PortsSerializer())
    queues = serializers.DictField(child=serializers.CharField())


class ValidateWorkflowView(ResourceView):
    @extend_schema(request=WorkflowToValidate, responses={200: Validation, 400: ErrorSerializer})
    def post(self, request: Request) -> Response:
        """Return every problem of a workflow, by node and by edge, and store nothing."""
        wanted = valid(WorkflowToValidate, request.data)
        return Response(validation.validate(self.actor, wanted["workflow"]))
