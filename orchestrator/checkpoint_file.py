"""CheckpointFile: the checkpoints of runs in one SQLite file, for scripts without a server."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.exceptions import InvalidPayload, StoreUnavailable
from orchestrator.execution.checkpoints import Snapshot, decode, encode
from orchestrator.execution.run_types import RunLimits, RunResult
from orchestrator.execution.runs import Run
from orchestrator.graphs import ExecutionContext, Graph

_TABLE = """
CREATE TABLE IF NOT EXISTS checkpoint (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS checkpoint_of_run ON checkpoint (run, number);
"""
_INSERT = "INSERT INTO checkpoint (run, body) VALUES (?, ?)"
_NEWEST = "SELECT body FROM checkpoint WHERE run = ? ORDER BY number DESC"


class CheckpointFile:
    """Runs graphs so that they go on after a crash: the same call once more resumes the run.

    Checkpoints are only ever inserted, each commit is synced to the disk, and one that is torn is
    passed over for the one before it.

    Args:
        wait: a step begins when the checkpoint before it is on the disk; the event loop is held up
            meanwhile. False: it is written while the run goes on, several in one commit; after a
            crash a few more steps run again.

    Raises (every method): StoreUnavailable when the file cannot be read or written.
    """

    def __init__(self, path: str | Path, *, wait: bool = True) -> None:
        self.wait = wait
        self._ahead: list[tuple[str, bytes]] = []
        self._written: Future[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        with _translated():
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.executescript(_TABLE)

    def run(
        self, graph: Graph, run_id: str, state: dict[str, Any] | None = None, **options: Any
    ) -> RunResult:
        """Do what `arun` does, in a script."""
        return asyncio.run(self.arun(graph, run_id, state, **options))

    async def arun(
        self,
        graph: Graph,
        run_id: str,
        state: dict[str, Any] | None = None,
        *,
        every: int = 1,
        **limits: Any,
    ) -> RunResult:
        """Run a graph, or go on with the run of this id from its newest checkpoint.

        A run that has ended is not run again: its result is returned.

        Args:
            state: to begin with; of a run that goes on it is not looked at.
            every: steps from one checkpoint to the next. limits: see RunLimits.

        Raises:
            Conflict: the checkpoints are of another version of the graph. Else as `Graph.arun`.
        """
        observer = _Observer(self, run_id, every)
        compiled = graph.compile(recorded=True)
        context = ExecutionContext.create(graph=compiled, config={"run_id": run_id})
        run = Run(compiled, context, observer, RunLimits(**limits))
        snapshot = self.newest(run_id)
        try:
            if snapshot is not None:
                return (await run.resume(snapshot)).check()
            return (await run.execute({} if state is None else state)).check()
        finally:
            await self.flush()

    def newest(self, run_id: str) -> Snapshot | None:
        """Return the newest checkpoint of a run that is whole, or None."""
        with _translated():
            for (body,) in self._file.execute(_NEWEST, (run_id,)):
                with contextlib.suppress(InvalidPayload):
                    return decode(body)
        return None

    async def insert(self, run_id: str, body: bytes) -> None:
        """Take a checkpoint, and wait until it is on the disk if that is wanted."""
        self._ahead.append((run_id, body))
        if self.wait:
            self._write()  # in line: handing it to a thread takes longer than to write it
        else:
            self._written = self._writer.submit(self._write)

    async def flush(self) -> None:
        """Wait until every checkpoint is on the disk."""
        if self._written is not None:
            await asyncio.wrap_future(self._written)

    def _write(self) -> None:
        """Write all that waits in one commit; only the loop or only the writer is here."""
        rows, self._ahead = self._ahead, []
        if rows:
            with _translated():
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany(_INSERT, rows)
                self._file.execute("COMMIT")

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._writer.shutdown()
        self._file.close()

    def __enter__(self) -> "CheckpointFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Observer:
    def __init__(self, file: CheckpointFile, run_id: str, every: int) -> None:
        self.checkpoint_every: int | None = every
        self._file = file
        self._run_id = run_id

    async def step(self, record: Any) -> None:
        """The log is not kept."""

    async def checkpoint(self, snapshot: Snapshot) -> None:
        await self._file.insert(self._run_id, encode(snapshot))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the checkpoint file: {error}") from error
