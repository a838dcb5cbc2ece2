"""orchestrator.flow.builder: WorkflowSpec -> FlowGraph."""

import pytest
from hypothesis import given

from orchestrator.exceptions import WorkflowInvalid
from orchestrator.flow.processors import NodeValidator, QueueMapper
from orchestrator.flow.schema import parse_workflow
from tests.unit.flow_nodes import build, builder, compile_condition, create, edge, node, workflow
from tests.unit.test_schema import WORKFLOWS


def problems_of(nodes, *edges, **more) -> dict[str, str]:
    with pytest.raises(WorkflowInvalid) as caught:
        build(nodes, *edges, **more)
    return dict(caught.value.problems)


def load(raw):
    return builder().load(raw, [QueueMapper(), NodeValidator()])


def test_builds_nodes_and_edges():
    graph = build(
        [node("1", "source"), node("2", "branch"), node("3"), node("4")],
        ("1", "2"),
        edge("2", "3", "Yes", condition="hot"),
        ("2", "4", "no"),
        entry_point="2",
    )
    assert list(graph.nodes) == ["1", "2", "3", "4"]
    assert graph.nodes["2"].node.config is graph.nodes["2"].config
    assert (graph.nodes["3"].index, graph.nodes["3"].type) == (2, "step")
    assert [e.source_handle for e in graph.outgoing("2")] == ["yes", "no"]
    assert graph.outgoing("2")[0].condition({"hot": 1}) is True
    assert graph.outgoing("1")[0].condition is None
    assert (graph.name, graph.entry_point) == ("test", "2")
    assert graph.upstream("4") == ["2"]
    assert graph.lost_inputs == graph.lost_outputs == set()


def test_ports_come_from_the_node_in_any_case():
    nodes = [node("1", "switch", {"cases": ["Red", "green"]}), node("2")]
    graph = build(nodes, ("1", "2", "RED"), ("1", "2", "Green"))
    assert [e.source_handle for e in graph.edges] == ["red", "green"]


def test_collects_every_problem():
    found = problems_of(
        [
            node("1", "source"),
            node("2", "os.system"),
            node("3", "broken"),
            node("4", "branch"),
            node("5", "switch"),
            node("6", "reader"),
        ],
        ("1", "2"),
        ("1", "4", "done"),
        ("4", "5"),
        ("5", "4", "any"),
        ("4", "1", "yes"),
        ("4", "6", "no"),
        edge("2", "4", condition="f("),
        {"id": "t", "source": "1", "target": "4", "targetHandle": "left"},
    )
    assert found == {
        "nodes[1].type": "unknown node type 'os.system'",
        "nodes[2]": "RuntimeError: no luck",
        "nodes[4].data.form": "KeyError: 'cases'",
        "edges[1].sourceHandle": "node '1' has no such output port; it has default",
        "edges[2].sourceHandle": "node '4' has no such output port; it has yes, no",
        "edges[4].target": "'1' starts a loop and has no input",
        "edges[5].target": "only a queue writer leads to '6', which reads a queue",
        "edges[6].condition": "unexpected '('",
        "edges[7].targetHandle": "node '4' has no such input port; it has default",
    }


def test_a_hand_over_is_kept_but_not_walked():
    graph = build([node("1", "writer"), node("2", "reader"), node("3")], ("1", "2"), ("1", "3"))
    assert [e.target for e in graph.outgoing("1")] == ["2", "3"]
    assert [e.target for e in graph.walked("1")] == ["3"]


def test_a_condition_is_compiled_once():
    texts = []

    def compiling(text):
        texts.append(text)
        return compile_condition(text)

    raw = workflow(
        [node("1"), node("2")],
        edge("1", "2", condition="a"),
        edge("2", "1", condition=" a "),
        edge("2", "2", condition="b"),
    )
    type(builder())(create, compiling).build(parse_workflow(raw))
    assert texts == ["a", "b"]


def test_load_reports_what_every_stage_finds():
    raw = workflow(
        [
            node("1", "source"),
            node("1", "source"),
            node("3", "magic"),
            node("4", form={"limit": "x"}),
            node("5"),
            node("6", "file", {"path": "out/a.csv"}),
            node("7", "file", {"path": "out/./a.csv"}),
            node("8", "writer"),
            node("9", timeout=-1),
        ],
        ("3", "4"),
        ("4", "5", "up"),
        ("5", "99"),
        ("5", "6"),
        ("6", "7"),
        ("7", "9"),
        ("9", "8"),
    )
    with pytest.raises(WorkflowInvalid) as caught:
        load(raw)
    assert dict(caught.value.problems) == {
        "nodes[1].id": "nodes[0] has this id, too",
        "nodes[2].type": "unknown node type 'magic'",
        "nodes[3].data.form.limit": "must be a number",
        "nodes[3].data.form": "wrong",
        "nodes[6].data.form": "writes 'out/a.csv', but '6' writes it, too",
        "nodes[7].data.config.queue_name": "is missing: it leads to no queue reader",
        "nodes[8].data.config.timeout": "Input should be greater than 0",
        "edges[1].sourceHandle": "node '4' has no such output port; it has default",
        "edges[2].target": "no node has the id '99'",
    }
    assert caught.value.message == "nodes[1].id: nodes[0] has this id, too (and 8 more)"


def test_load_reports_no_consequences():
    """Behind a node that could not be made, nothing is called unreachable or nameless."""
    raw = workflow(
        [node("1", "magic"), node("2"), node("3", "reader"), node("4"), node("5", "writer")],
        ("1", "2"),
        ("1", "3"),
        ("3", "4"),
        ("5", "1"),
        ("2", "5"),
    )
    with pytest.raises(WorkflowInvalid) as caught:
        load(raw)
    assert [p.path for p in caught.value.problems] == ["nodes[0].type"]


def test_load_returns_spec_graph_and_analyzer():
    flow = load(workflow([node("1", "source"), node("2")], ("1", "2")))
    assert flow.analyzer.graph is flow.graph
    assert [loop.id for loop in flow.analyzer.loops()] == ["1"]
    assert flow.spec.nodes[0].id == "1"


def test_two_thousand_nodes():
    nodes = [node("0", "source"), *(node(str(i)) for i in range(1, 2_000))]
    edges = [(str(i), str(i + 1)) for i in range(1_999)]
    graph = build(nodes, *edges)
    assert len(graph.nodes) == 2_000
    assert len(graph.edges) == 1_999


@given(WORKFLOWS)
def test_any_json_loads_or_is_invalid(raw):
    try:
        load(raw)
    except WorkflowInvalid as error:
        assert error.problems
