"""The comparison of the two sides of a parity run."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nodes.contract import Json
from orchestrator.flow.builder import LoadedFlow
from orchestrator.runtime.parity.record import Event, Recording, item_rank
from orchestrator.runtime.parity.values import first_difference, shown
from storage.codec import encode

ByNode = Mapping[str, dict[str, list[Event]]]
"""Events by node and item, in the order in which they happened."""
_ANY_SIZE = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One item at one node of which the sides made something else. path: of the first values that
    differ; bench, production: these values, as short text."""

    item: str
    path: str
    bench: str
    production: str


@dataclass(slots=True, kw_only=True)
class NodeReport:
    """What was compared of one node.

    compared: outputs and failures. followed: differences of items that were another already at a
    node before this one. apart: items that only one side can have worked on.
    """

    node: str
    type: str
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    followed: int = 0
    apart: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """The result of a parity run. notes: what was not compared, and why."""

    seed: int
    nodes: list[NodeReport]
    loops: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def compared(self) -> int:
        return sum(node.compared for node in self.nodes)

    @property
    def differences(self) -> int:
        found = sum(len(node.differences) + node.followed for node in self.nodes)
        return found + len(self.loops)


class Comparison:
    """Compares what the bench and production made of every item at every node."""

    def __init__(self, flow: LoadedFlow, bench: Recording, production: Recording) -> None:
        self._flow = flow
        self._bench = bench
        self._production = production
        self._loops = flow.analyzer.loops()
        self._rank = item_rank([loop.id for loop in self._loops])
        self._differing: dict[str, set[str]] = defaultdict(set)
        self._owners: dict[str, list[str]] = defaultdict(list)
        for loop in self._loops:
            for flow_node in loop.nodes:
                self._owners[flow_node.id].append(loop.id)

    def report(self, seed: int, order: Sequence[str]) -> Report:
        """Return what differs.

        Args:
            order: the ids of the nodes, each behind those before it.
        """
        benched, produced = _by_node(self._bench.events), _by_node(self._production.events)
        nodes = [self._node(node_id, benched[node_id], produced[node_id]) for node_id in order]
        for node in nodes:
            self._compare_applied(node)
        self._compare_order({node.node: node for node in nodes}, benched, produced)
        return Report(seed=seed, nodes=nodes, notes=self._notes(nodes))

    def _node(
        self, node_id: str, bench: Mapping[str, list[Event]], production: Mapping[str, list[Event]]
    ) -> NodeReport:
        report = NodeReport(node=node_id, type=self._flow.graph.nodes[node_id].type)
        before = set().union(*(self._differing[n] for n in self._flow.analyzer.upstream(node_id)))
        for item in sorted({*bench, *production}, key=self._rank):
            if self._may_be_missing(node_id, item, bench, production):
                report.apart += 1
                continue
            report.compared += max(len(bench.get(item, ())), len(production.get(item, ())))
            found = _difference(item, bench.get(item, ()), production.get(item, ()))
            if found is None:
                continue
            self._differing[node_id].add(item)
            if item in before:
                report.followed += 1
            else:
                report.differences.append(found)
        return report

    def _may_be_missing(
        self, node_id: str, item: str, bench: Mapping[str, object], production: Mapping[str, object]
    ) -> bool:
        """Tell whether one side has nothing of an item for a reason that is no difference: another
        branch has failed and cut production's off, or time has ended a source."""
        owners = self._owners[node_id]
        if item not in production:
            return any((loop, item) in self._production.failed for loop in owners)
        source = item.partition(":")[0].partition(".")[0]
        cut = self._bench.cut | self._production.cut
        return item not in bench and source in cut and not self._reached(self._bench, item)

    def _reached(self, side: Recording, item: str) -> bool:
        source = item.partition(":")[0]
        return any(event.node == source and event.item == item for event in side.events)

    def _compare_applied(self, report: NodeReport) -> None:
        """Compare what was committed of the staged effects with what the bench has staged."""
        bench = _counted(self._bench.applied.get(report.node, ()))
        production = _counted(self._production.applied.get(report.node, ()))
        if bench == production or self._differing[report.node] or self._upstream_differs(report):
            return
        report.differences.append(
            Difference(
                item="all",
                path="committed",
                bench=_only(bench - production),
                production=_only(production - bench),
            )
        )

    def _upstream_differs(self, report: NodeReport) -> bool:
        upstream = self._flow.analyzer.upstream(report.node)
        return any(self._differing[node_id] for node_id in upstream)

    def _compare_order(
        self, reports: Mapping[str, NodeReport], bench: ByNode, production: ByNode
    ) -> None:
        """Compare in which order items came to the nodes of loops that keep state; a node may be
        part of others as well."""
        for loop in self._loops:
            for flow_node in loop.nodes if loop.stateful else ():
                both = bench[flow_node.id].keys() & production[flow_node.id].keys()
                if loop.reads is None:
                    both = {item for item in both if item.startswith(f"{loop.id}:")}
                else:
                    both &= production[loop.id].keys()
                one, other = (
                    [i for i in s[flow_node.id] if i in both] for s in (bench, production)
                )
                found = next(
                    (pair for pair in zip(one, other, strict=True) if len({*pair}) > 1), None
                )
                if found is not None:
                    report = reports[flow_node.id]
                    report.differences.append(
                        Difference(item="all", path="order", bench=found[0], production=found[1])
                    )

    def _notes(self, nodes: Sequence[NodeReport]) -> list[str]:
        kinds = {node.node: f"{node.node} {node.type}" for node in nodes}
        flushed = Counter(event.node for event in self._production.flushed)
        later = sorted(self._production.cut | self._bench.cut)
        unreached = [kinds[node.node] for node in nodes if not node.compared and not node.apart]
        return [
            *(f"{kinds[n.node]}: {_items(n.apart)} of one side only" for n in nodes if n.apart),
            *(f"{kinds[n]}: {_items(count)} flushed in production" for n, count in flushed.items()),
            *(f"{kinds[loop]}: what it would have given later" for loop in later),
            *([f"not reached: {', '.join(unreached)}"] if unreached else []),
        ]


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def broken_loops(production: Recording) -> list[Difference]:
    """Return why production could not run to its end."""
    return [
        Difference(item=f"loop {loop}", path="", bench="", production=reason)
        for loop, reason in production.broken.items()
    ]


def _by_node(events: Sequence[Event]) -> ByNode:
    found: defaultdict[str, dict[str, list[Event]]] = defaultdict(dict)
    for event in events:
        found[event.node].setdefault(event.item, []).append(event)
    return found


def _difference(
    item: str, bench: Sequence[Event], production: Sequence[Event]
) -> Difference | None:
    """Return the first difference between what the sides made of an item; its events on one side,
    if there are several, have no order."""
    if not bench or not production:
        there, here = ("reached" if side else "nothing" for side in (bench, production))
        return Difference(item=item, path="", bench=there, production=here)
    one, other = (sorted((e.made() for e in side), key=_text) for side in (bench, production))
    single = len(one) == len(other) == 1
    found = first_difference(one[0], other[0]) if single else first_difference(one, other)
    if found is None:
        return None
    path, left, right = found
    return Difference(item=item, path=path, bench=shown(left), production=shown(right))


def _counted(effects: Sequence[Json]) -> "Counter[str]":
    return Counter(map(_text, effects))


def _only(effects: "Counter[str]") -> str:
    return shown(next(iter(effects), "nothing more"))


def _text(value: Json) -> str:
    return encode(value, _ANY_SIZE).decode()
