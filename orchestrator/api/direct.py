"""The short way to the views that programs call often.

Sessions, messages and static files are there for browsers. Their middleware is synchronous: for it
each request goes to a thread and, for an asynchronous view, back again. A request with a bearer
token needs none of that, so what it needs of the rest is called in place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

from orchestrator.api.proxy import path_inside
from orchestrator.security.tokens import bearer

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

PATHS = frozenset({"/dev/execute", "/dev/render"})
"""Asynchronous views that look up the bearer token themselves."""
HOOKS = "/webhooks/"
"""Below it no session counts, and nobody is asked for a token of ours."""

IN_PLACE = (
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.api.headers.PageHeaders",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
"""They look at the request and the headers only, and never wait."""

FOR_BROWSERS = (
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "orchestrator.api.outages.OutageMiddleware",
)


class DirectPaths:
    """Sends requests for PATHS with a bearer token, and all to webhooks, the short way, and others
    through Django.

    With middleware of somebody else in the settings nothing goes around it.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        known = set(settings.MIDDLEWARE) <= {*IN_PLACE, *FOR_BROWSERS}
        self._direct = DirectHandler() if known else application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = path_inside(scope)
        direct = path.startswith(HOOKS) or (path in PATHS and _brings_token(scope))
        await (self._direct if direct else self._application)(scope, receive, send)


class DirectHandler(ASGIHandler):
    """Django's handler without what needs a thread.

    No signal is sent when a request begins or ends, so nobody closes connections to the database:
    a view here uses it through `database_sync_to_async` only, which does that itself.
    """

    def load_middleware(self, is_async: bool = True) -> None:
        self._view_middleware = []
        self._template_response_middleware = []
        self._exception_middleware = []
        handler = convert_exception_to_response(self._get_response_async)
        for name in reversed(settings.MIDDLEWARE):
            if name in IN_PLACE:
                middleware = import_string(name)(handler)
                handler = convert_exception_to_response(_in_place(middleware, handler))
        self._middleware_chain = handler

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(get_script_prefix(scope))
            request, response = self.create_request(scope, body)
            if request is not None:
                response = await self._unless_gone(receive, self.run_get_response(request))
            if response is not None:
                await self.send_response(response, send)

    async def _unless_gone(self, receive: Any, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what the work returns; cancel it, and return None, when the client leaves."""
        working = asyncio.create_task(work)
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)


def _in_place(middleware: Any, following: Handler) -> Handler:
    """Return what a middleware does around a handler, without a thread for it."""
    process_request = getattr(middleware, "process_request", lambda request: None)

    async def handler(request: HttpRequest) -> HttpResponseBase:
        response = process_request(request) or await following(request)
        return middleware.process_response(request, response)

    return handler


def _brings_token(scope: Any) -> bool:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    return len(values) == 1 and bearer(values[0].decode("latin-1")) is not None
