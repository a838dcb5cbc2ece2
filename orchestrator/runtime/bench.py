"""The bench's children: warm processes that run one node each, one request per child.

A node that hangs is killed with its process group at the deadline, one that crashes takes only its
child with it, and of one that prints without end the last 64 KB are kept.
"""

import asyncio
import contextlib
import os
from collections import deque
from typing import Any

import orjson

from nodes.contract import NodeOutput
from orchestrator.conf import OrchestratorSettings
from orchestrator.exceptions import Busy, Conflict, NodeFailed, NodeTimeout
from orchestrator.runtime import bench_child
from orchestrator.runtime.forked import ForkedChild, fork, line

LOG_LIMIT = 64 * 1024
ANSWER_LIMIT = 16 * 1024 * 1024


class BenchPool:
    """Children for one event loop: at most `BENCH_CHILDREN` busy ones, and a warm spare."""

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._limit = settings.BENCH_CHILDREN
        self._busy = 0
        self._spare: asyncio.Task[_Child] | None = None

    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one node in a child and return what it made, with its `log`.

        Args:
            request: `workflow` (JSON), `node_id`, `inputs` (`source`, `condition`, `data` of each
                edge) and `timeout` in seconds.

        Raises:
            Busy: as many as allowed are running.
            Conflict: no edge leads to the node with these inputs.
            NodeFailed: the node raised or ended its process; `trace` ends with its log.
            NodeTimeout: it took too long and was ended.
        """
        if self._busy >= self._limit:
            raise Busy(f"{self._limit} nodes are running on the bench: try again")
        self._busy += 1
        try:
            child = await self._take()
            try:
                return await child.ask(request)
            finally:
                child.end()
        finally:
            self._busy -= 1

    async def _take(self) -> "_Child":
        ready, self._spare = self._spare, asyncio.create_task(_Child.start())
        try:
            return await (ready or _Child.start())
        except (OSError, EOFError):  # the fork server was lost, and is started anew
            return await _Child.start()

    async def close(self) -> None:
        """End the spare child."""
        if self._spare is not None:
            with contextlib.suppress(OSError, EOFError):
                (await self._spare).end()


class _Child:
    def __init__(self, child: ForkedChild, output: int) -> None:
        self._child = child
        self._output = output
        self._log: deque[bytes] = deque()
        self._log_size = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @classmethod
    async def start(cls) -> "_Child":
        ours, theirs = os.pipe()
        try:
            forked = await asyncio.to_thread(fork, bench_child.main, output=theirs, name="bench")
        finally:
            os.close(theirs)
        child = cls(forked, ours)
        os.set_blocking(ours, False)
        asyncio.get_running_loop().add_reader(ours, child._read_output)
        forked.connection.setblocking(False)
        child._reader, child._writer = await asyncio.open_connection(
            sock=forked.connection, limit=ANSWER_LIMIT
        )
        return child

    def _read_output(self) -> None:
        try:
            chunk = os.read(self._output, LOG_LIMIT)
        except BlockingIOError:
            return
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._output)
            return
        self._log.append(chunk)
        self._log_size += len(chunk)
        while self._log_size - len(self._log[0]) >= LOG_LIMIT:
            self._log_size -= len(self._log.popleft())

    @property
    def log(self) -> str:
        """The end of what the child printed and logged."""
        return b"".join(self._log)[-LOG_LIMIT:].decode("utf-8", "replace")

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        node_id, seconds = request["node_id"], request["timeout"]
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(line(request))
                raw = await self._reader.readline()
        except TimeoutError:
            raise NodeTimeout(
                f"took longer than {seconds:g} s and was ended",
                node_id=node_id,
                error_type="NodeTimeout",
                trace=self.log,
            ) from None
        except (ConnectionError, ValueError) as error:
            raise self._lost(node_id, str(error)) from None
        if not raw:
            raise self._lost(node_id, "the node ended its process")
        self._read_output()
        try:
            return self._open(orjson.loads(raw))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._lost(node_id, "the node wrote into the answer") from None

    def _lost(self, node_id: str, message: str) -> NodeFailed:
        code = self._child.join(1)
        return NodeFailed(
            f"{message} (exit code {code})",
            node_id=node_id,
            error_type="ProcessEnded",
            trace=self.log,
        )

    def _open(self, reply: dict[str, Any]) -> dict[str, Any]:
        if "conflict" in reply:
            raise Conflict(reply["conflict"])
        if "failed" in reply:
            failed = reply["failed"]
            data = failed.pop("node_input")
            item = None if data is None else NodeOutput("bench", data)
            raise NodeFailed(failed.pop("message"), node_input=item, **failed)
        return {**reply["answer"], "log": self.log}

    def end(self) -> None:
        """Kill the child with everything it started, and let go of its pipes."""
        self._child.kill()
        self._writer.close()
        asyncio.get_running_loop().remove_reader(self._output)
        with contextlib.suppress(OSError):
            os.close(self._output)
