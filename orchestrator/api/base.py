"""What the views share."""

from functools import cached_property
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.serializers import IntegerField, Serializer
from rest_framework.views import APIView

from orchestrator.security.actors import Actor, actor_of_request

M = TypeVar("M", bound=Model)
MAX_PAGE = 200


class ResourceView(APIView):
    """A view whose request has an actor."""

    @cached_property
    def actor(self) -> Actor:
        return actor_of_request(self.request)


class PageSerializer(Serializer):
    """Which part of a list: `?limit=50&offset=0`."""

    limit = IntegerField(min_value=1, max_value=MAX_PAGE, default=50)
    offset = IntegerField(min_value=0, max_value=10**9, default=0)


def valid(serializer_class: type[Serializer], data: Any) -> dict[str, Any]:
    """Return the validated input; REST framework's ValidationError becomes a 400 with paths."""
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def page(rows: QuerySet[M], request: Request) -> tuple[list[M], dict[str, int]]:
    """Return the rows asked for, and what to say about the rest."""
    wanted = valid(PageSerializer, request.query_params)
    limit, offset = wanted["limit"], wanted["offset"]
    found = list(rows[offset : offset + limit])
    return found, {"count": rows.count(), "limit": limit, "offset": offset}
