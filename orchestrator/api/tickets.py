"""`/ws-tickets/`: a way into a socket for whoever can send no header with it."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.api.base import ResourceView
from orchestrator.api.serializers import ErrorSerializer
from orchestrator.services import tickets


class TicketSerializer(serializers.Serializer):
    """To be sent as `?ticket=` with the socket's address, once, within so many seconds."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()


class TicketsView(ResourceView):
    @extend_schema(request=None, responses={201: TicketSerializer, 403: ErrorSerializer})
    def post(self, request: Request) -> Response:
        """Make a ticket that opens one socket."""
        session = getattr(request, "session", None)
        key = "" if request.auth or session is None else session.session_key or ""
        ticket = tickets.create(self.actor, token=request.auth, session_key=key)
        seconds = int(tickets.LIFETIME.total_seconds())
        return Response({"ticket": ticket, "expires_in": seconds}, status=201)
