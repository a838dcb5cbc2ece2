"""What a web process holds open from its start to its end."""

from orchestrator.services.bench.pools import close_bench
from orchestrator.services.live import close_live, live
from orchestrator.services.stores import close_shared_store, shared_store


def open_process() -> None:
    """Open the store of this event loop, and listen to the feed."""
    shared_store()
    live().start()


async def close_process() -> None:
    """Close what this event loop has open, in reverse order."""
    await close_bench()
    await close_live()
    await close_shared_store()
