"""`/examples/`: the workflows and graphs that come with the project."""

from pathlib import Path

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.services import examples


class LoadedSerializer(serializers.Serializer[None]):
    """Ids of workflows and graphs that were not there before."""

    loaded = serializers.ListField(child=serializers.CharField())


class ExamplesView(ResourceView):
    @extend_schema(request=None, responses=LoadedSerializer)
    def post(self, request: Request) -> Response:
        """Store the examples that are not there yet; nothing is changed of those that are."""
        folder = Path(settings.BASE_DIR) / "examples"
        return Response({"loaded": examples.load(self.actor, folder)})
