"""orchestrator.flow.draining: which loops drain together, and what feeds them."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.draining import basins, is_fed
from orchestrator.flow.search import components, reachable
from tests.unit.flow_nodes import build, node


def loops(*specs):
    """Make loops from `id reads writes...`; a dash reads nothing."""
    nodes, edges = [], []
    for spec in specs:
        name, reads, *writes = spec.split()
        config = {} if reads == "-" else {"queue_name": reads}
        nodes.append(node(name, "source" if reads == "-" else "reader", **config))
        for queue in writes:
            nodes.append(node(f"{name}.{queue}", "writer", queue_name=queue))
            edges.append((name, f"{name}.{queue}"))
    return FlowAnalyzer(build(nodes, *edges)).loops()


def shapes(*specs):
    return [(set(b.loops), set(b.queues), set(b.feeders)) for b in basins(loops(*specs))]


def test_a_chain_drains_loop_by_loop():
    assert shapes("a - q", "b q r", "c r") == [({"b"}, {"q"}, {"a"}), ({"c"}, {"r"}, {"b"})]


def test_what_no_queue_feeds_just_ends():
    assert shapes("a - q", "b -") == []


def test_loops_that_feed_each_other_drain_together():
    found = shapes("a - q", "b q r", "c r q out", "d out")
    assert found == [({"b", "c"}, {"q", "r"}, {"a"}), ({"d"}, {"out"}, {"c"})]


def test_a_loop_that_feeds_itself():
    assert shapes("a - q", "b q q") == [({"b"}, {"q"}, {"a"})]


def test_it_is_fed_until_everything_before_it_rests():
    [basin] = basins(loops("a - q", "b - q", "c q"))
    assert is_fed(basin, {"a"}) and is_fed(basin, set())
    assert not is_fed(basin, {"a", "b"})


graphs = st.dictionaries(
    st.integers(0, 7).map(str), st.lists(st.integers(0, 7).map(str), max_size=4), max_size=8
)


@given(graphs)
def test_components_are_what_leads_to_each_other(graph):
    targets = {v: [t for t in found if t in graph] for v, found in graph.items()}
    groups = components(graph, targets.__getitem__)
    assert sorted(v for group in groups for v in group) == sorted(graph)
    far = {v: reachable([v], targets.__getitem__) for v in graph}
    where = {v: place for place, group in enumerate(groups) for v in group}
    for one in graph:
        for other in graph:
            together = other in far[one] and one in far[other]
            assert (where[one] == where[other]) == together
            assert other not in far[one] or where[one] <= where[other]
