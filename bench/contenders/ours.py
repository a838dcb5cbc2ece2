"""Two loops with everything on: leases, tokens, ordered atomic commits, statistics, the feed."""

import asyncio
import tempfile
import time
from pathlib import Path

from sides import Sink, Work, make_item, ready

from nodes.base import BlockingNode, ProducerNode
from nodes.contract import ExecutionCompleted
from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine, SlotAssignment
from orchestrator.events import LoopState
from orchestrator.runtime.host import spare_garbage_collection
from orchestrator.runtime.publisher import Publisher
from storage.datastore import open_store

LEASE = 3600.0


def source(work: Work) -> type[ProducerNode]:
    class Source(ProducerNode):
        """Its state is its place, committed with the items: it never gives one twice."""

        identifier = "source"

        async def setup(self) -> None:
            self.begun = time.monotonic()
            self.state = self.state or 0

        async def execute(self, item):
            number = self.state
            if number == work.count:
                return ExecutionCompleted()
            if work.rate:
                await asyncio.sleep(work.due(number, self.begun))
            self.state = number + 1
            return item.with_data(make_item(number))

    return Source


def sink(counted: Sink) -> type[BlockingNode]:
    class CountingSink(BlockingNode):
        identifier = "counting-sink"

        async def execute(self, item):
            counted.take(item.data)
            return item

    return CountingSink


def workflow(max_length: int) -> dict:
    queue = {"queue_name": "hop"}
    limits = {"max_length": max_length, "max_bytes": max_length * 4096}
    nodes = {
        "in": ("source", {}),
        "write": ("queue-writer", {**queue, **limits}),
        "read": ("queue-reader", queue),
        "out": ("counting-sink", {}),
    }
    return {
        "name": "hop",
        "nodes": [
            {"id": node_id, "type": kind, "data": {"form": {}, "config": config}}
            for node_id, (kind, config) in nodes.items()
        ],
        "edges": [
            {"id": f"{start}-{end}", "source": start, "target": end}
            for start, end in [("in", "write"), ("write", "read"), ("read", "out")]
        ],
    }


async def run(loop: str, work: Work, counted: Sink) -> None:
    """Run one loop of the workflow to its completion, as a runner's host does."""
    spare_garbage_collection()
    registry = NodeRegistry()
    registry.discover()
    registry.register(source(work))
    registry.register(sink(counted))
    store = open_store(work.url)
    lease_until = time.monotonic() + LEASE
    publisher = Publisher(store.feed)
    with tempfile.TemporaryDirectory() as folder:
        engine = FlowEngine(registry, ToolRegistry(), files_dir=Path(folder))
        runner = engine.runner(
            engine.load(workflow(work.room)),
            SlotAssignment(workflow="hop", version=1, activation=1, loop=loop, slot=0, token=1),
            store.queue,
            lambda: time.monotonic() < lease_until,
        )

        async def feed() -> None:
            while True:
                await asyncio.sleep(0.25)
                publisher.update("hop", f"{loop}/0", runner.snapshot())
                await publisher.publish()

        feeding = asyncio.create_task(feed())
        state = await runner.run()
        feeding.cancel()
    await store.close()
    if state is not LoopState.COMPLETED:
        raise SystemExit(f"loop {loop} ended as {state}")


def produce(work: Work) -> None:
    asyncio.run(run("in", work, Sink(work)))


def consume(work: Work) -> None:
    counted = Sink(work)
    ready()
    asyncio.run(run("read", work, counted))
    counted.report()
