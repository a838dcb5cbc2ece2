"""orchestrator.flow.analyzer: loops, ancestors, cycles, queues, and what cannot run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.contract import PoolType
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.processors import QueueMapper, run_processors
from orchestrator.flow.search import depth_first, reachable, topological
from tests.unit.flow_nodes import build, node


def analyze(nodes, *edges, **more) -> FlowAnalyzer:
    graph = build(nodes, *edges, **more)
    run_processors(graph, [QueueMapper()])
    return FlowAnalyzer(graph)


def problems_of(nodes, *edges, **more) -> dict[str, str]:
    return dict(analyze(nodes, *edges, **more).problems())


TWO_LOOPS = [
    node("5", "keeper"),
    node("1", "source"),
    node("2", "branch", pool="process"),
    node("3", "writer"),
    node("4", "reader", replicas=3),
    node("6"),
]
TWO_LOOPS_EDGES = [
    ("1", "2"),
    ("2", "3", "yes"),
    ("3", "4"),
    ("2", "5", "no"),
    ("3", "5"),
    ("4", "6"),
]


def test_loops_end_at_queues():
    analyzer = analyze(TWO_LOOPS, *TWO_LOOPS_EDGES)
    assert [p.id for p in analyzer.producers()] == ["1", "4"]
    first, second = analyzer.loops()
    assert (first.id, first.producer.id) == ("1", "1")
    assert [n.id for n in first.nodes] == ["1", "2", "3", "5"]
    assert (first.pool, first.stateful, first.replicas) == (PoolType.PROCESS, True, 1)
    assert (first.reads, first.writes) == (None, ("queue_3_4",))
    assert [n.id for n in second.nodes] == ["4", "6"]
    assert (second.pool, second.stateful, second.replicas) == (PoolType.ASYNC, False, 3)
    assert (second.reads, second.writes) == ("queue_3_4", ())
    assert analyzer.queue_graph() == {"queue_3_4": (("1",), ("4",))}
    assert analyzer.problems() == []


def test_the_pool_is_the_highest_of_nodes_and_options():
    (loop,) = analyze([node("1", "source"), node("2", "keeper", pool="async")], ("1", "2")).loops()
    assert loop.pool is PoolType.THREAD


def test_upstream_crosses_queues():
    analyzer = analyze(TWO_LOOPS, *TWO_LOOPS_EDGES)
    assert analyzer.upstream("6") == ("1", "2", "3", "4")
    assert analyzer.upstream("5") == ("1", "2", "3")
    assert analyzer.upstream("1") == ()


def test_upstream_crosses_queues_that_are_only_named():
    analyzer = analyze(
        [
            node("4", "reader", queue_name="q"),
            node("1", "source"),
            node("2", "writer", queue_name="q"),
            node("3", "writer", queue_name="q"),
        ],
        ("1", "2"),
        ("1", "3"),
    )
    assert analyzer.upstream("4") == ("1", "2", "3")
    assert analyzer.queue_graph() == {"q": (("1",), ("4",))}


def test_back_edges_and_order_in_a_cycle():
    analyzer = analyze(
        [node("3"), node("2"), node("1", "source"), node("4")],
        ("1", "2"),
        ("2", "3"),
        ("3", "2"),
        ("3", "4"),
        ("4", "4"),
    )
    assert [(e.source, e.target) for e in analyzer.back_edges()] == [("3", "2"), ("4", "4")]
    assert [n.id for n in analyzer.loops()[0].nodes] == ["1", "2", "3", "4"]
    assert analyzer.upstream("4") == ("1", "2", "3")
    assert analyzer.problems() == []


def test_two_loops_may_enter_a_cycle_at_different_nodes():
    analyzer = analyze(
        [node("1", "source"), node("2", "source"), node("a"), node("b")],
        ("1", "a"),
        ("2", "b"),
        ("a", "b"),
        ("b", "a"),
    )
    first, second = analyzer.loops()
    assert [n.id for n in first.nodes] == ["1", "a", "b"]
    assert [n.id for n in second.nodes] == ["2", "b", "a"]
    assert [(e.source, e.target) for e in first.back_edges] == [("b", "a")]
    assert [(e.source, e.target) for e in second.back_edges] == [("a", "b")]


def test_a_join_comes_after_all_its_branches():
    nodes = [node("j"), node("1", "source"), node("a"), node("b"), node("c")]
    analyzer = analyze(
        nodes, ("1", "j"), ("1", "a"), ("a", "b"), ("1", "c"), ("b", "j"), ("c", "j")
    )
    assert [n.id for n in analyzer.loops()[0].nodes] == ["1", "a", "b", "c", "j"]
    assert analyzer.back_edges() == []


def test_loops_may_share_nodes():
    analyzer = analyze(
        [node("1", "source"), node("2", "source"), node("3")], ("1", "3"), ("2", "3")
    )
    assert [[n.id for n in loop.nodes] for loop in analyzer.loops()] == [["1", "3"], ["2", "3"]]
    assert analyzer.problems() == []


def test_nodes_without_a_producer():
    nodes = [node("1", "source"), node("2"), node("3"), node("4"), node("5"), node("6")]
    edges = [("1", "2"), ("3", "2"), ("4", "5"), ("5", "4")]
    assert problems_of(nodes, *edges) == {
        "nodes[2]": "no producer leads to it",
        "nodes[3]": "no producer leads to it, nor to the 1 connected with it",
        "nodes[5]": "no producer leads to it",
    }
    assert problems_of(nodes, *edges, entry_point="3") == {}


def test_two_nodes_that_write_one_path():
    assert problems_of(
        [
            node("1", "source"),
            node("2", "file", {"path": "a.csv"}),
            node("3", "file", {"path": "b/../a.csv"}),
            node("4", "file", {"path": "b.csv"}),
            node("5", "file", {"path": None}),
            node("6", "file"),
        ],
        *[("1", str(i)) for i in range(2, 7)],
    ) == {
        "nodes[2].data.form": "writes 'a.csv', but '2' writes it, too",
        "nodes[5].data.form": "KeyError: 'path'",
    }


def test_one_writer_in_two_loops():
    nodes = [node("1", "source"), node("2", "source"), node("3", "file", {"path": "a"})]
    assert problems_of(nodes, ("1", "3"), ("2", "3")) == {
        "nodes[2].data.form": "writes 'a', but it is part of several loops: '1', '2'"
    }


@pytest.mark.parametrize(
    ("other", "clash"), [("a-1.csv", True), ("a-2.csv", False), ("a-1", False)]
)
def test_the_path_of_a_replica(other, clash):
    nodes = [
        node("1", "reader", queue_name="q", replicas=2),
        node("2", "file", {"path": "a.csv"}),
        node("3", "source"),
        node("4", "file", {"path": other}),
    ]
    found = problems_of(nodes, ("1", "2"), ("3", "4"))
    assert list(found) == (["nodes[3].data.form"] if clash else [])


def test_one_queue_read_by_two_loops():
    nodes = [node("1", "reader", queue_name="q"), node("2", "reader", queue_name="q")]
    assert problems_of(nodes) == {
        "nodes[1].data.config.queue_name": "the queue 'q' is read by '1' already"
    }


def test_a_cycle_of_queues_can_deadlock():
    nodes = [node("1", "reader"), node("2", "writer"), node("3", "reader"), node("4", "writer")]
    edges = [("1", "2"), ("2", "3"), ("3", "4"), ("4", "1")]
    assert problems_of(nodes, *edges) == {
        "nodes[0]": "loops that wait for each other when their queues are full: "
        "1 -> queue queue_2_3 -> 3 -> queue queue_4_1 -> 1; "
        "give one of these queues another overflow than 'block'"
    }


@pytest.mark.parametrize("overflow", ["drop_oldest", "dead_letter"])
@pytest.mark.parametrize("where", [0, 1])
def test_a_cycle_of_queues_of_which_one_does_not_block(overflow, where):
    policies = ["block", "block"]
    policies[where] = overflow
    nodes = [
        node("1", "reader"), node("2", "writer", overflow=policies[0]),
        node("3", "reader"), node("4", "writer", overflow=policies[1]),
    ]  # fmt: skip
    assert problems_of(nodes, ("1", "2"), ("2", "3"), ("3", "4"), ("4", "1")) == {}


def test_one_writer_that_waits_is_enough_for_a_cycle():
    nodes = [
        node("1", "reader", queue_name="a"),
        node("2", "writer", queue_name="a", overflow="drop_oldest"),
        node("3", "writer", queue_name="a"),
    ]
    (path,) = problems_of(nodes, ("1", "2"), ("1", "3"))
    assert path == "nodes[0]"


def test_a_loop_that_feeds_itself():
    (path,) = problems_of([node("1", "reader"), node("2", "writer")], ("1", "2"), ("2", "1"))
    assert path == "nodes[0]"


def test_replicas():
    found = problems_of(
        [
            node("1", "source", replicas=2),
            node("2", replicas=2),
            node("3", "reader", queue_name="a", replicas=2),
            node("4", "keeper"),
            node("5", "reader", queue_name="b", replicas=2),
        ],
        ("1", "2"),
        ("3", "4"),
    )
    assert found == {
        "nodes[0].data.config.replicas": "only a queue reader has replicas",
        "nodes[1].data.config.replicas": "only the producer of a loop has replicas",
        "nodes[2].data.config.replicas": "the loop has one slot, because '4' keeps state",
    }


def test_two_thousand_nodes_in_a_ring():
    count = 2_000
    nodes = [node("0", "source"), *(node(str(i)) for i in range(1, count))]
    edges = [(str(i), str(i % (count - 1) + 1)) for i in range(count)]
    analyzer = analyze(nodes, *edges)
    assert len(analyzer.loops()[0].nodes) == count
    assert len(analyzer.back_edges()) == 1
    assert len(analyzer.upstream(str(count - 1))) == count - 1
    assert analyzer.problems() == []


def test_many_producers_of_the_same_nodes_are_refused():
    """Or else loops times nodes would be quadratic."""
    producers = [node(f"p{i}", "source") for i in range(1000)]
    steps = [node(f"s{i}") for i in range(1000)]
    edges = [(f"p{i}", "s0") for i in range(1000)] + [(f"s{i}", f"s{i + 1}") for i in range(999)]
    (message,) = problems_of([*producers, *steps], *edges).values()
    assert message == "1000 producers lead to the same nodes: too many loops"


IDS = [str(number) for number in range(8)]


@given(
    st.lists(st.sampled_from(["step", "branch", "keeper", "source"]), min_size=8, max_size=8),
    st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=20),
)
def test_every_loop_is_ordered_by_its_edges(kinds, pairs):
    kind = dict(zip(IDS, kinds, strict=True))
    pairs = [(a, b) for a, b in dict.fromkeys(pairs) if kind[b] != "source"]
    edges = [(a, b, "yes") if kind[a] == "branch" else (a, b) for a, b in pairs]
    analyzer = analyze([node(i, kind[i]) for i in IDS], *edges)
    following = {i: [b for a, b in pairs if a == i] for i in IDS}
    for loop in analyzer.loops():
        place = {member.id: number for number, member in enumerate(loop.nodes)}
        cut = {(edge.source, edge.target) for edge in loop.back_edges}
        assert place[loop.id] == 0
        assert set(place) == reachable([loop.id], following.__getitem__)
        assert all(place[a] < place[b] for a, b in pairs if a in place and (a, b) not in cut)
    for i in IDS:
        assert set(analyzer.upstream(i)) == {
            a for a in IDS if a != i and i in reachable([a], following.__getitem__)
        }


def test_depth_first_finds_cycles_and_topological_keeps_siblings_in_order():
    graph = {"a": "bc", "b": "d", "c": "d", "d": "ba"}
    search = depth_first(["a"], lambda v: graph[v])
    assert search.finished == ["d", "b", "c", "a"]
    assert [(c.source, c.target, c.path) for c in search.cycles] == [
        ("d", "b", ("b", "d")),
        ("d", "a", ("a", "b", "d")),
    ]
    cuts = {("d", "b"), ("d", "a")}
    assert topological(["a", "b", "c", "d"], lambda v: graph[v], cuts) == ["a", "b", "c", "d"]
    assert reachable(["b"], lambda v: graph[v]) == {"a", "b", "c", "d"}
