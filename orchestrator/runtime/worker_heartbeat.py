"""The heartbeat of a worker: a thread of its own, so that nothing a task does holds a renewal up.

A task may block the event loop for long without losing its lease; one that blocks it for
`block_limit` seconds is ended together with its worker, which others then take over.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import Error, connections

from orchestrator.runtime import worker_leases
from orchestrator.runtime.database import afresh
from orchestrator.runtime.task_execution import Counts
from orchestrator.runtime.worker_leases import WorkerLease

logger = logging.getLogger(__name__)

BLOCKED = 70
"""The exit code of a worker that a task has blocked for too long."""
_LOOK = 0.5


class WorkerHeartbeat:
    """Args:
    counts: what to write beside the renewal.
    on_lost: called, in this thread, when the lease is another's.
    """

    def __init__(
        self,
        lease: WorkerLease,
        *,
        ttl: float,
        block_limit: float,
        counts: Callable[[], Counts],
        on_lost: Callable[[], object],
    ) -> None:
        self._lease = lease
        self._ttl = ttl
        self._block_limit = block_limit
        self._counts = counts
        self._on_lost = on_lost
        self._stop = threading.Event()
        self._ticked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tick(self) -> None:
        """Hear from the event loop that it is not blocked."""
        self._ticked = time.monotonic()

    def stop(self) -> None:
        """End the thread; blocks until a renewal that is under way is over."""
        self._stop.set()
        self._thread.join(self._ttl)

    def _run(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(min(_LOOK, self._ttl / 6)):
            now = time.monotonic()
            if now - self._ticked > self._block_limit:
                logger.error("a task has blocked this worker for %.0f s", now - self._ticked)
                os._exit(BLOCKED)
            if now - renewed >= self._ttl / 3 and self._renew():
                renewed = now
        connections.close_all()

    def _renew(self) -> bool:
        """Renew, and tell whether that need not be repeated soon."""
        try:
            renew = partial(worker_leases.renew, self._lease, self._counts(), self._ttl)
            if not afresh(renew):
                self._on_lost()
                self._stop.set()
        except Error as error:
            logger.warning("the database is away: %s", error)
            return False
        return True
