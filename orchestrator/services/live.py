"""What the live sockets show: who is asking, the present state, and the events after it."""

import asyncio
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from orchestrator.runtime.feed_hub import FeedHub
from orchestrator.security.actors import Actor, actor_of, authorize
from orchestrator.services import access, status
from orchestrator.services.stores import shared_store
from orchestrator.services.workflows import find, list_all

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, FeedHub] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a socket was opened with; it is looked at again while the socket is open."""

    token: str | None = None
    session_key: str | None = None


def watcher(credential: Credential) -> Actor | None:
    """Return whom the credential stands for at this moment, or None.

    Raises:
        NotAllowed: they may not watch.
    """
    if credential.token is not None:
        user = access.user_of_token(credential.token)
    else:
        user = access.user_of_session(credential.session_key or "")
    if user is None:
        return None
    actor = actor_of(user)
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


def feed_hub() -> FeedHub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = FeedHub(shared_store().feed)
    return _hubs[loop]


async def close_feed_hub() -> None:
    """End the hub of the running event loop, if there is one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.close()
