"""Runs of graphs as tasks."""

from nodes.contract import Json
from orchestrator.exceptions import InvalidRequest
from orchestrator.runtime.run_control import op_id
from orchestrator.runtime.run_worker import Channels, execute_run, put_abandoned
from orchestrator.runtime.task_handlers import TaskHandler
from storage.base import Feed
from storage.runs import GraphStore, RunRecord, RunStore
from storage.tasks import Task, TaskQueue

_WHEN_AWAY = {"max_attempts": 1000, "max_delay": 10.0, "retry_on": ["StoreUnavailable"]}


class RunHandler(TaskHandler):
    """A run, from its newest checkpoint. How it ended is in its record, not in the result."""

    def __init__(
        self, runs: RunStore, graphs: GraphStore, *, owner: str, feed: Feed, channels: Channels
    ) -> None:
        self._runs = runs
        self._graphs = graphs
        self._owner = owner
        self._feed = feed
        self._channels = channels

    async def execute(self, task: Task) -> Json:
        run_id = task.arguments.get("run_id")
        if not isinstance(run_id, str):
            raise InvalidRequest('a run needs {"run_id": text}')
        await execute_run(
            run_id,
            runs=self._runs,
            graphs=self._graphs,
            owner=self._owner,
            feed=self._feed,
            channels=self._channels,
        )
        return None


def task_of(run: RunRecord) -> Task:
    """Return the task that lets a worker go on with a run."""
    return Task(
        type="run",
        arguments={"run_id": run.id},
        id=op_id(run),
        retry=_WHEN_AWAY,
        runs_on=tuple(run.runs_on),
    )


async def put_runs(runs: RunStore, queue: TaskQueue) -> None:
    """Put the tasks of runs that nobody works on."""

    async def put(run: RunRecord) -> bool:
        return await queue.put(task_of(run))

    await put_abandoned(runs, put)
