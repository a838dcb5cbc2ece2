"""The recorder of production's side: it stands around every call of a node, and changes nothing
but where the items of a source come from and where staged effects go."""

import asyncio
from collections.abc import Callable
from typing import Any

from nodes.contract import DEFAULT_PORT, Json, NodeOutput, chosen_port
from orchestrator.execution.envelope import unseal
from orchestrator.execution.plan import Call, Step
from orchestrator.flow.loops import Loop
from orchestrator.runtime.parity.record import Event, Recording
from orchestrator.runtime.parity.source import Source, SourceLimits, failure
from orchestrator.runtime.parity.values import faithful
from storage.records import Entry


class Recorder:
    """Records the loops of one process. Its threads may all use it."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.names: dict[str, str] = {}
        """What items were before a node gave them another id."""

    def name(self, item_id: str) -> str:
        """Return the id that the item had at its source."""
        for _ in range(100):
            if item_id not in self.names:
                break
            item_id = self.names[item_id]
        return item_id

    def same(self, item_id: str, before: str) -> None:
        if item_id != before:
            self.names.setdefault(item_id, before)

    def add(self, node_id: str, item_id: str, **made: Any) -> None:
        self.recording.events.append(Event(node=node_id, item=item_id, **made))

    def taken(self, loop_id: str, entry: Entry) -> None:
        """Note what a queue-reader was handed."""
        item = unseal(entry.body).item
        self.add(loop_id, item.id, output=faithful(item.data), port=DEFAULT_PORT)

    def around(self, loop: Loop, source: SourceLimits) -> Callable[[Step, Call], Call]:
        """Return what `Plan.arm` puts around the calls of a loop's nodes."""

        def wrap(step: Step, call: Call) -> Call:
            if step.id != loop.id:
                return self._recorded(step, call)
            return call if loop.reads is not None else Source(self, loop.id, call, source)

        return wrap

    def _recorded(self, step: Step, call: Call) -> Call:
        async def recorded(item: NodeOutput, *rest: Any) -> Any:
            context = [Watched(self, inner, item.id) for inner in rest]
            try:
                output = await call(item, *context)
            except (Exception, asyncio.CancelledError) as error:
                if not _cut_off(error):
                    self.add(step.id, item.id, error=failure(error), **_side(context))
                raise
            made = self.output(output, item, step.conditional)
            self.add(step.id, item.id, **made, **_side(context))
            return output

        return recorded

    def output(self, output: Any, item: NodeOutput, conditional: bool) -> dict[str, Json]:
        """Return what is recorded of what a node has passed on."""
        if output is None:
            return {}
        if not isinstance(output, NodeOutput):
            return {"output": faithful(output)}
        self.same(output.id, item.id)
        port = chosen_port.get() if conditional else DEFAULT_PORT
        return {"output": faithful(output.data), "port": port}

    def stand_by(self, node: Any) -> None:
        """Record what a node flushes, and keep its staged effects from being written."""
        node.flush = self._flushing(node, node.flush)
        if node.staged:
            node.open_effects = lambda committed, slot, activation: {"activation": activation}
            node.apply_effects = lambda effects: self._applied(node.config.id, effects)

    def _flushing(self, node: Any, flush: Call) -> Call:
        async def flushing(context: Any) -> Any:
            watched = Watched(self, context, None)
            output = await flush(watched)
            ids = [found.id for found in (output, *watched.items) if found is not None]
            for other in ids[1:]:
                self.same(other, ids[0])
            if ids or watched.effects:
                made = {} if output is None else {"output": faithful(output.data)}
                port = None if output is None else DEFAULT_PORT
                item_id = ids[0] if ids else f"{node.config.id} flushed"
                side = _side([watched])
                event = Event(node=node.config.id, item=item_id, port=port, **made, **side)
                self.recording.flushed.append(event)
            return output

        return flushing

    def _applied(self, node_id: str, effects: list[Json]) -> Json:
        self.recording.applied.setdefault(node_id, []).extend(faithful(effects))
        return {"lines": len(self.recording.applied[node_id])}


class Watched:
    """A node's context that notes what is emitted and staged through it."""

    def __init__(self, recorder: Recorder, context: Any, item_id: str | None) -> None:
        self._recorder = recorder
        self._context = context
        self._item_id = item_id
        self.items: list[NodeOutput] = []
        self.emitted: list[Json] = []
        self.effects: list[Json] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def emit(self, queue: str, item: NodeOutput) -> None:
        self._context.emit(queue, item)
        if self._item_id is not None:
            self._recorder.same(item.id, self._item_id)
        self.items.append(item)
        self.emitted.append([queue, faithful(item.data)])

    def stage(self, effect: Json) -> None:
        self._context.stage(effect)
        self.effects.append(faithful(effect))


def _cut_off(error: BaseException) -> bool:
    """Tell whether the walk was ended by another failure; a node may also let one out itself."""
    task = asyncio.current_task()
    cancelled = isinstance(error, asyncio.CancelledError)
    return cancelled and task is not None and task.cancelling() > 0


def _side(contexts: list[Watched]) -> dict[str, Any]:
    return {
        "emitted": [pair for context in contexts for pair in context.emitted],
        "effects": [effect for context in contexts for effect in context.effects],
    }
