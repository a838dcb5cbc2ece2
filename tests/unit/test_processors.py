"""orchestrator.flow.processors: QueueMapper, NodeValidator, and a project's own."""

import re

import pytest

from nodes.contract import NodeOptions
from orchestrator.exceptions import Problem, WorkflowInvalid
from orchestrator.flow.processors import (
    NodeValidator,
    QueueMapper,
    collect_problems,
    run_processors,
)
from tests.unit.flow_nodes import Step, build, edge, node


def queues(graph) -> dict[str, str | None]:
    return {n.id: n.config.options.queue_name for n in graph.nodes.values() if n.node.queue_role}


def mapped(nodes, *edges):
    graph = build(nodes, *edges)
    run_processors(graph, [QueueMapper()])
    return graph


def problems_of(nodes, *edges) -> dict[str, str]:
    return dict(QueueMapper()(build(nodes, *edges)))


def test_names_the_queue_of_a_pair():
    graph = mapped([node("1", "writer"), node("2", "reader")], ("1", "2"))
    assert queues(graph) == {"1": "queue_1_2", "2": "queue_1_2"}
    for made in graph.nodes.values():
        assert made.node.config is made.config
        assert made.config.options == NodeOptions(queue_name="queue_1_2")


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (node("1", "writer", queue_name="mine"), node("2", "reader")),
        (node("1", "writer"), node("2", "reader", queue_name="mine")),
        (node("1", "writer", {"queue_name": " mine "}), node("2", "reader")),
        (node("1", "writer", queue_name="mine"), node("2", "reader", {"queue_name": "mine"})),
    ],
)
def test_a_given_name_wins(writer, reader):
    assert queues(mapped([writer, reader], ("1", "2"))) == {"1": "mine", "2": "mine"}


def test_several_writers_lead_to_one_reader():
    nodes = [node("1", "writer"), node("2", "writer"), node("3", "reader")]
    assert set(queues(mapped(nodes, ("2", "3"), ("1", "3"))).values()) == {"queue_2_3"}
    nodes[0] = node("1", "writer", queue_name="all")
    assert set(queues(mapped(nodes, ("2", "3"), ("1", "3"))).values()) == {"all"}


def test_without_an_edge_a_name_is_needed():
    nodes = [node("1", "writer", {"queue_name": "far"}), node("2", "reader", queue_name="away")]
    assert queues(mapped(nodes)) == {"1": "far", "2": "away"}
    assert problems_of([node("1", "writer", {"queue_name": ""}), node("2", "reader")]) == {
        "nodes[0].data.config.queue_name": "is missing: it leads to no queue reader",
        "nodes[1].data.config.queue_name": "is missing: no queue writer leads to it",
    }


def test_names_that_disagree():
    nodes = [node("1", "writer", queue_name="a"), node("2", "reader", queue_name="b")]
    assert problems_of(nodes, ("1", "2")) == {
        "nodes[1].data.config.queue_name": (
            "connected nodes name different queues: 'a' at '1', 'b' at '2'"
        )
    }
    assert problems_of([node("1", "writer", {"queue_name": "a"}, queue_name="b")]) == {
        "nodes[0].data.form.queue_name": "data.config names another queue, 'b'"
    }


def test_a_name_in_the_form_has_the_same_letters():
    assert list(problems_of([node("1", "reader", {"queue_name": "{{ data.x }}"})])) == [
        "nodes[0].data.form.queue_name"
    ]
    assert list(problems_of([node("1", "reader", {"queue_name": 7})])) == [
        "nodes[0].data.config.queue_name"
    ]


def test_a_writer_has_one_reader_and_no_condition():
    nodes = [node("1", "writer"), node("2", "reader"), node("3", "reader")]
    found = problems_of(nodes, edge("1", "2", condition="x"), ("1", "3"))
    assert found["edges[0].condition"] == "an edge that is a queue has no condition"
    assert found["edges[1].target"] == "'1' writes the queue of '2' already"


def test_ids_that_do_not_fit_into_a_name():
    def name(source: str, target: str) -> str:
        nodes = [node(source, "writer"), node(target, "reader")]
        return queues(mapped(nodes, (source, target)))[source]

    made = [name("größe 1", "2"), name("größe 2", "2"), name("x" * 100, "y"), name("x" * 100, "z")]
    assert len(set(made)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", n) for n in made)
    assert made[0] == name("größe 1", "2")


def test_two_pairs_never_share_a_made_name():
    nodes = [node("a", "writer"), node("b_c", "reader"), node("a_b", "writer"), node("c", "reader")]
    assert problems_of(nodes, ("a", "b_c"), ("a_b", "c")) == {
        "edges[1]": "its queue would be 'queue_a_b_c' like that of 'a': name one of them"
    }


def test_node_validator_collects_every_form_error():
    graph = build([node("1"), node("2", form={"limit": "x"}), node("3", form={"limit": "y"})])
    assert NodeValidator()(graph) == [
        Problem("nodes[1].data.form.limit", "must be a number"),
        Problem("nodes[1].data.form", "wrong"),
        Problem("nodes[2].data.form.limit", "must be a number"),
        Problem("nodes[2].data.form", "wrong"),
    ]


def test_a_validation_that_raises_is_a_problem_of_its_node(monkeypatch):
    graph = build([node("1"), node("2", "branch")])
    monkeypatch.setattr(Step, "validate", lambda self: 1 // 0)
    (problem,) = NodeValidator()(graph)
    assert problem == Problem("nodes[0]", "ZeroDivisionError: integer division or modulo by zero")


def test_processors_run_in_turn_and_report_together():
    seen = []

    def own(name):
        def process(graph):
            seen.append((name, queues(graph)["1"]))
            return [Problem("", name)]

        return process

    graph = build([node("1", "writer", queue_name="q")])
    with pytest.raises(WorkflowInvalid) as caught:
        run_processors(graph, [own("first"), QueueMapper(), own("second")])
    assert caught.value.problems == (Problem("", "first"), Problem("", "second"))
    assert caught.value.message == "first (and 1 more)"
    assert seen == [("first", "q"), ("second", "q")]
    assert collect_problems(graph, []) == []
    run_processors(graph, [])
