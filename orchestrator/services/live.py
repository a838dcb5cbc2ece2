"""What the live sockets show: who is asking, the present state, and the events after it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from channels.db import database_sync_to_async

from orchestrator.runtime.feed_hub import FeedHub
from orchestrator.runtime.rate_history import EVERY
from orchestrator.runtime.shared_read import SharedRead
from orchestrator.security.actors import SYSTEM, Actor, actor_of, authorize
from orchestrator.services import access, status, system, tickets
from orchestrator.services.stores import shared_store
from orchestrator.services.workflows import find, list_all

logger = logging.getLogger(__name__)
READS_APART = 0.2
"""Seconds between two reads of one state, however many ask for it."""


PATIENCE = 1.0
"""Seconds that a state waits for a look at the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a socket was opened with; it is looked at again while the socket is open.

    One with a ticket has that first, and then what the ticket was asked for with.
    """

    token: str | None = None
    token_id: int | None = None
    session_key: str | None = None
    ticket: str | None = None


def used(credential: Credential) -> Credential:
    """Use a ticket up, and return what it was asked for with; anything else stays as it is."""
    if credential.ticket is None:
        return credential
    ticket = tickets.redeem(credential.ticket)
    if ticket is None:
        return Credential()
    return Credential(token_id=ticket.token_id, session_key=ticket.session_key or None)


def watcher(credential: Credential) -> Actor | None:
    """Return whom the credential stands for at this moment, or None.

    Raises:
        NotAllowed: they may not watch.
    """
    token = None
    if credential.token is not None:
        token = access.token_of(credential.token)
    elif credential.token_id is not None:
        token = access.token_by_id(credential.token_id)
    if token is not None:
        actor = actor_of(token.user, scopes=token.scopes)
    elif credential.session_key is not None:
        user = access.user_of_session(credential.session_key)
        if user is None:
            return None
        actor = actor_of(user)
    else:
        return None
    authorize(actor, "production.status")
    return actor


def workflow_state(actor: Actor, workflow_id: str) -> dict[str, Any]:
    """Return the status of one workflow.

    Raises:
        NotFound: there is no such workflow.
    """
    authorize(actor, "production.status", workflow_id)
    return status.of_workflow(find(workflow_id))


def dashboard_state(actor: Actor) -> dict[str, Any]:
    """Return the status of every workflow."""
    authorize(actor, "production.status")
    return {
        "runners_alive": status.runners_alive(),
        "workflows": status.of_workflows(list_all(actor)),
    }


class Live:
    """What the sockets of one event loop share: a subscription, states, and the system's overview.

    States are read for the system; each socket asks `authorize` for its own actor before.
    """

    def __init__(self) -> None:
        self.hub = FeedHub(shared_store().feed)
        self._states: WeakValueDictionary[Hashable, SharedRead[str]] = WeakValueDictionary()
        self._system = SharedRead(self._read_system, EVERY / 2)
        self._seen: Mapping[str, Any] = system.UNKNOWN
        self._seen_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen from now on, so that there is a history when somebody looks."""
        self.hub.start()
        if self._task is None:
            self._task = asyncio.create_task(self._tick(), name="live")

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.hub.close()

    def state(self, key: Hashable, read: Callable[[], Awaitable[str]]) -> SharedRead[str]:
        """Return the read that all sockets with the same key share, as long as one holds it."""
        if (shared := self._states.get(key)) is None:
            shared = self._states[key] = SharedRead(read, READS_APART)
        return shared

    async def more(self) -> dict[str, Any]:
        """Return what the dashboard's state has beside the workflows: system and rates."""
        if time.monotonic() - self._seen_at > 2 * EVERY:
            with suppress(TimeoutError):  # something is away: that is told when it is known
                await asyncio.wait_for(self._system.get(), PATIENCE)
        rates = {"every": EVERY, "workflows": self.hub.rates.all()}
        return {"system": self._seen, "rates": rates}

    async def _read_system(self) -> Mapping[str, Any]:
        look = database_sync_to_async(system.overview, thread_sensitive=False)
        self._seen, self._seen_at = await look(SYSTEM), time.monotonic()
        return self._seen

    async def _tick(self) -> None:
        told: Mapping[str, Any] = {}
        while True:
            await asyncio.sleep(EVERY)
            self.hub.rates.tick()
            if not self.hub.watches_all():
                continue
            rates = self.hub.rates.last()
            self.hub.tell_all({"type": "rates", "every": EVERY, "workflows": rates})
            try:
                seen = await self._system.get()
            except Exception:
                logger.exception("the system could not be looked at")
            else:
                if seen != told:
                    self.hub.tell_all({"type": "system", **seen})
                told = seen


_lives: WeakKeyDictionary[asyncio.AbstractEventLoop, Live] = WeakKeyDictionary()


def live() -> Live:
    """Return what is shared in the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _lives:
        _lives[loop] = Live()
    return _lives[loop]


def feed_hub() -> FeedHub:
    """Return the hub of the running event loop."""
    return live().hub


def listeners() -> tuple[int, int]:
    """Return how many listen in the running event loop, and how many events were dropped there."""
    shared = _lives.get(asyncio.get_running_loop())
    return (shared.hub.listeners, shared.hub.lost) if shared is not None else (0, 0)


async def close_live() -> None:
    """End what is shared in the running event loop, if it is there."""
    shared = _lives.pop(asyncio.get_running_loop(), None)
    if shared is not None:
        await shared.close()
