"""The WebSocket routes, behind one guard that denies by default."""

import logging
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.db import Error
from django.http.request import split_domain_port, validate_host
from django.urls import path
from django.urls.exceptions import Resolver404

from orchestrator.api.proxy import path_inside
from orchestrator.consumers import (
    NOT_ALLOWED,
    NOT_AUTHENTICATED,
    TRY_LATER,
    UNKNOWN,
    DashboardConsumer,
    RunConsumer,
    WorkflowConsumer,
)
from orchestrator.exceptions import NotAllowed, OrchestratorError
from orchestrator.security.actors import Actor
from orchestrator.security.tokens import bearer
from orchestrator.services import lifecycle, live
from orchestrator.services.live import Credential

logger = logging.getLogger(__name__)
Scope = dict[str, Any]
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

websocket_urlpatterns = [
    path("ws/workflows/<slug:workflow_id>/", WorkflowConsumer.as_asgi(), name="ws-workflow"),
    path("ws/runs/<slug:run_id>/", RunConsumer.as_asgi(), name="ws-run"),
    path("ws/dashboard/", DashboardConsumer.as_asgi(), name="ws-dashboard"),
]


class Guard:
    """Lets a socket in that brings a bearer token or a ticket, or a session from a page of this
    very host.

    A cookie is sent by the browser whatever page opens the socket, so a session is worth nothing
    without the right Origin. Whoever is refused gets a close code and not a word more.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        credential = credential_of(scope)
        if credential is None:
            await _refuse(receive, send, NOT_ALLOWED)
            return
        try:
            credential, actor = await _look_up(credential)
        except NotAllowed:
            await _refuse(receive, send, NOT_ALLOWED)
            return
        except Error as error:
            logger.warning("nobody could be looked up for a socket: %s", error)
            await _refuse(receive, send, TRY_LATER)
            return
        if actor is None:
            await _refuse(receive, send, NOT_AUTHENTICATED)
            return
        scope = {**scope, "actor": actor, "credential": credential}
        try:
            await self._application(scope, receive, send)
        except _NoRoute:
            await _refuse(receive, send, UNKNOWN)


@partial(database_sync_to_async, thread_sensitive=False)
def _look_up(credential: Credential) -> tuple[Credential, Actor | None]:
    """Return what is looked at again while the socket is open, and whom it stands for now."""
    credential = live.used(credential)
    return credential, live.watcher(credential)


class Routes:
    """The router; a path that no route matches is told apart from an error behind a route."""

    def __init__(self, patterns: list[Any]) -> None:
        self._patterns = patterns
        self._router = URLRouter(patterns)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if not any(_matches(route, path_inside(scope)) for route in self._patterns):
            raise _NoRoute
        await self._router(scope, receive, send)


class _NoRoute(Exception):
    """No WebSocket is served at this path."""


def credential_of(scope: Scope) -> Credential | None:
    """Return what the socket was opened with; None when its origin is not ours.

    A bearer token and a ticket need no origin, for a page of somebody else has none to send.
    """
    token = bearer(_header(scope, b"authorization"))
    if token is not None:
        return Credential(token=token)
    tickets = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("ticket")
    if tickets:
        return Credential(ticket=tickets[-1])
    host = _header(scope, b"host")
    if not (same_origin(_header(scope, b"origin"), host) and _is_ours(host or "")):
        return None
    return Credential(session_key=_session_key(_header(scope, b"cookie") or ""))


def same_origin(origin: str | None, host: str | None) -> bool:
    """Tell whether an Origin header names the host and the port of the Host header."""
    if not origin or not host:
        return False
    try:
        page = urlsplit(origin)
        if origin != f"{page.scheme}://{page.netloc}" or "@" in page.netloc:
            return False  # no browser sends more than a scheme, a host and a port
        default = _PORTS[page.scheme]
        own = urlsplit(f"//{host}")
        return (page.hostname, page.port or default) == (own.hostname, own.port or default)
    except (ValueError, KeyError):
        return False


def _is_ours(host: str) -> bool:
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _header(scope: Scope, name: bytes) -> str | None:
    """Return a header that is there once; several of a kind could be read differently."""
    values = [value for key, value in scope.get("headers", ()) if key.lower() == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _session_key(header: str) -> str | None:
    try:
        cookie = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _matches(route: Any, path: str) -> bool:
    try:
        return route.pattern.match(path.lstrip("/")) is not None
    except Resolver404:
        return False


async def _refuse(receive: Any, send: Any, code: int) -> None:
    """Accept and close: only then does a browser's script see the code."""
    message = await receive()
    if message["type"] == "websocket.connect":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})


websocket_application = Guard(Routes(websocket_urlpatterns))


async def lifespan(scope: Scope, receive: Any, send: Any) -> None:
    """Open what the web process shares when it starts, and close it when it ends."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await lifecycle.check_process()
            except OrchestratorError as error:
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
            lifecycle.open_process()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await lifecycle.close_process()
            await send({"type": "lifespan.shutdown.complete"})
            return
