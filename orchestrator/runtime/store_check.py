"""Whether the store may be used, as the settings have it: asked before anything runs."""

import logging

from orchestrator.conf import orchestrator_settings
from storage.datastore import DataStore

logger = logging.getLogger(__name__)


async def check_store(store: DataStore) -> None:
    """Refuse a server that cannot give the guarantees, or warn of it where that is allowed.

    Raises:
        StoreRefused: it cannot give them.
        StoreUnavailable: it is away.
    """
    allow_unsafe = orchestrator_settings().ALLOW_UNSAFE_STORE
    for finding in await store.check(allow_unsafe=allow_unsafe):
        logger.warning("Redis is not safe: %s", finding)
