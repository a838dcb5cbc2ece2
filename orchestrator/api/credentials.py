"""`/credentials/`: what nodes log in with. Values go in and never come out."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView, valid
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.security.credentials import KINDS, MAX_VALUE
from orchestrator.services import credential_uses, credentials

_ERRORS = {400: ErrorSerializer, 403: ErrorSerializer, 503: ErrorSerializer}


class _Names(serializers.ListField):
    child = serializers.CharField(max_length=150)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, "max_length": 200, **kwargs})


class CredentialChange(serializers.Serializer):
    """`users` and `groups` say who may use it; null for both, everybody whose role suffices."""

    values = serializers.DictField(
        child=serializers.CharField(max_length=MAX_VALUE, allow_blank=True, trim_whitespace=False),
        required=False,
        write_only=True,
    )
    users = _Names()
    groups = _Names()


class NewCredential(CredentialChange):
    name = serializers.RegexField(r"\A[-a-zA-Z0-9_]{1,64}\Z")
    kind = serializers.ChoiceField(choices=tuple(KINDS))
    values = serializers.DictField(
        child=serializers.CharField(max_length=MAX_VALUE, allow_blank=True, trim_whitespace=False),
        write_only=True,
    )


class CredentialRow(serializers.Serializer):
    """A credential without its values. fingerprint: the last four characters of its secret."""

    name = serializers.CharField()
    kind = serializers.CharField()
    fingerprint = serializers.CharField()
    users = serializers.ListField(child=serializers.CharField(), allow_null=True)
    groups = serializers.ListField(child=serializers.CharField(), allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CredentialUse(serializers.Serializer):
    """A workflow or a graph that uses a credential; `running`: a version that is to run."""

    kind = serializers.ChoiceField(choices=("workflow", "graph"))
    id = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    nodes = serializers.ListField(child=serializers.CharField())
    running = serializers.BooleanField()


class CredentialDetail(CredentialRow):
    """`used_by`: workflows (the newest version, and the one that runs) and graphs, of those that
    whoever asks may list."""

    used_by = CredentialUse(many=True)


class CredentialList(serializers.Serializer):
    results = CredentialRow(many=True)


class CredentialsView(ResourceView):
    @extend_schema(operation_id="credentials_list", responses=CredentialList)
    def get(self, request: Request) -> Response:
        """List the credentials."""
        rows = credentials.list_all(self.actor)
        return Response({"results": CredentialRow(rows, many=True).data})

    @extend_schema(
        request=NewCredential, responses={201: CredentialRow, 409: ErrorSerializer, **_ERRORS}
    )
    def post(self, request: Request) -> Response:
        """Store a credential."""
        made = credentials.create(self.actor, **valid(NewCredential, request.data))
        where = f"/credentials/{made['name']}/"
        return Response(CredentialRow(made).data, status=201, headers={"Location": where})


class CredentialView(ResourceView):
    @extend_schema(responses={200: CredentialDetail, 404: ErrorSerializer})
    def get(self, request: Request, name: str) -> Response:
        """Return a credential without its values, and where it is used."""
        found = credentials.get(self.actor, name)
        uses = credential_uses.list_all(self.actor, name)
        return Response(CredentialDetail({**found, "used_by": uses}).data)

    @extend_schema(
        request=CredentialChange, responses={200: CredentialRow, 404: ErrorSerializer, **_ERRORS}
    )
    def put(self, request: Request, name: str) -> Response:
        """Replace the values, or who may use it; what is left out stays as it is."""
        given = valid(CredentialChange, request.data)
        values = given.pop("values", None)
        found = credentials.replace(self.actor, name, values=values, grants=given or None)
        return Response(CredentialRow(found).data)

    @extend_schema(responses={204: None, 404: ErrorSerializer, 409: ErrorSerializer})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a credential that nothing uses that runs."""
        credentials.delete(self.actor, name)
        return Response(status=204)
