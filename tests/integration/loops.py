"""Real workflows in a test: the engine with the built-in nodes, and nodes that a test writes."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from nodes.base import BlockingNode, NonBlockingNode, ProducerNode
from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine, SlotAssignment
from orchestrator.execution.envelope import unseal
from orchestrator.execution.runner import FlowRunner
from storage.datastore import DataStore
from storage.records import Lease


def part(node_id: str, kind: str, form: dict | None = None, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "data": {"form": form or {}, "config": config}}


def counter(stop: int | None = None, **form: Any) -> dict[str, Any]:
    return part("in", "counter", {"stop": stop, **form})


def queue(**config: Any) -> list[dict[str, Any]]:
    """Return the two ends of the queue `q`."""
    return [
        part("w", "queue-writer", queue_name="q", **config),
        part("r", "queue-reader", queue_name="q"),
    ]


def sink(path: str = "out.jsonl", node_id: str = "sink", **form: Any) -> dict[str, Any]:
    return part(node_id, "file-writer", {"path": path, **form})


def edge(text: str) -> dict[str, Any]:
    """Return an edge: `a b`, or `a:port b`."""
    source, target = text.split()
    source, _, port = source.partition(":")
    return {"id": text, "source": source, "target": target, "sourceHandle": port or None}


def line(*parts: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    """Return a workflow whose nodes follow one another."""
    nodes = [node for found in parts for node in (found if isinstance(found, list) else [found])]
    edges = [edge(f"{a['id']} {b['id']}") for a, b in pairwise(nodes)]
    return {"name": "w", "nodes": nodes, "edges": edges}


class House:
    """Runs slots of workflows on a store, and looks at what they left."""

    def __init__(self, store: DataStore, folder: Path) -> None:
        self.store = store
        self.files = folder / "files"
        self.files.mkdir()
        self._registry = NodeRegistry()
        self._registry.discover()
        self._engine = FlowEngine(self._registry, ToolRegistry(), files_dir=self.files)
        self._tasks: dict[FlowRunner, asyncio.Task[Any]] = {}

    def node(
        self, execute: Callable[..., Any], base: type = BlockingNode, **members: Any
    ) -> Callable[[Callable[..., Any]], None]:
        """Register a node type named like the function."""
        name = execute.__name__.replace("_", "-")
        self._registry.register(
            type("Made", (base,), {"identifier": name, "execute": execute, **members})
        )

    def behind(self, execute: Callable[..., Any]) -> None:
        self.node(execute, NonBlockingNode)

    def source(self, execute: Callable[..., Any], **members: Any) -> None:
        self.node(execute, ProducerNode, **members)

    def runner(
        self,
        workflow: dict[str, Any],
        loop: str = "in",
        *,
        token: int = 1,
        activation: int = 1,
        slot: int = 0,
        **job: Any,
    ) -> FlowRunner:
        """Make a runner on a workflow loaded anew, as another process would."""
        assignment = SlotAssignment(
            workflow="w", version=1, activation=activation, loop=loop, slot=slot, token=token
        )
        made = self._engine.runner(self._engine.load(workflow), assignment, self.store.queue)
        return FlowRunner(dataclasses.replace(made.job, **job))

    def start(self, workflow: dict[str, Any], loop: str = "in", **options: Any) -> FlowRunner:
        runner = self.runner(workflow, loop, **options)
        self._tasks[runner] = asyncio.create_task(runner.run())
        return runner

    async def ended(self, runner: FlowRunner) -> str:
        """Wait for a runner's end and return its state, or raise what it raised."""
        async with asyncio.timeout(30):
            return str(await self._tasks[runner])

    async def run(self, workflow: dict[str, Any], *loops: str, **options: Any) -> None:
        """Run loops, side by side, to their completion."""
        runners = [self.start(workflow, loop, **options) for loop in loops or ("in",)]
        assert {await self.ended(runner) for runner in runners} == {"completed"}

    async def stop(self, runner: FlowRunner) -> None:
        runner.stop()
        assert await self.ended(runner) == "stopped"

    async def kill(self, runner: FlowRunner) -> None:
        """End a runner as the death of its process would: nothing is said to the store."""
        self._tasks[runner].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tasks[runner]

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def lease(self, loop: str = "in", token: int = 1, slot: int = 0) -> Lease:
        return Lease(workflow="w", loop=loop, slot=slot, token=token)

    def rows(self, path: str = "out.jsonl") -> list[dict[str, Any]]:
        file = self.files / path
        return (
            [orjson.loads(row) for row in file.read_bytes().splitlines()] if file.exists() else []
        )

    def values(self, path: str = "out.jsonl") -> list[int]:
        return [row["value"] for row in self.rows(path)]

    async def queued(self, name: str = "q") -> list[dict[str, Any]]:
        entries = await self.store.queue.peek("w", name, 100_000)
        return [unseal(entry.body).item.data for entry in entries]

    async def queued_values(self, name: str = "q") -> list[int]:
        return [data["value"] for data in await self.queued(name)]

    async def length(self, name: str = "q") -> int:
        return (await self.store.queue.lengths("w", [name]))[name]

    async def dead(self) -> list[dict[str, Any]]:
        return [orjson.loads(entry.body) for entry in await self.store.queue.dead("w", 1000)]
