"""The stores of a run, opened by whoever knows the drivers."""

from collections.abc import Callable
from typing import Any

from orchestrator.exceptions import InvalidRequest
from storage.base import Channel, QueueStore

OpenStore = Callable[[str], Any]
_opener: list[OpenStore] = []


def provide_stores(open_store: OpenStore) -> None:
    """Say how a store is opened (`memory://`, `redis://...`): the core itself knows no driver."""
    _opener[:] = [open_store]


class Stores:
    """The stores of one run, opened when they are used."""

    def __init__(self, queue: str, channel: str, url: str, run_id: str) -> None:
        self._queue, self._channel = queue, channel
        self._url, self._run_id = url, run_id
        self._opened: dict[str, Any] = {}

    def queue(self) -> QueueStore:
        found: QueueStore = self._open(self._queue).queue
        return found

    def channel(self) -> Channel:
        found: Channel = self._open(self._channel).channel(self._run_id)
        return found

    def _open(self, backend: str) -> Any:
        if not _opener:
            raise InvalidRequest("no store is set up: import orchestrator.graphs")
        if backend not in self._opened:
            self._opened[backend] = _opener[0]("memory://" if backend == "memory" else self._url)
        return self._opened[backend]

    async def close(self) -> None:
        for store in self._opened.values():
            await store.close()
