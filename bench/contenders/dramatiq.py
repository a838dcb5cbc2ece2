"""Dramatiq on Redis, with its own defaults for middleware and acknowledgement."""

from __future__ import annotations

import os
import threading
import time

os.environ.setdefault("dramatiq_queue_prefetch", "50")  # faster here than the default of 16

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from sides import Sink, Work, ready

_THREADS = 8


def _broker(work: Work) -> RedisBroker:
    broker = RedisBroker(url=work.url)
    dramatiq.set_broker(broker)
    return broker


def produce(work: Work) -> None:
    _broker(work)
    actor = dramatiq.actor(lambda data: None, actor_name="count")
    for item in work.paced():
        actor.send(item)


def consume(work: Work) -> None:
    broker = _broker(work)
    sink = Sink(work)
    lock = threading.Lock()

    def count(data: dict) -> None:
        with lock:
            if sink.take(data):
                sink.report()
                os._exit(0)

    dramatiq.actor(count, actor_name="count")
    dramatiq.Worker(broker, worker_threads=_THREADS).start()
    ready()
    while True:
        time.sleep(60)
