"""`/dead-letters/`: items that failed for good."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import PageSerializer, ResourceView, page, valid
from orchestrator.api.dead_letter_serializers import (
    BulkAnswer,
    BulkDiscardRequest,
    BulkReplayRequest,
    DeadLetterDetail,
    DeadLetterEdit,
    DeadLetterFilterSerializer,
    DeadLetterGroups,
    DeadLetterList,
    DeadLetterRow,
    DiscardRequest,
    ReplayAnswer,
    ReplayRequest,
)
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.models import DeadLetter
from orchestrator.services import dead_letter_groups, dead_letters, dead_letters_bulk
from orchestrator.services.dead_letters import DeadLetterFilter
from orchestrator.services.dead_letters_bulk import BulkChange, Selection

_ERRORS = dict.fromkeys((400, 404, 409), ErrorSerializer)


class DeadLettersView(ResourceView):
    @extend_schema(
        operation_id="dead_letters_list",
        parameters=[DeadLetterFilterSerializer, PageSerializer],
        responses=DeadLetterList,
    )
    def get(self, request: Request) -> Response:
        """List dead letters, newest first."""
        wanted = DeadLetterFilter(**valid(DeadLetterFilterSerializer, request.query_params))
        rows, rest = page(dead_letters.find_all(self.actor, wanted), request)
        return Response({"results": DeadLetterRow(rows, many=True).data, **rest})


class GroupsView(ResourceView):
    @extend_schema(
        operation_id="dead_letters_groups",
        parameters=[DeadLetterFilterSerializer, PageSerializer],
        responses=DeadLetterGroups,
    )
    def get(self, request: Request) -> Response:
        """List dead letters by error: same workflow, node, reason, and shape of the message."""
        wanted = DeadLetterFilter(**valid(DeadLetterFilterSerializer, request.query_params))
        part = valid(PageSerializer, request.query_params)
        found = dead_letter_groups.find_all(self.actor, wanted, **part)
        return Response(DeadLetterGroups({**asdict(found), **part}).data)


class DeadLetterView(ResourceView):
    @extend_schema(responses={200: DeadLetterDetail, 404: ErrorSerializer})
    def get(self, request: Request, dead_letter_id: int) -> Response:
        """Return one dead letter with its payload and trace."""
        return _detail(dead_letters.get(self.actor, int(dead_letter_id)))

    @extend_schema(
        request=DeadLetterEdit,
        responses={200: DeadLetterDetail, **_ERRORS, 413: ErrorSerializer},
    )
    def patch(self, request: Request, dead_letter_id: int) -> Response:
        """Change what a replay begins with, or the note; the original stays beside it."""
        changes = valid(DeadLetterEdit, request.data)
        return _detail(dead_letters.edit(self.actor, int(dead_letter_id), changes))


class ReplayView(ResourceView):
    @extend_schema(request=ReplayRequest, responses={202: ReplayAnswer, **_ERRORS})
    def post(self, request: Request, dead_letter_id: int) -> Response:
        """Replay a dead letter with the same item id."""
        wanted = valid(ReplayRequest, request.data)
        letter, status = dead_letters.replay(self.actor, int(dead_letter_id), **wanted)
        return Response({**DeadLetterRow(letter).data, "workflow_status": status}, status=202)


class DiscardView(ResourceView):
    @extend_schema(request=DiscardRequest, responses={200: DeadLetterDetail, **_ERRORS})
    def post(self, request: Request, dead_letter_id: int) -> Response:
        """Discard a dead letter; its row stays."""
        wanted = valid(DiscardRequest, request.data)
        return _detail(dead_letters.discard(self.actor, int(dead_letter_id), **wanted))


class BulkReplayView(ResourceView):
    @extend_schema(
        operation_id="dead_letters_bulk_replay",
        request=BulkReplayRequest,
        responses={202: BulkAnswer, 400: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Replay many dead letters, so many in a second."""
        wanted = valid(BulkReplayRequest, request.data)
        change = dead_letters_bulk.replay_all(
            self.actor, _selection(wanted), wanted["origin"], wanted["per_second"]
        )
        return _bulk(change, 202)


class BulkDiscardView(ResourceView):
    @extend_schema(
        operation_id="dead_letters_bulk_discard",
        request=BulkDiscardRequest,
        responses={200: BulkAnswer, 400: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Discard many dead letters."""
        wanted = valid(BulkDiscardRequest, request.data)
        change = dead_letters_bulk.discard_all(self.actor, _selection(wanted), wanted["note"])
        return _bulk(change, 200)


def _detail(letter: DeadLetter) -> Response:
    return Response(DeadLetterDetail(letter).data)


def _selection(wanted: dict[str, Any]) -> Selection:
    if "ids" in wanted:
        return Selection(ids=wanted["ids"])
    return Selection(wanted=DeadLetterFilter(**wanted["filter"]))


def _bulk(change: BulkChange, status: int) -> Response:
    return Response(asdict(change), status=status)
