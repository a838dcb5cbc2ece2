"""`/queues/`: how full queues and inboxes are, what is in them, and emptying them."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, valid
from orchestrator.api.queue_serializers import (
    PeekSerializer,
    PurgeAnswer,
    PurgeRequest,
    QueueFilterSerializer,
    QueueItems,
    QueueListSerializer,
    QueueRow,
)
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import queues
from orchestrator.services.queues import QueueFilter

_ERRORS = {404: ErrorSerializer, 503: ErrorSerializer}


class QueuesView(ResourceView):
    @extend_schema(
        operation_id="queues_list",
        parameters=[QueueFilterSerializer, PageSerializer],
        responses={200: QueueListSerializer, 503: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        """List the queues and inboxes of all workflows."""
        wanted = QueueFilter(**valid(QueueFilterSerializer, request.query_params))
        part = valid(PageSerializer, request.query_params)
        found = queues.find_all(self.actor, wanted, **part)
        answer = {"results": found.results, "count": found.count, **part, "broken": found.broken}
        return Response(answer)


class QueueView(ResourceView):
    @extend_schema(responses={200: QueueRow, **_ERRORS})
    def get(self, request: Request, workflow_id: str, queue: str) -> Response:
        """Return one queue or inbox."""
        return Response(queues.get(self.actor, workflow_id, queue))


class ItemsView(ResourceView):
    @extend_schema(parameters=[PeekSerializer], responses={200: QueueItems, **_ERRORS})
    def get(self, request: Request, workflow_id: str, queue: str) -> Response:
        """Show the oldest entries, which stay where they are."""
        count = valid(PeekSerializer, request.query_params)["count"]
        found = queues.items(self.actor, workflow_id, queue, count)
        return Response({"workflow_id": workflow_id, "name": queue, "results": found})


class PurgeView(ResourceView):
    @extend_schema(
        request=PurgeRequest, responses={200: PurgeAnswer, 400: ErrorSerializer, **_ERRORS}
    )
    def post(self, request: Request, workflow_id: str, queue: str) -> Response:
        """Remove every entry that nobody has in hand."""
        confirm = valid(PurgeRequest, request.data)["confirm"]
        removed = queues.purge(self.actor, workflow_id, queue, confirm=confirm)
        return Response({"workflow_id": workflow_id, "name": queue, "removed": removed})
