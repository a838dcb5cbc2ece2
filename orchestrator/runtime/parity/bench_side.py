"""The bench's side of a parity run: every node alone in a bench child, for one item at a time.

Conditions on edges are evaluated in the child, too. How production walks a loop is not used here.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodes.contract import DEFAULT_PORT, Json
from orchestrator.conf import OrchestratorSettings
from orchestrator.exceptions import (
    NodeFailed,
    NodeTimeout,
    NotReached,
    OrchestratorError,
    TemplateFailed,
    TemplateInvalid,
)
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.graph import FlowNode
from orchestrator.flow.loops import Loop
from orchestrator.runtime.bench.node import node_json
from orchestrator.runtime.bench.pool import BenchPool
from orchestrator.runtime.parity.record import Event, Recording, Replay, item_rank
from orchestrator.runtime.parity.walk import Arrival, Walk

_CHILDREN = 16
Item = tuple[str, dict[str, Json]]


class BenchSide:
    """Replays the loops of one workflow.

    Args:
        production: what the other side did: for how many items there were where time ended a
            source, and for what was flushed at the end, which no single node can be asked for.
    """

    def __init__(
        self,
        replay: Replay,
        flow: LoadedFlow,
        loops: Sequence[Loop],
        production: Recording,
        settings: OrchestratorSettings,
    ) -> None:
        self._replay = replay
        self._graph = flow.graph
        self._loops = loops
        self._production = production
        self._timeout = settings.BENCH_TIMEOUT
        self._max_steps = settings.MAX_ITERATIONS
        self._pool = BenchPool(replace(settings, BENCH_CHILDREN=_CHILDREN))
        self._at_once = asyncio.Semaphore(min(4, os.cpu_count() or 1))
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._conditions = {edge.id: edge.condition for edge in flow.spec.edges}
        self._queues: defaultdict[str, list[Item]] = defaultdict(list)
        self._states: dict[str, Json] = {}
        self._rank = item_rank([loop.id for loop in flow.analyzer.loops()])
        self.recording = Recording()

    async def run(self) -> Recording:
        """Replay loop after loop, each behind those that write its queue."""
        try:
            for loop in self._loops:
                await self._run(loop, await self._items(loop))
        finally:
            await self._pool.close()
        return self.recording

    async def _items(self, loop: Loop) -> list[Item]:
        """Return what enters a loop: what its producer or the writers of its queue give."""
        given = (self._replay.given or {}).get(loop.id, ())
        items = [(f"{loop.id}:1:{number}", data) for number, data in enumerate(given, 1)]
        if loop.reads is not None:
            found = sorted([*self._queues[loop.reads], *items], key=lambda i: self._rank(i[0]))
            return [i for i in found if await self._take(loop, i)]
        return items if self._replay.given is not None else await self._produce(loop)

    async def _take(self, loop: Loop, item: Item) -> bool:
        """Run a queue-reader on an entry."""
        inputs = [{"source": None, "condition": None, "data": item[1]}]
        event = await self._execute(loop.producer, item[0], inputs)
        return event is not None and event.output is not None

    async def _produce(self, loop: Loop) -> list[Item]:
        """Ask the producer again and again, with the cursor that it left."""
        wanted = self._replay.items
        if loop.id in self._production.cut:
            wanted = sum(e.node == loop.id and not e.error for e in self._production.events)
        items: list[Item] = []
        for number in range(1, wanted + 1):
            item_id = f"{loop.id}:1:{number}"
            event = await self._execute(loop.producer, item_id, [])
            if event is None or event.error is not None:
                break
            if event.output is not None:
                items.append((item_id, event.output))
        return items

    async def _run(self, loop: Loop, items: Sequence[Item]) -> None:
        walks = [
            self._walk(loop, Event(node=loop.id, item=item_id, output=data, port=DEFAULT_PORT))
            for item_id, data in items
        ]
        if loop.stateful:
            for walk in walks:
                await walk
        else:
            await asyncio.gather(*walks)
        for event in self._production.flushed:
            if event.node in {node.id for node in loop.nodes}:
                await self._walk(loop, event)

    async def _walk(self, loop: Loop, start: Event) -> None:
        """Run what is downstream of an event, and keep what came of it unless a node failed."""
        before = dict(self._states)
        walk = Walk(self._graph, loop, start)
        while (ready := walk.next()) is not None and len(walk.events) <= self._max_steps:
            flow_node, come = ready
            event = await self._execute(flow_node, start.item, self._inputs(come))
            if event is not None:
                walk.add(event)
        if any(event.error for event in walk.events):
            self.recording.failed.add((loop.id, start.item))
            for flow_node in loop.nodes[1:]:
                if flow_node.node.stateful:
                    self._states[flow_node.id] = before.get(flow_node.id)
        else:
            self._keep(walk)

    def _keep(self, walk: Walk) -> None:
        for event in walk.events:
            for queue, data in event.emitted:
                self._queues[queue].append((event.item, data))
            if event.effects:
                self.recording.applied.setdefault(event.node, []).extend(event.effects)

    def _inputs(self, come: Sequence[Arrival]) -> list[Json]:
        return [
            {"source": e.source, "condition": self._conditions[e.id], "data": event.output}
            for e, event in come
        ]

    async def _execute(
        self, flow_node: FlowNode, item_id: str, inputs: Sequence[Json]
    ) -> Event | None:
        """Run one node in the child it has for itself, and record what it made; None when nothing
        reaches it or comes of it."""
        node_id, producer = flow_node.id, not inputs
        request = {
            "op": "execute",
            "workflow_id": self._replay.workflow,
            "node": node_json(flow_node.config),
            "inputs": list(inputs),
            "state": self._states.get(node_id),
            "write": False,
            "timeout": self._replay.patience if producer else self._timeout,
        }
        try:
            async with self._turns[node_id], self._at_once:
                answer = await self._pool.run(request, f"parity:{node_id}")
        except NotReached:
            return None
        except NodeTimeout as error:
            if producer and error.error_type == "NodeTimeout":
                self.recording.cut.add(node_id)
                return None
            event = _failed(node_id, item_id, error)
        except (TemplateFailed, TemplateInvalid) as error:  # a condition, which is the source's
            source = next(given["source"] for given in inputs if given["condition"])
            event = _failed(source, item_id, error)
        except OrchestratorError as error:
            event = _failed(node_id, item_id, error)
        else:
            if answer["completed"]:
                return None
            self._states[node_id] = answer["state"]
            event = _event(node_id, item_id, answer)
        self.recording.events.append(event)
        return event


def _event(node_id: str, item_id: str, answer: Mapping[str, Any]) -> Event:
    return Event(
        node=node_id,
        item=item_id,
        output=answer["output"],
        port=answer["port"] if answer["output"] is not None else None,
        emitted=[[emitted["queue"], emitted["data"]] for emitted in answer["emitted"]],
        effects=answer["effects"],
    )


def _failed(node_id: str, item_id: str, error: OrchestratorError) -> Event:
    if isinstance(error, NodeFailed):
        told = [error.error_type, error.message]
    else:
        told = [error.code, error.message]
    return Event(node=node_id, item=item_id, error=told)
