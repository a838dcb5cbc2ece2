"""What stands around a producer on production's side of a parity run."""

import asyncio
import random
from typing import TYPE_CHECKING, Any

from nodes.contract import ExecutionCompleted, NodeOutput
from orchestrator.exceptions import NodeFailed, OrchestratorError
from orchestrator.execution.plan import Call

if TYPE_CHECKING:
    from orchestrator.runtime.parity.recorder import Recorder


class SourceLimits:
    """How a producer is asked: for how many items, how long for each, and whether it matters in
    which order they arrive; `shuffle` is None if it does."""

    def __init__(self, items: int, patience: float, shuffle: random.Random | None) -> None:
        self.items = items
        self.patience = patience
        self.shuffle = shuffle


class Source:
    """Stands around a producer: it completes after some items, or when one is too long in coming.

    To shuffle what it gives it asks for everything first.
    """

    def __init__(self, recorder: "Recorder", loop: str, call: Call, limits: SourceLimits) -> None:
        self._recorder = recorder
        self._loop = loop
        self._call = call
        self._limits = limits
        self._asked = 0
        self._ended = False
        self._ready: list[Any] | None = None

    async def __call__(self, seed: NodeOutput, *context: Any) -> Any:
        if self._limits.shuffle is None:
            return await self._next(seed, context)
        if self._ready is None:
            self._ready = await self._all(seed, context)
            self._limits.shuffle.shuffle(self._ready)
        return self._ready.pop() if self._ready else ExecutionCompleted()

    async def _all(self, seed: NodeOutput, context: Any) -> list[Any]:
        prefix = seed.id.rpartition(":")[0]
        found: list[Any] = []
        while True:
            output = await self._next(NodeOutput(f"{prefix}:{self._asked + 1}", {}, {}), context)
            if isinstance(output, ExecutionCompleted):
                return found
            found.append(output)

    async def _next(self, seed: NodeOutput, context: Any) -> Any:
        if self._ended or self._asked >= self._limits.items:
            return ExecutionCompleted()
        self._asked += 1
        try:
            async with asyncio.timeout(self._limits.patience) as deadline:
                output = await self._call(seed, *context)
        except Exception as error:
            self._ended = True
            if isinstance(error, TimeoutError) and deadline.expired():
                self._recorder.recording.cut.add(self._loop)
            else:
                self._recorder.add(self._loop, seed.id, error=failure(error))
            return ExecutionCompleted()
        if isinstance(output, ExecutionCompleted):
            self._ended = True
        else:
            made = self._recorder.output(output, seed, conditional=False)
            self._recorder.add(self._loop, seed.id, **made)
        return output


def failure(error: BaseException) -> list[str]:
    """Return the type and the message under which the engine knows what a node raised."""
    if isinstance(error, NodeFailed):
        return [error.error_type, error.message]
    kind = error.code if isinstance(error, OrchestratorError) else type(error).__name__
    return [kind, str(error) or type(error).__name__]
