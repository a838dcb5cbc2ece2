"""What a web process holds open from its start to its end."""

from channels.db import database_sync_to_async

from orchestrator.runtime.database_patience import limit_answers
from orchestrator.services import credential_keys
from orchestrator.services.bench.pools import close_bench
from orchestrator.services.live import close_live, live
from orchestrator.services.stores import close_shared_store, shared_store


async def check_process() -> None:
    """Raise when this process must not begin.

    Raises:
        CredentialsClosed: there are no keys for credentials, or the wrong ones.
    """
    await database_sync_to_async(credential_keys.check_at_start)()


def open_process() -> None:
    """Open the store of this event loop, and listen to the feed."""
    limit_answers()
    shared_store()
    live().start()


async def close_process() -> None:
    """Close what this event loop has open, in reverse order."""
    await close_bench()
    await close_live()
    await close_shared_store()
