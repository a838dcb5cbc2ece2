"""The queues of a workflow as its loops use them: who writes, who reads, what they may hold."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.flow.loops import Loop
from storage.records import inbox


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWriter:
    """A node that writes a queue, with the limits at which its loop does what `overflow` says."""

    loop: str
    node: str
    max_length: int
    max_bytes: int
    overflow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedQueue:
    """A queue between loops, or the inbox of the one that reads it.

    readers: ids of loops. inbox_of: the id of the loop, or None for a queue between loops.
    """

    name: str
    writers: tuple[QueueWriter, ...] = ()
    readers: tuple[str, ...] = ()
    inbox_of: str | None = None

    @property
    def max_length(self) -> int | None:
        """Entries at which the first writer finds it full; None when nobody writes it."""
        return min((writer.max_length for writer in self.writers), default=None)

    @property
    def max_bytes(self) -> int | None:
        """Bytes at which the first writer finds it full; None when nobody writes it."""
        return min((writer.max_bytes for writer in self.writers), default=None)


def plan_queues(loops: Iterable[Loop]) -> list[PlannedQueue]:
    """Return the queues between loops, then the loops' inboxes, each in the order of the JSON."""
    known = list(loops)
    writers: dict[str, list[QueueWriter]] = {}
    readers: dict[str, list[str]] = {}
    for loop in known:
        for writer, queue in _writers(loop):
            writers.setdefault(queue, []).append(writer)
        if loop.reads is not None:
            readers.setdefault(loop.reads, []).append(loop.id)
    queues = [
        PlannedQueue(
            name=name,
            writers=tuple(writers.get(name, ())),
            readers=tuple(readers.get(name, ())),
        )
        for name in dict.fromkeys([*writers, *readers])
    ]
    inboxes = [
        PlannedQueue(name=inbox(loop.id), readers=(loop.id,), inbox_of=loop.id) for loop in known
    ]
    return queues + inboxes


def _writers(loop: Loop) -> list[tuple[QueueWriter, str]]:
    """Return the writers of a loop, each with the name of its queue."""
    found = []
    for node in loop.nodes:
        options = node.config.options
        if node.node.queue_role == "writer" and options.queue_name:
            writer = QueueWriter(
                loop=loop.id,
                node=node.id,
                max_length=options.max_length,
                max_bytes=options.max_bytes,
                overflow=options.overflow,
            )
            found.append((writer, options.queue_name))
    return found
