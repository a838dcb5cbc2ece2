"""The two ends of a queue between loops."""

from nodes.base import NonBlockingNode, ProducerNode
from nodes.contract import NodeContext, NodeOutput


class QueueReader(ProducerNode):
    """Starts an iteration for each entry of a queue.

    The engine reads the queue, several entries at a time, and acknowledges each with the commit of
    its iteration; `execute` only passes on what the engine hands in.
    """

    identifier = "queue-reader"
    label = "Queue reader"
    description = "Takes items from a queue that another loop writes."
    icon = "log-in"
    category = "queues"
    form_class = "nodes.builtin.queues_forms.QueueReaderForm"
    stateful = False  # the queue knows what is done, so that many slots may read it
    queue_role = "reader"
    source = "queue"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        return item


class QueueWriter(NonBlockingNode):
    """Hands items over to a queue, together with the commit of the iteration."""

    identifier = "queue-writer"
    label = "Queue writer"
    description = "Puts items into a queue for another loop, durably."
    icon = "log-out"
    category = "queues"
    form_class = "nodes.builtin.queues_forms.QueueWriterForm"
    queue_role = "writer"

    async def is_ready(self) -> str:
        self._queue = str(self.config.options.queue_name or self.values["queue_name"] or "")
        return "" if self._queue else "the queue has no name: connect a reader, or name the queue"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        context.emit(self._queue, item)
        return item
