"""Workers: which are alive, and a new one with all that it may execute."""

import os
from collections.abc import Iterable

from orchestrator.conf import orchestrator_settings
from orchestrator.runtime import worker_leases
from orchestrator.runtime.cluster import make_cluster
from orchestrator.runtime.task_handlers import handlers
from orchestrator.runtime.task_runs import RunHandler, put_runs
from orchestrator.runtime.worker import Worker
from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore
from storage.datastore import DataStore


def alive() -> int:
    """Return how many workers are alive."""
    return worker_leases.living()


def make_worker(
    name: str, concurrency: int, labels: Iterable[str] = (), modules: Iterable[str] = ()
) -> Worker:
    """Return a worker that executes whatever `handlers` has, and runs.

    Args:
        modules: what was imported for it, and is wherever the cluster executes its tasks.

    Raises:
        InvalidRequest: it has too many labels.
        OrchestratorError: the store is in memory, where no other process finds it.
    """
    runs = DjangoRunStore()
    environment = {**os.environ, "TASK_MODULES": ",".join(modules)}
    cluster = make_cluster(orchestrator_settings().CLUSTER, handlers, environment)
    worker = Worker(name, concurrency, labels, cluster, lambda: put_runs(runs, worker.queue))
    register_runs(name, worker.store)
    return worker


def register_runs(owner: str, store: DataStore) -> None:
    """Let this process execute runs.

    Args:
        owner: who has them then. store: where their channels are, and the feed that tells of them.
    """
    handler = RunHandler(
        DjangoRunStore(),
        DjangoGraphStore(),
        owner=owner,
        feed=store.feed,
        channels=store.channel,
    )
    handlers.register("run", handler)
