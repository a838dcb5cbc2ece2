"""The pages of an answer: where the next one is, and the items of all of them."""

from collections.abc import Mapping
from typing import Any

from nodes.builtin.items import field_reader
from nodes.contract import Json
from orchestrator.exceptions import InvalidRequest, NodeFailed
from orchestrator.security.egress import Answer, join_url, parse_url


def with_query(url: str, query: Mapping[str, Json]) -> str:
    """Return an address with named values put into its query; those that are None are left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return str(parse_url(url).copy_merge_params(given)) if given else url


class Pages:
    """The pages of one request. `first` is the address to begin with."""

    def __init__(self, node_id: str, values: Mapping[str, Any]) -> None:
        self.kind = str(values["pages"])
        self.first = with_query(str(values["url"]), values["query"])
        self._node_id = node_id
        self._param = str(values["page_param"])
        self._limit: int = values["max_pages"] or 1
        self._items_path = str(values["items_field"])
        self._next = field_reader(str(values["page_field"]))
        self._items: list[Json] = []
        self._count = 0
        self._more = False
        self._number = self._first_number(values["query"]) if self.kind == "number" else 0

    def add(self, answer: Answer, value: Json) -> str | None:
        """Take the items of a page and return the address of the next one, or None at the end.

        Raises:
            NodeFailed: the page has no list of items, or the next one is at another host.
        """
        items = field_reader(self._items_path)(value) if self._items_path else value
        if self._items_path and not isinstance(value, dict):
            items = None
        if not isinstance(items, list):
            place = f"in {self._items_path!r}" if self._items_path else "of items"
            raise self._failed(f"page {self._count + 1} has no list {place}")
        self._items += items
        self._count += 1
        following = self._following(answer, value, bool(items))
        self._more = following is not None
        return following if self._count < self._limit else None

    def result(self) -> dict[str, Json]:
        """Return the items of all pages, how many those were, and whether there are more."""
        return {"items": self._items, "pages": self._count, "more": self._more}

    def _following(self, answer: Answer, value: Json, found: bool) -> str | None:
        if self.kind == "number":
            self._number += 1
            return with_query(self.first, {self._param: self._number}) if found else None
        if self.kind == "link":
            return self._joined(answer, answer.next_url) if answer.next_url else None
        token = self._next(value) if isinstance(value, dict) else None
        if token in (None, "", False):
            return None
        if isinstance(token, list | dict):
            raise self._failed("what leads to the next page is no text")
        if self.kind == "cursor":
            return with_query(self.first, {self._param: token})
        return self._joined(answer, str(token))

    def _joined(self, answer: Answer, target: str) -> str:
        try:
            url = join_url(answer.url, target)
        except InvalidRequest as error:
            raise self._failed(f"the next page: {error.message}") from None
        first = parse_url(self.first)
        if (url.scheme, url.netloc) != (first.scheme, first.netloc):
            # It would get the headers that were meant for the first host.
            raise self._failed("the next page is at another host")
        return str(url)

    def _first_number(self, query: Mapping[str, Json]) -> int:
        given = query.get(self._param, 1)
        try:
            return int(given)
        except (TypeError, ValueError):
            raise self._failed(f"{self._param!r} in the query is no number to count from") from None

    def _failed(self, message: str) -> NodeFailed:
        return NodeFailed(message, node_id=self._node_id, error_type="HttpPages")
