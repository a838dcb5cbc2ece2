"""Who sends a request: a program by bearer token, a person by session."""

from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from orchestrator.api.parsers import StrictJSONParser
from orchestrator.models import ApiToken
from orchestrator.security.actors import Actor, actor_of_request
from orchestrator.security.tokens import bearer
from orchestrator.services import access


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer wo_...`. Comes first, so that a 401 names the scheme."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        raw = bearer(request.headers.get("Authorization"))
        if raw is None:
            return None
        token = access.token_of(raw)
        if token is None:
            raise AuthenticationFailed("the token is unknown or has expired")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def framework_request(request: HttpRequest) -> Request:
    """Return a plain Django request as REST framework's views would see it."""
    return Request(
        request,
        parsers=[StrictJSONParser()],
        authenticators=[BearerAuthentication(), SessionAuthentication()],
        negotiator=DefaultContentNegotiation(),
    )


def asking(request: Request) -> Actor:
    """Return the actor of a request.

    Raises:
        NotAuthenticated: nobody is logged in and no token was sent.
        AuthenticationFailed: the token is not valid.
        PermissionDenied: a session without a valid CSRF token.
    """
    if request.user is None or not request.user.is_authenticated:
        raise NotAuthenticated
    return actor_of_request(request)
