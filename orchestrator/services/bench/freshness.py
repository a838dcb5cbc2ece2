"""Whether what is remembered of each node still holds: one pass, every node after its sources."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.exceptions import Problem
from orchestrator.services.bench.cache import CachedOutput, Fed, Origin, Remembered, digest_of
from orchestrator.services.bench.flow import BenchFlow, Source

NOT_RUN = "it has not been run"
_HELD = {
    Origin.PIN: "its output is pinned",
    Origin.TAP: "its output is what production gave",
    Origin.QUEUE: "its output is an entry of the queue",
}


class Freshness(enum.StrEnum):
    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a node would be given now.

    live: the sources whose outputs lead to it. missing: those without an output.
    dead: every output went another way. unsure: a stale node on which this rests.
    """

    live: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    dead: bool = False
    unsure: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is to be thought of a node's output, and why."""

    freshness: Freshness
    why: str
    feed: Feed


class Standings:
    """The standings of nodes that are told of in order, each after its sources."""

    def __init__(self, flow: BenchFlow, kept: Remembered) -> None:
        self.flow = flow
        self.kept = kept
        self.found: dict[str, Standing] = {}

    def tell_all(self, order: Iterable[str]) -> Mapping[str, Standing]:
        for node_id in order:
            self.tell(node_id)
        return self.found

    def tell(self, node_id: str) -> Standing:
        """Work out one node, again if what is remembered of it has changed."""
        feed = self._feed(node_id)
        freshness, why = self._judge(node_id, feed)
        self.found[node_id] = Standing(freshness=freshness, why=why, feed=feed)
        return self.found[node_id]

    def _feed(self, node_id: str) -> Feed:
        given = self.kept.given.get(node_id)
        if given is not None:
            return Feed(digest=inputs_digest([(None, None, given.digest)]))
        sources = self.flow.sources(node_id)
        entries = self.kept.entries
        reached = [s for s in sources if not self._is_dead(s.node_id)]
        live = tuple(s for s in reached if leads(s, entries.get(s.node_id)))
        missing = tuple(dict.fromkeys(s.node_id for s in reached if s.node_id not in entries))
        peeked = False
        if self.flow.reads(node_id) is not None:
            live, missing = live[:1], () if live else missing
            peeked = node_id in entries and entries[node_id].fed == Fed.QUEUE
        return Feed(
            live=live,
            missing=missing,
            dead=bool(sources) and not live and not missing and not peeked,
            unsure=next(filter(None, map(self._doubt, sources)), None),
            digest=inputs_digest([(s[0], s[2], entries[s.node_id].digest) for s in live]),
        )

    def _judge(self, node_id: str, feed: Feed) -> tuple[Freshness, str]:
        entry = self.kept.entries.get(node_id)
        if entry is None:
            return Freshness.MISSING, self._elsewhere(node_id) if feed.dead else NOT_RUN
        if entry.pinned:
            return Freshness.PINNED, _HELD.get(Origin(entry.origin), "its output is pinned")
        why = self._flaw(node_id, entry, feed)
        return (Freshness.STALE, why) if why else (Freshness.FRESH, "")

    def _flaw(self, node_id: str, entry: CachedOutput, feed: Feed) -> str:
        if entry.settings != self.flow.settings(node_id):
            return "its settings have changed"
        if entry.fed == Fed.SENT and entry.inputs != feed.digest:
            return "it was run with an input that was sent"
        if feed.unsure is not None:
            return f"node {feed.unsure} is stale"
        if feed.dead:
            return self._elsewhere(node_id)
        if entry.fed == Fed.QUEUE and not feed.live:
            return ""
        if feed.missing:
            return f"node {feed.missing[0]} has no output"
        return "" if entry.inputs == feed.digest else "its input has changed"

    def _is_dead(self, node_id: str) -> bool:
        """Tell whether a node is not reached. One whose output is pinned, or whose input was sent,
        counts as reached: that is what this was done for."""
        standing, entry = self.found.get(node_id), self.kept.entries.get(node_id)
        if standing is None or not standing.feed.dead:
            return False
        return entry is None or not (entry.pinned or entry.fed == Fed.SENT)

    def _doubt(self, source: Source) -> str | None:
        """Return the stale node on which a source, or that it is not reached, rests."""
        standing = self.found.get(source.node_id)
        if standing is None or standing.freshness in (Freshness.FRESH, Freshness.PINNED):
            return None
        return source.node_id if standing.freshness is Freshness.STALE else standing.feed.unsure

    def _elsewhere(self, node_id: str) -> str:
        problem = self.ways(node_id)[0]
        return f"{problem.path.replace('nodes.', 'node ', 1)} {problem.message}"

    def ways(self, node_id: str) -> list[Problem]:
        """Return where the outputs of a node's sources went."""
        ids = dict.fromkeys(source.node_id for source in self.flow.sources(node_id))
        return [Problem(f"nodes.{n}", self._way(n)) for n in ids]

    def _way(self, node_id: str) -> str:
        if self._is_dead(node_id):
            return "was not reached"
        entry = self.kept.entries.get(node_id)
        return f"left by the port {entry.port}" if entry and entry.passed else "passed nothing on"


def leads(source: Source, entry: CachedOutput | None) -> bool:
    """Tell whether an output went the way of an edge."""
    return entry is not None and entry.passed and entry.port == source.port


def inputs_digest(inputs: Iterable[tuple[str | None, str | None, str]]) -> str:
    """Return the digest of what a node is given: (source, condition, digest of the data)."""
    return digest_of(list(inputs))
