"""Producers that need nothing from outside: counter and string-iterator."""

import asyncio

from nodes.base import ProducerNode
from nodes.contract import ExecutionCompleted, NodeOutput


class Counter(ProducerNode):
    """Counts from `start` up to, and without, `stop`: a stop of 10 gives the 10 items 0 to 9.

    A negative step counts down; without a stop it counts for ever. The cursor is the next number.
    """

    identifier = "counter"
    label = "Counter"
    description = "Emits whole numbers one after another, such as 0 to 9 for a stop of 10."
    icon = "hash"
    category = "sources"
    form_class = "nodes.builtin.sources_forms.CounterForm"

    async def setup(self) -> None:
        values = self.values
        self._start: int = values["start"]
        self._step: int = values["step"]
        self._interval: float = values["interval"] or 0.0
        stop: int | None = values["stop"]
        endless = float("inf") if self._step > 0 else float("-inf")
        self._stop: float = endless if stop is None else stop
        self._waits = False

    async def execute(self, item: NodeOutput) -> NodeOutput | ExecutionCompleted:
        number = self._start if self.state is None else self.state["next"]
        if number >= self._stop if self._step > 0 else number <= self._stop:
            return ExecutionCompleted()
        if self._interval and self._waits:  # between two items, not before the first
            await asyncio.sleep(self._interval)
        self._waits = True
        self.state = {"next": number + self._step}
        return item.with_data({"value": number})


class StringIterator(ProducerNode):
    """Emits the lines of a text, each as one item; the cursor is the number of the next line."""

    identifier = "string-iterator"
    label = "Text lines"
    description = "Emits each line of a text that is part of the workflow."
    icon = "list"
    category = "sources"
    form_class = "nodes.builtin.sources_forms.StringIteratorForm"

    async def setup(self) -> None:
        lines = str(self.values["text"]).splitlines()
        if self.values["skip_blank"]:
            lines = [line for line in lines if line.strip()]
        self._lines = lines

    async def execute(self, item: NodeOutput) -> NodeOutput | ExecutionCompleted:
        index = 0 if self.state is None else self.state["next"]
        if index >= len(self._lines):
            return ExecutionCompleted()
        self.state = {"next": index + 1}
        return item.with_data({"line": self._lines[index], "index": index})
