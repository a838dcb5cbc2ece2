"""Work of a runner that must not end it, whatever goes wrong."""

import logging
from collections.abc import Awaitable, Callable

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections

from orchestrator.exceptions import OrchestratorError

logger = logging.getLogger(__name__)


async def guarded(work: Callable[[], Awaitable[None]]) -> bool:
    """Run a piece of work and tell whether it was done. Nothing that goes wrong in one may end a
    runner, which has loops that go on."""
    try:
        await work()
    except Error as error:
        logger.warning("the database is away: %s", error)
        await sync_to_async(close_old_connections)()
    except OrchestratorError as error:
        logger.warning("%s", error.message)
    except Exception:
        logger.exception("a runner's work failed")
    else:
        return True
    return False
