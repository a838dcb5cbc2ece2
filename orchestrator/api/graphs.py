"""`/graph/...`: one-shot graphs."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, page
from orchestrator.api.graph_serializers import GraphCreated, GraphDetail, GraphList, GraphRow
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import graphs
from orchestrator.services.graphs import GraphView as Shown


class CreateView(ResourceView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses={201: GraphCreated, 400: ErrorSerializer})
    def post(self, request: Request) -> Response:
        """Store a graph; the body is its JSON."""
        made = graphs.create(self.actor, request.data)
        where = f"/graph/{made.graph.id}"
        return Response(GraphCreated(_told(made)).data, status=201, headers={"Location": where})


class GraphsView(ResourceView):
    @extend_schema(operation_id="graph_list", parameters=[PageSerializer], responses=GraphList)
    def get(self, request: Request) -> Response:
        """List the graphs, newest first."""
        rows, rest = page(graphs.list_all(self.actor), request)
        found = [
            {"graph_id": r.pk, "name": r.name, "digest": r.digest, "created_at": r.created_at}
            for r in rows
        ]
        return Response({"results": GraphRow(found, many=True).data, **rest})


class GraphView(ResourceView):
    @extend_schema(responses={200: GraphDetail, 404: ErrorSerializer})
    def get(self, request: Request, graph_id: str) -> Response:
        """Return a graph with its definition, and a drawing of it."""
        found = graphs.get(self.actor, graph_id)
        return Response(GraphDetail(_told(found)).data)

    @extend_schema(responses={204: None, 404: ErrorSerializer, 409: ErrorSerializer})
    def delete(self, request: Request, graph_id: str) -> Response:
        """Remove a graph with its runs, which all have ended."""
        graphs.delete(self.actor, graph_id)
        return Response(status=204)


def _told(view: Shown) -> dict[str, Any]:
    return {
        **asdict(view.graph),
        "graph_id": view.graph.id,
        "warnings": [problem._asdict() for problem in view.warnings],
        "mermaid": view.mermaid,
    }
