"""Celery on a Redis broker: one worker process, late acknowledgement, no results kept."""

from __future__ import annotations

import os

from celery import Celery, signals
from sides import Sink, Work, ready

_PREFETCH = 4


def _app(work: Work) -> Celery:
    app = Celery("hop", broker=work.url.replace("unix://", "redis+socket://"))
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=_PREFETCH,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
    )
    return app


def produce(work: Work) -> None:
    app = _app(work)
    task = app.signature("count")
    with app.producer_pool.acquire() as producer:
        for item in work.paced():
            task.apply_async((item,), producer=producer)


def consume(work: Work) -> None:
    app = _app(work)
    sink = Sink(work)

    def count(data: dict) -> None:
        if sink.take(data):
            sink.report()
            os._exit(0)

    app.task(name="count")(count)
    signals.worker_ready.connect(lambda **_: ready(), weak=False)
    app.worker_main(
        [
            *("worker", "--pool=solo", "--concurrency=1", "--loglevel=ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )
