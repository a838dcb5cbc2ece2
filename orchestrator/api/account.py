"""`/account/`: who is asking, so that a page notices when a role was taken away."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.security.actors import ROLE_NAMES


class AccountSerializer(serializers.Serializer):
    """Who is asking; without a role nothing is allowed."""

    username = serializers.CharField()
    role = serializers.ChoiceField(ROLE_NAMES, allow_null=True)


class AccountView(ResourceView):
    @extend_schema(responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        """Tell who is asking, and the role as it is now."""
        role = self.actor.role
        return Response({"username": self.actor.name, "role": role.name.lower() if role else None})
