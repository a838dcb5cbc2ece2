"""The http-poll producer."""

import hashlib
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from nodes.base import ProducerNode
from nodes.builtin.http_answers import check_status, retry_after, value_of
from nodes.builtin.http_auth import log_in
from nodes.builtin.http_pages import with_query
from nodes.builtin.items import field_reader
from nodes.builtin.schedule import interval_due, sleep_until
from nodes.contract import ExecutionCompleted, Json, NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from orchestrator.security.egress import (
    Answer,
    AsyncClient,
    exchange,
    http_client,
    parse_url,
    shown,
)
from storage.codec import encode

_MAX_VALIDATOR = 1024
_MAX_CURSOR = 4096
_LONGEST_WAIT = 3600.0
_BEGINNING: Mapping[str, Json] = {"etag": "", "modified": "", "cursor": None, "body": ""}
"""What is known of the last answer whose items have all been emitted."""


class HttpPoll(ProducerNode):
    """Asks an address again and again, and emits what is new: the answer, or each item of it.

    An answer is new when the server says so (its ETag or Last-Modified has changed) and its body
    differs from the last one. The cursor of the loop is what the last answer left, how many items
    of the present one were emitted, and their digest. After a crash the same request is sent again,
    and the items that were emitted are left out if the answer still begins with them; otherwise all
    of it is emitted, so that nothing is lost.
    """

    identifier = "http-poll"
    label = "HTTP poll"
    description = "Asks an address of the web every so often and emits what is new."
    icon = "rss"
    category = "web"
    form_class = "nodes.builtin.http_forms.HttpPollForm"

    _client: AsyncClient | None = None

    async def setup(self) -> None:
        values = self.values
        self._items_of = field_reader(str(values["items_field"]))
        self._cursor_of = field_reader(str(values["cursor_field"]))
        self._pending: deque[Json] = deque()
        self._done, self._seen = 0, ""
        state = self.state or {"at": None, "polls": 0, **_BEGINNING}
        # In the middle of an answer the same request is sent again, at once.
        unfinished = "done" in state
        self._last: float | None = None if unfinished else state["at"]
        self._polls: int = state["polls"] - unfinished
        self._known = self._next = {name: state[name] for name in _BEGINNING}
        self._not_before = 0.0
        self._client = http_client(timeout=values["timeout"])

    async def cleanup(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput | ExecutionCompleted:
        times = self.values["times"]
        while not self._pending:
            if times is not None and self._polls >= times:
                return ExecutionCompleted()
            if context.mode != "bench":
                due = interval_due(self._last, time.time(), self.values["interval"])
                await sleep_until(max(due, self._not_before))
            await self._poll()
            if context.mode == "bench" and not self._pending:
                raise NodeFailed(
                    "the answer has nothing new; forget the node's output to begin again",
                    node_id=self.id,
                    error_type="NothingNew",
                )
        element = self._pending.popleft()
        self.state = self._state_behind(element)
        return item.with_data(element if isinstance(element, dict) else {"value": element})

    async def _poll(self) -> None:
        """Send one request and take what is new in its answer."""
        answer = await self._ask()
        if answer.status not in (204, 304):
            self._take(answer)
        self._last, self._polls = time.time(), self._polls + 1

    def _take(self, answer: Answer) -> None:
        value = value_of(answer, str(self.values["response"]), self.id)
        elements, known = self._elements(value), self._known_after(answer, value)
        if known["body"] == self._known["body"]:
            return
        self._skip(elements)
        self._pending.extend(elements[self._done :])
        self._next = known
        if not self._pending:
            self._known = known

    async def _ask(self) -> Answer:
        values, headers = self.values, dict(self.values["headers"])
        if self._known["etag"]:
            headers["If-None-Match"] = self._known["etag"]
        if self._known["modified"]:
            headers["If-Modified-Since"] = self._known["modified"]
        query = dict(values["query"])
        if values["cursor"] != "none" and self._known["cursor"] is not None:
            query[str(values["cursor_param"])] = self._known["cursor"]
        url = parse_url(with_query(str(values["url"]), query))
        if self._client is None:
            raise NodeFailed("it is not set up", node_id=self.id)
        request = self._client.build_request("GET", url, headers=headers)
        await log_in(self, request)
        answer = await exchange(
            self._client,
            request,
            max_bytes=values["max_bytes"],
            timeout=values["timeout"],
        )
        if (wait := retry_after(answer)) is not None:
            self._not_before = time.time() + min(wait, _LONGEST_WAIT)
        check_status(answer, f"GET {shown(url)}", self.id)
        return answer

    def _elements(self, value: Json) -> list[Json]:
        path = str(self.values["items_field"])
        if path:
            value = self._items_of(value) if isinstance(value, dict) else None
            if not isinstance(value, list):
                raise NodeFailed(f"the answer has no list in {path!r}", node_id=self.id)
        return value if isinstance(value, list) else [value]

    def _skip(self, elements: list[Json]) -> None:
        """Count what a former life has emitted of an answer, if this one begins with it."""
        self._done, self._seen = 0, ""
        before = self.state or {}
        done: int = before.get("done", 0)  # absent behind the last element of an answer
        if not 0 < done < len(elements):
            return
        digest = ""
        for element in elements[:done]:
            digest = _chained(digest, element)
        if digest == before["seen"]:
            self._done, self._seen = done, digest

    def _state_behind(self, element: Json) -> dict[str, Json]:
        base = {"at": self._last, "polls": self._polls}
        if not self._pending:
            self._known = self._next
            return {**base, **self._known}
        self._done, self._seen = self._done + 1, _chained(self._seen, element)
        return {**base, **self._known, "done": self._done, "seen": self._seen}

    def _known_after(self, answer: Answer, value: Json) -> dict[str, Json]:
        etag = answer.headers.get("etag", "")
        modified = answer.headers.get("last-modified", "")
        return {
            "etag": etag if len(etag) <= _MAX_VALIDATOR else "",
            "modified": modified if len(modified) <= _MAX_VALIDATOR else "",
            "cursor": self._cursor_after(value),
            "body": hashlib.sha256(answer.body).hexdigest(),
        }

    def _cursor_after(self, value: Json) -> Json:
        """Return the cursor to send with the next request; the present one when there is no new."""
        kind = self.values["cursor"]
        if kind == "none":
            return None
        places = [value] if kind == "answer" else self._elements(value)
        found = [self._cursor_of(place) for place in places if isinstance(place, dict)]
        given = [one for one in found if isinstance(one, str | int | float) and one != ""]
        if not given:
            return self._known["cursor"]
        cursor = _greatest(given)
        if len(str(cursor)) > _MAX_CURSOR:
            raise NodeFailed(f"the cursor has more than {_MAX_CURSOR} characters", node_id=self.id)
        return cursor


def _chained(digest: str, element: Json) -> str:
    return hashlib.sha256(digest.encode() + encode(element, sys.maxsize)).hexdigest()


def _greatest(values: list[Any]) -> Any:
    """Return the greatest of numbers or of texts; of a mixture, the last."""
    if all(isinstance(value, str) for value in values):
        return max(values)
    if not any(isinstance(value, str) for value in values):
        return max(values)
    return values[-1]
