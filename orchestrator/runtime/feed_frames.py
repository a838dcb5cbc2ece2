"""Events of the feed as text, made once for all who listen.

What differs from listener to listener is the number alone, which is put at the end of the text.
"""

import enum
import logging
from collections.abc import Iterator
from typing import Any

import orjson

from orchestrator.exceptions import InvalidPayload
from orchestrator.runtime.run_feed import PREFIX
from storage.codec import decode

logger = logging.getLogger(__name__)
Event = dict[str, Any]
_KEY = ("workflow_id", "run_id", "type", "loop", "slot", "node")
_OF_NODES = frozenset({"node_started", "node_completed", "node_failed"})


class Detail(enum.StrEnum):
    """How much a listener wants to know.

    ALL: every event. COUNTERS: not those of single nodes, of which `node_stats` tells as well.
    LOOPS: as COUNTERS, and no `nodes` anywhere.
    """

    ALL = "all"
    COUNTERS = "counters"
    LOOPS = "loops"


class Frame:
    """An event, and its text for each detail, made when it is asked for the first time."""

    __slots__ = ("_texts", "event", "key")

    def __init__(self, event: Event) -> None:
        self.key = tuple(event.get(name) for name in _KEY)
        self.event = event
        self._texts: dict[Detail, str] = {}

    def concerns(self, detail: Detail) -> bool:
        """Whether a listener with this detail gets the event at all."""
        return detail is Detail.ALL or self.event.get("type") not in _OF_NODES

    def text(self, detail: Detail = Detail.ALL) -> str:
        """Return the JSON without its last brace, see `numbered`."""
        if detail is Detail.COUNTERS:
            detail = Detail.ALL  # the same text
        if detail not in self._texts:
            event = without_nodes(self.event) if detail is Detail.LOOPS else self.event
            self._texts[detail] = opened(event)
        return self._texts[detail]


def without_nodes(told: dict[str, Any]) -> dict[str, Any]:
    """Return an event or the status of a loop without its nodes."""
    return {name: value for name, value in told.items() if name != "nodes"}


def opened(message: dict[str, Any]) -> str:
    """Return a message, which is not empty, as JSON without its last brace."""
    return orjson.dumps(message)[:-1].decode()


def numbered(text: str, sequence: int) -> str:
    """Return the JSON of what `opened` gave, with its number."""
    return f'{text},"seq":{sequence}}}'


def frames(name: str, body: bytes) -> Iterator[Frame]:
    """Yield the events that the feed of a workflow or a run has sent: one, or a list of them."""
    owner = {"run_id": name.removeprefix(PREFIX)} if name.startswith(PREFIX) else None
    owner = owner or {"workflow_id": name}
    try:
        sent = decode(body)
    except InvalidPayload:
        sent = None
    for event in sent if isinstance(sent, list) else [sent]:
        if isinstance(event, dict):
            yield Frame({**event, **owner})
        else:
            logger.warning("the feed of %s sent something that is no event", name)
