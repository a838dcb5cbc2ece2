"""What is recorded of each side of a parity run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nodes.contract import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call of a node.

    item: what both sides call the item: the id that its producer gave it.
    output: the data passed on; None for nothing. port: None without an output.
    error: type and message, if the call failed.
    emitted: pairs of a queue and data. effects: what was staged.
    """

    node: str
    item: str
    output: Json = None
    port: str | None = None
    error: list[str] | None = None
    emitted: list[Json] = field(default_factory=list)
    effects: list[Json] = field(default_factory=list)

    def made(self) -> dict[str, Json]:
        """Return what is compared."""
        made = asdict(self)
        del made["node"], made["item"]
        return made


@dataclass(slots=True, kw_only=True)
class Recording:
    """What one side did.

    flushed: outputs of nodes that held items back, as production's end drew them out.
    applied: staged effects that were committed, by node.
    failed: (loop, item) of the iterations that failed.
    cut: loops whose producer gave nothing for so long that the run went on without it.
    broken: what ended loops before their time, by loop.
    """

    events: list[Event] = field(default_factory=list)
    flushed: list[Event] = field(default_factory=list)
    applied: dict[str, list[Json]] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Recording") -> None:
        """Take in what another part of the same side did."""
        self.events += other.events
        self.flushed += other.flushed
        for node_id, effects in other.applied.items():
            self.applied.setdefault(node_id, []).extend(effects)
        self.failed |= other.failed
        self.cut |= other.cut
        self.broken |= other.broken

    def to_json(self) -> dict[str, Any]:
        return {
            "events": [asdict(event) for event in self.events],
            "flushed": [asdict(event) for event in self.flushed],
            "applied": self.applied,
            "failed": [list(pair) for pair in self.failed],
            "cut": list(self.cut),
            "broken": self.broken,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Recording":
        return cls(
            events=_events(raw["events"]),
            flushed=_events(raw["flushed"]),
            applied=raw["applied"],
            failed={(loop, item) for loop, item in raw["failed"]},
            cut=set(raw["cut"]),
            broken=raw["broken"],
        )


def _events(raw: Iterable[dict[str, Any]]) -> list[Event]:
    return [Event(**event) for event in raw]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What both sides are to do.

    definition: the workflow's JSON, without what only delays or limits: see `parity.replayed`.
    items: how many a producer is asked for. given: items by loop that take the producer's place;
    None for the producers' own. patience: seconds that a producer may take for an item.
    limit: seconds after which production is ended.
    """

    workflow: str
    definition: Json
    items: int
    seed: int
    given: dict[str, list[dict[str, Json]]] | None = None
    patience: float = 3.0
    limit: float = 120.0


def item_rank(loops: Sequence[str]) -> Callable[[str], tuple[int, bool, int]]:
    """Return a function that tells the place of an item among all by its id at its source: by
    loop, what was flushed at the end of it, by number."""
    places = {loop: place for place, loop in enumerate(loops)}

    def rank(item_id: str) -> tuple[int, bool, int]:
        loop, _, rest = item_id.partition(":")
        numbers = rest.split(":")
        number = int(numbers[1]) if len(numbers) > 1 and numbers[1].isdigit() else 0
        return places.get(loop.partition(".")[0], len(places)), len(numbers) > 2, number

    return rank
