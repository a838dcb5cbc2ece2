"""`/dead-letters/`: items that failed for good."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, page, valid
from orchestrator.api.serializers import (
    DeadLetterDetail,
    DeadLetterFilterSerializer,
    DeadLetterRow,
    ErrorSerializer,
)
from orchestrator.services import dead_letters
from orchestrator.services.dead_letters import DeadLetterFilter


class DeadLettersView(ResourceView):
    @extend_schema(
        parameters=[DeadLetterFilterSerializer, PageSerializer],
        responses=DeadLetterRow(many=True),
    )
    def get(self, request: Request) -> Response:
        """List dead letters, newest first."""
        wanted = DeadLetterFilter(**valid(DeadLetterFilterSerializer, request.query_params))
        rows, rest = page(dead_letters.find_all(self.actor, wanted), request)
        return Response({"results": DeadLetterRow(rows, many=True).data, **rest})


class DeadLetterView(ResourceView):
    @extend_schema(responses={200: DeadLetterDetail, 404: ErrorSerializer})
    def get(self, request: Request, dead_letter_id: int) -> Response:
        """Return one dead letter with its payload and trace."""
        return Response(DeadLetterDetail(dead_letters.get(self.actor, int(dead_letter_id))).data)
