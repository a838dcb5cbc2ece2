"""Workers: which are alive, and a new one with all that it may execute."""

from orchestrator.runtime import worker_leases
from orchestrator.runtime.task_handlers import handlers
from orchestrator.runtime.task_runs import RunHandler, put_runs
from orchestrator.runtime.worker import Worker
from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore


def alive() -> int:
    """Return how many workers are alive."""
    return worker_leases.living()


def make_worker(name: str, concurrency: int) -> Worker:
    """Return a worker that executes whatever `handlers` has, and runs.

    Raises:
        OrchestratorError: the store is in memory, where no other process finds it.
    """
    runs = DjangoRunStore()
    worker = Worker(name, concurrency, handlers, lambda: put_runs(runs, worker.queue))
    run_handler = RunHandler(
        runs,
        DjangoGraphStore(),
        owner=name,
        feed=worker.store.feed,
        channels=worker.store.channel,
    )
    handlers.register("run", run_handler)
    return worker
