"""What waits in a walk: joins for their edges, and nodes for their next round."""

from collections.abc import Collection, Sequence

from nodes.contract import NodeOutput
from orchestrator.exceptions import NodeFailed


class Join:
    """What has arrived at a node with several incoming edges; None stands for a dead edge."""

    __slots__ = ("arrived", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.arrived: dict[int, NodeOutput | None] = {}

    def put(self, place: int, item: NodeOutput | None) -> None:
        """Note what came by an edge; in a cycle, one that was dead may be taken later.

        Raises:
            NodeFailed: an item waits there already.
        """
        if self.arrived.get(place) is None:
            self.arrived[place] = item
        elif item is not None:
            raise NodeFailed("two items came by one edge to a join", error_type="JoinOverrun")

    @property
    def decided(self) -> bool:
        return len(self.arrived) == self.size

    def live(self) -> list[NodeOutput]:
        """The items that arrived, in edge order."""
        return [item for _, item in sorted(self.arrived.items(), key=_place) if item is not None]


class Round(Join):
    """A node that is run again in its walk, once everything that it gave has gone its way.

    Stands among the joins: nothing but what comes back along a cycle reaches it meanwhile.
    body: the ids of the nodes in between. kept: what the node will want to know.
    """

    __slots__ = ("body", "item", "kept", "node_id", "returned")

    def __init__(self, node_id: str, item: NodeOutput, body: Collection[str], kept: object) -> None:
        super().__init__(1)
        self.node_id = node_id
        self.item = item
        self.body = body
        self.kept = kept
        self.returned: list[NodeOutput] = []

    def put(self, place: int, item: NodeOutput | None) -> None:
        """Refuse what does not come back along the cycle."""
        if item is not None:
            raise NodeFailed("an item came while another goes round", error_type="JoinOverrun")

    def live(self) -> list[NodeOutput]:
        return [self.item]


def _place(arrival: tuple[int, NodeOutput | None]) -> int:
    return arrival[0]


def merge(items: Sequence[NodeOutput]) -> NodeOutput | None:
    """Join the data of several items in edge order; a key that is taken becomes `key_2`."""
    if len(items) < 2:
        return items[0] if items else None
    data = dict(items[0].data)
    for item in items[1:]:
        for key, value in item.data.items():
            name, number = key, 2
            while name in data:
                name, number = f"{key}_{number}", number + 1
            data[name] = value
    return items[0].with_data(data)
