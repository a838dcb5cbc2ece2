"""What a web process holds open from its start to its end."""

from orchestrator.services.bench.pools import close_bench
from orchestrator.services.live import close_feed_hub
from orchestrator.services.stores import close_shared_store, shared_store


def open_process() -> None:
    """Open the store of this event loop; it connects when it is used."""
    shared_store()


async def close_process() -> None:
    """Close what this event loop has open, in reverse order."""
    await close_bench()
    await close_feed_hub()
    await close_shared_store()
