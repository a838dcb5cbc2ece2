"""Checker: where every item is once all is quiet."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from tests.deployment import Deployment
from tests.faults.recorder import Recorder
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.faults.nemesis import Nemesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the items of one row.

    lost: handed over, and neither in an output nor a dead letter. phantom: in one, but never handed
    over. repeated: executions of a node beyond the first of each item, which are allowed.
    recovery: seconds, None without a fault to recover from; see `Recorder.silence`.
    """

    items: int
    lost: int
    duplicates: int
    phantom: int
    dead: int
    repeated: int
    recovery: float | None

    @property
    def sound(self) -> bool:
        return not (self.lost or self.duplicates or self.phantom)


class Checker:
    """The items are numbers from 0 on, as `counter` makes them.

    Args:
        nodes: the ids of the recording nodes.
        paths: the files that hold the outputs.
    """

    def __init__(
        self,
        deployment: Deployment,
        workflow: str,
        *,
        items: int,
        nodes: tuple[str, ...] = ("record",),
        paths: tuple[str, ...] = ("out.jsonl",),
    ) -> None:
        self.recorder = Recorder(deployment.folder)
        self._deployment = deployment
        self._workflow = workflow
        self._asked = Counter(range(items))
        self._nodes = nodes
        self._paths = paths

    def written(self) -> Counter[int]:
        return Counter(row["value"] for path in self._paths for row in self._deployment.rows(path))

    def dead(self) -> Counter[int]:
        letters = self._deployment.dead_letters(self._workflow)
        here = [letter for letter in letters if letter["status"] != "replayed"]
        return Counter(letter["item"]["value"] for letter in here)

    def executed(self) -> int:
        """Return how many executions the last node has seen."""
        return self.recorder.count(self._nodes[-1])

    def completed(self) -> bool:
        return self._deployment.status(self._workflow)["status"] == "completed"

    def verdict(self, nemesis: "Nemesis") -> Verdict:
        """Wait until nothing is on its way any more, and count."""
        eventually(lambda: not self._left(), 30)
        written, dead = self.written(), self.dead()
        found = written + dead
        return Verdict(
            items=self._asked.total(),
            lost=(self._asked - found).total(),
            duplicates=sum(n - 1 for n in found.values()),
            phantom=sum(n for value, n in found.items() if value not in self._asked),
            dead=dead.total(),
            repeated=self.recorder.repeated(self._nodes),
            recovery=self.recorder.silence(self._nodes, nemesis.faults),
        )

    def key(self, queue: str) -> str:
        """Return the key of the stream of a queue."""
        return f"wo:{{wf:{self._workflow}}}:q:{queue}"

    def streams(self, client: redis.Redis) -> list[dict[str, Any]]:
        """Return what the server tells of the stream of each queue."""
        return [client.xinfo_stream(key) for key in client.scan_iter(match=self.key("*"))]

    def _left(self) -> int:
        """Return how many entries are in queues, in hand or not, delayed, or in the outbox."""
        prefix = f"wo:{{wf:{self._workflow}}}:"
        with redis.Redis.from_url(self._deployment.redis.url) as client:
            queued = sum(stream["length"] for stream in self.streams(client))
            delayed = sum(client.zcard(k) for k in client.scan_iter(match=f"{prefix}delayed*"))
            return queued + delayed + client.xlen(f"{prefix}dead")
