"""Executes runs in processes that a test may kill: each request gets a fork of its own.

Requests and answers are lines of JSON; `exit` is how the fork ended. The files are those of the
environment's DATA_DIR.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

from storage.datastore import open_store
from tests.databases import Database
from tests.deployment import environment_of, template_database

LONGEST = 60.0
ROOT = Path(__file__).parents[1]
BOUNDARIES = ("claim", "newest", "record", "update")


class RunServer:
    """The test's side."""

    def __init__(self, folder: Path, database: Database | None = None) -> None:
        self.folder = folder
        self._own = None if database else template_database()[0].copy(folder)
        self.database = database or self._own
        self._pid: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.run_server"],
            cwd=ROOT,
            env={
                **environment_of(folder),
                "DATABASE_URL": self.database.url,
                "TEST_FOLDER": str(folder),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def send(self, do: str, **what: Any) -> int:
        """Begin a request and return the process id of its fork."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        self._process.stdin.flush()
        self._pid = int(json.loads(self._process.stdout.readline())["pid"])
        return self._pid

    def answer(self) -> dict[str, Any]:
        """Return what the fork said, and how it ended; a fork that hangs is killed."""
        assert self._process.stdout is not None and self._pid is not None
        limit = threading.Timer(LONGEST, os.kill, (self._pid, signal.SIGKILL))
        limit.start()
        lines = [json.loads(self._process.stdout.readline())]
        while "exit" not in lines[-1]:
            lines.append(json.loads(self._process.stdout.readline()))
        limit.cancel()
        self._pid = None
        return {key: value for line in lines for key, value in line.items()}

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        self.send(do, **what)
        return self.answer()

    def end_fork(self) -> None:
        """End what an earlier test has left behind."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self.answer()

    def arm(self, place: str) -> None:
        """Let whoever comes by this place next die."""
        (self.folder / "failpoint").write_text(place)

    @property
    def armed(self) -> bool:
        return (self.folder / "failpoint").exists()

    def effects(self) -> list[str]:
        """Return the keys of all effects, in order."""
        lines = (self.folder / "effects.jsonl").read_text().splitlines()
        return [json.loads(line)["key"] for line in lines]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._own is not None:
            self._own.drop()


def _wrap(store: Any) -> None:
    """Let a process die before and after the nth call of a method."""
    from tests.nodes.failpoints import pass_by

    counts = dict.fromkeys(BOUNDARIES, 0)

    def wrapped(name: str) -> Any:
        call = getattr(store, name)

        @wraps(call)
        async def passing(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            pass_by(f"before_{name} {counts[name]}")
            answer = await call(*args, **options)
            pass_by(f"after_{name} {counts[name]}")
            return answer

        return passing

    for name in BOUNDARIES:
        setattr(store, name, wrapped(name))


async def _make(graphs: Any, runs: Any, graph: Any, run: Any) -> dict[str, Any]:
    from orchestrator.runtime.run_graphs import load_graph
    from storage.runs import GraphRecord, RunRecord

    code = load_graph(graph).digest
    await graphs.save(GraphRecord(id="g", name="g", definition=graph, digest=code))
    await runs.create(RunRecord(graph_id="g", digest=code, entry="a", **run))
    return {}


async def _execute(
    graphs: Any,
    runs: Any,
    id: str,
    stale_after: float = 0.2,
    patience: float = 20.0,
    redis_url: str | None = None,
) -> dict[str, Any]:
    from orchestrator.runtime import run_recorder
    from orchestrator.runtime.run_worker import execute_run

    run_recorder.PATIENCE = patience
    _wrap(runs)
    work = asyncio.create_task(
        execute_run(
            id,
            runs=runs,
            graphs=graphs,
            owner="w",
            stale_after=stale_after,
            channels=None if redis_url is None else open_store(redis_url).channel,
        )
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        ended = await work
    except asyncio.CancelledError:
        return {"ended": "let go"}
    return {"ended": None if ended is None else ended.status}


async def _show(graphs: Any, runs: Any, id: str) -> dict[str, Any]:
    run = await runs.get(id)
    return {
        "run": {name: getattr(run, name) for name in ("status", "state", "steps", "error")},
        "parent": run.parent,
        "runs_on": run.runs_on,
        "log": [[step.node, step.number, step.error] for step in await runs.steps(id)],
        "checkpoints": [found.body.decode() for found in await runs.checkpoints(id)],
    }


async def _cancel(graphs: Any, runs: Any, id: str) -> dict[str, Any]:
    await runs.cancel(id)
    return {}


async def _put_abandoned(graphs: Any, runs: Any, stale_after: float) -> dict[str, Any]:
    from orchestrator.runtime.run_control import op_id
    from orchestrator.runtime.run_worker import put_abandoned

    put: list[str] = []

    async def keep(run: Any) -> None:
        put.append(op_id(run))

    await put_abandoned(runs, keep, stale_after=stale_after)
    return {"put": put}


async def _damage(graphs: Any, runs: Any, id: str, number: int, damage: str) -> dict[str, Any]:
    """Change a checkpoint behind everybody's back, with the checksum beside it."""
    from orchestrator.execution.checkpoints import decode, encode
    from orchestrator.models import RunCheckpoint

    body = (await runs.checkpoint(id, number)).body
    foreign = encode(replace(decode(body), digest="another"))
    made = {"torn": body[:-9], "foreign": foreign, "empty": b""}[damage]
    rows = RunCheckpoint.objects.filter(run=id, number=number)
    assert await rows.aupdate(body=made) == 1
    return {}


async def _change_graph(graphs: Any, runs: Any) -> dict[str, Any]:
    from orchestrator.models import Graph

    await Graph.objects.aupdate(digest="another")
    return {}


async def _clear(graphs: Any, runs: Any) -> dict[str, Any]:
    from orchestrator.models import Graph

    await Graph.objects.all().adelete()
    return {}


async def _control(how: str, graphs: Any, runs: Any, **what: Any) -> dict[str, Any]:
    from orchestrator.runtime import run_control

    return {"id": (await getattr(run_control, how)(runs, graphs, **what)).id}


_REQUESTS = {
    "make": _make,
    "execute": _execute,
    "show": _show,
    "cancel": _cancel,
    "put_abandoned": _put_abandoned,
    "damage": _damage,
    "change_graph": _change_graph,
    "clear": _clear,
    **{how: partial(_control, how) for how in ("resume", "restart", "fork")},
}


async def _do(request: dict[str, Any]) -> dict[str, Any]:
    from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore

    do = _REQUESTS[request.pop("do")]
    return await do(DjangoGraphStore(), DjangoRunStore(), **request)


def serve() -> None:
    import django

    django.setup()
    from orchestrator.runtime.engine import flow_engine

    flow_engine()
    for line in sys.stdin.buffer:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(read, 1)  # not before the parent has told the pid
            from orchestrator.exceptions import OrchestratorError

            try:
                answer = asyncio.run(_do(json.loads(line)))
            except OrchestratorError as error:
                answer = {"error": error.code, "message": error.message}
            os.write(1, json.dumps(answer).encode() + b"\n")
            os._exit(0)
        os.write(1, json.dumps({"pid": pid}).encode() + b"\n")
        os.write(write, b"g")
        _, status = os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
        code = os.waitstatus_to_exitcode(status)
        os.write(1, json.dumps({"exit": code}).encode() + b"\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()
