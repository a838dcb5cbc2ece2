"""Counts the requests that this process has answered."""

import time
from typing import Any

from orchestrator.services import metrics


class Counted:
    """Wraps an ASGI application. A request whose client has left before an answer began counts as
    none."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun, status = time.perf_counter(), 0

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watched)
        finally:
            if status:
                metrics.count_request(scope["method"], status, time.perf_counter() - begun)
