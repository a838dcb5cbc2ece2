"""`/audit/`: who did what to what, when and from where."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, page, valid
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.models import AuditEntry
from orchestrator.services import audit
from orchestrator.services.audit import AuditFilter

LINES = "application/x-ndjson"


class AuditFilterSerializer(serializers.Serializer):
    """Which entries: `?action=workflow.save&since=2026-01-01T00:00:00Z`."""

    actor = serializers.CharField(required=False, max_length=150)
    action = serializers.CharField(required=False, max_length=64)
    object = serializers.CharField(required=False, max_length=300)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class AuditEntrySerializer(serializers.ModelSerializer):
    """One change or action. `actor_id` is null for the system and for whoever is not known."""

    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)

    class Meta:
        model = AuditEntry
        fields = audit.SHOWN


class AuditPage(serializers.Serializer):
    results = AuditEntrySerializer(many=True)
    count = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


def _wanted(request: Request) -> AuditFilter:
    return AuditFilter(**valid(AuditFilterSerializer, request.query_params.dict()))


class AuditView(ResourceView):
    @extend_schema(
        parameters=[AuditFilterSerializer, PageSerializer],
        responses={200: AuditPage, 403: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        """List entries, newest first."""
        rows, rest = page(audit.list_all(self.actor, _wanted(request)), request)
        return Response({"results": [audit.describe(row) for row in rows], **rest})


class AuditExportView(ResourceView):
    @extend_schema(
        parameters=[AuditFilterSerializer],
        responses={(200, LINES): OpenApiTypes.STR, 403: ErrorSerializer},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Return all entries, oldest first, one JSON object in each line."""
        lines = audit.export(self.actor, _wanted(request))
        headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
        return StreamingHttpResponse(lines, content_type=LINES, headers=headers)
