"""The http-request node."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from nodes.base import BlockingNode
from nodes.builtin.http_answers import check_status, value_of, wait_before
from nodes.builtin.http_auth import FIXED_HOST, has_fixed_host, log_in
from nodes.builtin.http_pages import Pages
from nodes.builtin.items import add_fields
from nodes.contract import Json, NodeContext, NodeOutput
from nodes.files import open_fd
from orchestrator.exceptions import EgressFailed, NodeFailed, Problem
from orchestrator.security.egress import (
    MAX_BODY,
    Answer,
    AsyncClient,
    Request,
    exchange,
    http_client,
    parse_url,
    shown,
)
from storage.codec import encode

_REPEATABLE = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")


class HttpRequest(BlockingNode):
    """Sends a request for each item and adds status, headers and body of the answer as a field.

    What can be sent again without harm (its method says so, or an Idempotency-Key is sent) is also
    sent again when nobody answers.
    """

    identifier = "http-request"
    label = "HTTP request"
    description = "Calls an address of the web with each item and adds the answer to it."
    icon = "globe"
    category = "web"
    form_class = "nodes.builtin.http_forms.HttpRequestForm"

    _client: AsyncClient | None = None

    def validate(self) -> list[Problem]:
        found, form = super().validate(), self.config.form
        if form.get("credential") and not (found or has_fixed_host(str(form.get("url")))):
            found.append(Problem("data.form.url", FIXED_HOST))
        return found

    async def setup(self) -> None:
        self._client = http_client(timeout=self.values["timeout"])

    async def cleanup(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        values = self.values
        key = context.idempotency_key if values["idempotency_key"] else ""
        content = await asyncio.to_thread(_read, values["file"]) if values["file"] else b""
        result = await self._fetch(values, key, content)
        return item.with_data(add_fields(item.data, {str(values["target"]): result}))

    async def _fetch(self, values: Mapping[str, Any], key: str, content: bytes) -> dict[str, Json]:
        pages, room = Pages(self.id, values), int(values["max_bytes"])
        url = pages.first
        while True:
            request = self._request(values, url, key, content)
            await log_in(self, request)
            answer = await self._send(values, request, room)
            room -= len(answer.body)
            value = value_of(answer, str(values["response"]), self.id)
            if pages.kind == "none" or answer.status >= 400:
                return {**_head(answer), "body": value}
            following = pages.add(answer, value)
            if following is None:
                return {**_head(answer), **pages.result()}
            url = following

    async def _send(self, values: Mapping[str, Any], request: Request, room: int) -> Answer:
        """Send a request, again if need be, and return the answer."""
        safe = request.method in _REPEATABLE or "Idempotency-Key" in request.headers
        for attempt in range(1, int(values["retries"]) + 2):
            last = attempt > values["retries"]
            answer = None
            try:
                answer = await exchange(
                    self._opened, request, max_bytes=room, timeout=values["timeout"]
                )
            except EgressFailed as error:
                if last or not (safe or error.unsent):
                    raise
            if answer is not None and (last or answer.status not in values["retry_statuses"]):
                if values["fail_on_status"]:
                    check_status(answer, f"{request.method} {shown(request.url)}", self.id)
                return answer
            await asyncio.sleep(wait_before(attempt, answer))
        raise AssertionError("the last attempt returns or raises")

    def _request(self, values: Mapping[str, Any], url: str, key: str, content: bytes) -> Request:
        headers: dict[str, str] = dict(values["headers"])
        options: dict[str, Any] = {}
        kind, media = values["body"], values["content_type"]
        fields = {name: value for name, value in values["fields"].items() if value is not None}
        if kind == "json":
            media, options["content"] = "application/json", encode(values["json"], MAX_BODY)
        elif kind == "text":
            media = media or "text/plain; charset=utf-8"
            options["content"] = str(values["text"]).encode()
        elif kind == "form":
            options["data"] = fields
        elif kind == "file" and values["upload_as"]:
            part = (PurePosixPath(values["file"]).name, content, media or None)
            options |= {"data": fields, "files": {str(values["upload_as"]): part}}
        elif kind == "file":
            media, options["content"] = media or "application/octet-stream", content
        if "content" in options and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = media
        if key:
            headers["Idempotency-Key"] = key
        return self._opened.build_request(
            str(values["method"]), parse_url(url), headers=headers, **options
        )

    @property
    def _opened(self) -> AsyncClient:
        if self._client is None:
            raise NodeFailed("it is not set up", node_id=self.id)
        return self._client


def _head(answer: Answer) -> dict[str, Json]:
    return {
        "status": answer.status,
        "url": shown(parse_url(answer.url)),
        "headers": dict(answer.headers),
    }


def _read(path: str) -> bytes:
    """Return the content of a file in the files folder.

    Raises:
        NodeFailed: it has more than MAX_BODY bytes.
        InvalidRequest, OSError: it cannot be opened.
    """
    with os.fdopen(open_fd(path, os.O_RDONLY), "rb") as file:
        content = file.read(MAX_BODY + 1)
    if len(content) > MAX_BODY:
        raise NodeFailed(f"{path} has more than {MAX_BODY} bytes", error_type="TooLong")
    return content
