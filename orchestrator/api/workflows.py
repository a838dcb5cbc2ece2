"""`/workflows/`: definitions and their versions."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, page, valid
from orchestrator.api.serializers import (
    ErrorSerializer,
    SavedVersion,
    SaveQuery,
    VersionDetail,
    VersionList,
    VersionRow,
    WorkflowList,
    WorkflowRow,
)
from orchestrator.models import WorkflowVersion
from orchestrator.services import workflows
from orchestrator.services.bench.adopt import adopt


def detail(version: WorkflowVersion) -> dict[str, Any]:
    return VersionDetail(version).data


class WorkflowsView(ResourceView):
    @extend_schema(
        operation_id="workflows_list", parameters=[PageSerializer], responses=WorkflowList
    )
    def get(self, request: Request) -> Response:
        """List the workflows."""
        rows, rest = page(workflows.list_all(self.actor), request)
        return Response({"results": WorkflowRow(rows, many=True).data, **rest})

    @extend_schema(
        request=OpenApiTypes.OBJECT, responses={201: VersionDetail, 400: ErrorSerializer}
    )
    def post(self, request: Request) -> Response:
        """Store a workflow; the body is its JSON."""
        version = workflows.create(self.actor, request.data)
        adopt(self.actor, version.workflow_id, request.data)
        where = f"/workflows/{version.workflow_id}/"
        return Response(detail(version), status=201, headers={"Location": where})


class WorkflowView(ResourceView):
    @extend_schema(responses={200: VersionDetail, 404: ErrorSerializer})
    def get(self, request: Request, workflow_id: str) -> Response:
        """Return the newest version of a workflow."""
        return Response(detail(workflows.get(self.actor, workflow_id)))

    @extend_schema(
        parameters=[SaveQuery],
        request=OpenApiTypes.OBJECT,
        responses={
            200: SavedVersion,
            400: ErrorSerializer,
            404: ErrorSerializer,
            409: ErrorSerializer,
        },
    )
    def put(self, request: Request, workflow_id: str) -> Response:
        """Save a new version; what is the same as before makes none."""
        after = valid(SaveQuery, request.query_params.dict())["after"]
        version, created = workflows.save(self.actor, workflow_id, request.data, after=after)
        return Response({**detail(version), "created": created})

    @extend_schema(responses={204: None, 404: ErrorSerializer, 409: ErrorSerializer})
    def delete(self, request: Request, workflow_id: str) -> Response:
        """Remove a workflow that is stopped, with everything of it."""
        workflows.delete(self.actor, workflow_id)
        return Response(status=204)


class VersionsView(ResourceView):
    @extend_schema(
        operation_id="workflows_versions_list",
        parameters=[PageSerializer],
        responses={200: VersionList, 404: ErrorSerializer},
    )
    def get(self, request: Request, workflow_id: str) -> Response:
        """List the versions of a workflow, newest first."""
        rows, rest = page(workflows.versions(self.actor, workflow_id), request)
        return Response({"results": VersionRow(rows, many=True).data, **rest})


class VersionView(ResourceView):
    @extend_schema(responses={200: VersionDetail, 404: ErrorSerializer})
    def get(self, request: Request, workflow_id: str, number: int) -> Response:
        """Return one version of a workflow."""
        return Response(detail(workflows.get(self.actor, workflow_id, int(number))))
