"""The members of W3: ours as registered tasks, and Celery's worker with the same."""

from __future__ import annotations

import os
import sys
from typing import Any


async def member(n: int) -> int:
    return n


async def whereabouts() -> int:
    return os.getpid()


def celery_app(url: str) -> Any:
    from celery import Celery

    address = url.replace("unix://", "redis+socket://")
    app = Celery("members", broker=address, backend=address)
    app.conf.update(
        task_acks_late=True,
        worker_prefetch_multiplier=4,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
    )
    app.task(name="member")(_same)
    app.task(name="add")(_add)
    return app


def _same(n: int) -> int:
    return n


def _add(numbers: list[int]) -> int:
    return sum(numbers)


def main(url: str) -> None:
    celery_app(url).worker_main(
        [
            *("worker", "--pool=solo", "--concurrency=1", "--loglevel=ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            f"--hostname=w{os.getpid()}",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1])
else:
    from orchestrator.execution.tasks import tasks

    tasks.register("member", member)
    tasks.register("whereabouts", whereabouts)
