"""Taps: what nodes of production loops got and gave a moment ago, kept where the bench can see it.

A loop's samples are published from its own event loop, while it waits for something else: without
secrets, a little at a time, and only if the store is there.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from time import perf_counter
from typing import Any
from urllib.parse import quote

from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidPayload
from orchestrator.execution.cancellation import end_task
from orchestrator.execution.context import Scope
from orchestrator.execution.plan import Step
from orchestrator.execution.tap import Sample
from orchestrator.runtime.tap_json import encoded
from storage.base import CacheStore
from storage.codec import decode, printable
from storage.records import Missing

logger = logging.getLogger(__name__)

PERIOD = 1.0
TTL = 24 * 3600
PUBLISH_BYTES = 256 * 1024
PUBLISH_SAMPLES = 200
_LAST_PATIENCE = 1.0
_TURN = 0.002
"""Seconds after which the loop gets its turn while samples are encoded."""


class Taps:
    """Publishes the samples of one slot. Whatever goes wrong, its loop does not hear of it."""

    def __init__(self, cache: CacheStore, scope: Scope, steps: Iterable[Step]) -> None:
        self._cache = cache
        self._scope = scope
        self._slot = f"{scope.loop}/{scope.slot}"
        self._steps = deque(steps)
        self._published: dict[str, int] = {}
        """By node, how many samples it had taken when they were published."""
        self._turn_ends = 0.0
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Publish from now on, as work of the task that calls."""
        task = asyncio.current_task()
        name = task.get_name() if task is not None else None
        self._task = asyncio.create_task(self._run(), name=name)

    async def stop(self, *, last: bool) -> None:
        """Publish no more.

        Args:
            last: whether there is time to publish once more what is new.
        """
        if self._task is not None:
            await end_task(self._task)
        if last and not self._failing:
            await self._try_to_publish(_LAST_PATIENCE)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            await self._try_to_publish()

    async def _try_to_publish(self, patience: float | None = None) -> None:
        try:
            async with asyncio.timeout(patience):
                await self.publish()
        except Exception as error:
            if not self._failing:
                logger.warning("samples of %s cannot be published: %r", self._slot, error)
            self._failing = True
        else:
            self._failing = False

    async def publish(self) -> None:
        """Write the rings in which there is something new, of as many nodes as there is room for;
        the others are the first next time.

        Raises:
            StoreUnavailable: the server is away; nothing is noted as published.
        """
        values: dict[str, bytes] = {}
        taken: dict[str, int] = {}
        size = samples = 0
        self._turn_ends = perf_counter() + _TURN
        for _ in range(len(self._steps)):
            step = self._steps[0]
            if step.tap.taken != self._published.get(step.id, 0):
                if size >= PUBLISH_BYTES or samples >= PUBLISH_SAMPLES:
                    break
                taken[step.id] = step.tap.taken
                ring = list(step.tap.samples)
                body = await self._encoded(step.id, ring)
                values[_key(self._scope.workflow, self._slot, step.id)] = body
                size, samples = size + len(body), samples + len(ring)
            self._steps.rotate(-1)
        if values:
            await self._cache.set_many(values, TTL)
            self._published |= taken

    async def _encoded(self, node_id: str, ring: Iterable[Sample]) -> bytes:
        bodies = []
        for sample in ring:
            if sample.body is None:
                sample.body = encoded(self._head(node_id, sample), sample)
                sample.item = sample.output = None  # they may be large
            bodies.append(sample.body)
            if perf_counter() >= self._turn_ends:
                await asyncio.sleep(0)
                self._turn_ends = perf_counter() + _TURN
        return b"[" + b",".join(bodies) + b"]"

    def _head(self, node_id: str, sample: Sample) -> dict[str, Any]:
        scope = self._scope
        known = sample.item if sample.item is not None else sample.output
        return {
            "id": f"{self._slot}:{node_id}:{scope.token}-{sample.number}",
            "loop": scope.loop,
            "slot": scope.slot,
            "node_id": node_id,
            "version": scope.version,
            "item_id": printable(known.id) if isinstance(known, NodeOutput) else "",
            "at": sample.at,
            "port": sample.port,
            "seconds": sample.seconds,
            "error": sample.error,
        }


def _key(workflow: str, slot: str, node_id: str) -> str:
    return f"tap:{quote(workflow, safe='')}:{quote(slot)}:{quote(node_id, safe='')}"


async def read(
    cache: CacheStore, workflow: str, slots: Iterable[str], node_id: str
) -> list[dict[str, Any]]:
    """Return what is kept of a node, newest first.

    Args:
        slots: names (`loop/slot`) of the slots that run it.

    Raises:
        StoreUnavailable: the server is away.
    """
    found = await cache.get_many([_key(workflow, slot, node_id) for slot in slots])
    samples = [s for body in found if not isinstance(body, Missing) for s in _ring(body)]
    return sorted(samples, key=lambda sample: sample["at"], reverse=True)


def _ring(body: bytes) -> list[dict[str, Any]]:
    """Return the samples in a value of the store, which may be anybody's."""
    try:
        found = decode(body)
    except InvalidPayload:
        found = None
    samples = found if isinstance(found, list) else []
    return [s for s in samples if isinstance(s, dict) and isinstance(s.get("at"), int | float)]


def node_of(sample_id: str) -> str | None:
    """Return the node whose sample has this id; None if it can be no sample's id."""
    parts = sample_id.split(":")
    return parts[1] if len(parts) == 3 else None
