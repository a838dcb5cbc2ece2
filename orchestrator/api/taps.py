"""`/dev/taps/`: what a node got and gave in production a moment ago."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import taps


class SampleSerializer(serializers.Serializer):
    """One call of a node. `at` is in seconds since the epoch; `input` is null for what begins a
    loop, `output` for a node that passed nothing on or raised the `error`; `port` is of a
    conditional node. Of what is `truncated` there is only the beginning, as `text`."""

    id = serializers.CharField()
    loop = serializers.CharField()
    slot = serializers.IntegerField()
    node_id = serializers.CharField()
    version = serializers.IntegerField()
    item_id = serializers.CharField()
    at = serializers.FloatField()
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    port = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    redacted = serializers.BooleanField()
    truncated = serializers.BooleanField()
    text = serializers.CharField(allow_null=True)


class TapAnswer(serializers.Serializer):
    samples = SampleSerializer(many=True)


class TapsView(ResourceView):
    @extend_schema(responses={200: TapAnswer, 404: ErrorSerializer, 503: ErrorSerializer})
    def get(self, request: Request, workflow_id: str, node_id: str) -> Response:
        """Return the samples of a node, newest first."""
        return Response({"samples": taps.samples(self.actor, workflow_id, node_id)})
