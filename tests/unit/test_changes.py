"""orchestrator.flow.changes: which loops another version changes."""

import copy

import pytest

from orchestrator.flow.changes import changed, digests
from orchestrator.flow.processors import QueueMapper
from tests.unit.flow_nodes import builder, edge, node, workflow

BASE = workflow(
    [
        node("1", "source"),
        node("2", "writer"),
        node("3", "reader"),
        node("4", "step", {"limit": 1}),
        node("5", "source"),
        node("6"),
    ],
    ("1", "2"),
    ("2", "3"),
    edge("3", "4", condition="ready"),
    ("5", "6"),
)


def of(raw):
    return digests(builder().load(raw, [QueueMapper()]))


def differing(change):
    raw = copy.deepcopy(BASE)
    change(raw["nodes"], raw["edges"])
    return changed(of(BASE), of(raw))


def config(place, **options):
    return lambda nodes, edges: nodes[place]["data"]["config"].update(options)


def form(place, **values):
    return lambda nodes, edges: nodes[place]["data"]["form"].update(values)


def test_there_is_a_digest_for_each_loop():
    assert set(of(BASE)) == {"1", "3", "5"}


@pytest.mark.parametrize(
    ("change", "loops"),
    [
        (form(0, stop=5), {"1"}),
        (form(3, limit=2), {"3"}),
        (form(5, limit=2), {"5"}),
        (config(3, timeout=3), {"3"}),
        (config(3, retry={"max_attempts": 2}), {"3"}),
        (config(2, replicas=2), {"3"}),
        (config(1, max_length=5), {"1"}),
        (config(1, queue_name="orders"), {"1", "3"}),
        (lambda nodes, edges: edges[2].update(condition="done"), {"3"}),
        (lambda nodes, edges: edges.pop(3) and nodes.pop(5), {"5"}),
        (lambda nodes, edges: nodes[3].update(type="keeper"), {"3"}),
    ],
)
def test_a_change_is_one_of_the_loops_it_is_in(change, loops):
    assert differing(change) == loops


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes, edges: nodes[3].update(position={"x": 1, "y": 2}),
        lambda nodes, edges: nodes[3].update(label="Another name"),
        lambda nodes, edges: nodes.reverse(),
        lambda nodes, edges: edges[0].update(id="another"),
        lambda nodes, edges: edges.append(edges.pop(0)),
        config(3, timeout=None),
    ],
)
def test_what_no_runner_depends_on_is_no_change(change):
    assert differing(change) == set()


def test_who_writes_a_queue_is_its_readers_business():
    def another_writer(nodes, edges):
        nodes.append(node("7", "writer", queue_name="queue_2_3"))
        edges.append(edge("6", "7"))

    assert differing(another_writer) == {"3", "5"}


def test_more_slots_of_a_writer_are_its_readers_business():
    raw = workflow(
        [
            node("1", "source"), node("2", "writer"), node("3", "reader"), node("4", "writer"),
            node("5", "reader"), node("6"),
        ],
        ("1", "2"), ("2", "3"), ("3", "4"), ("4", "5"), ("5", "6"),
    )  # fmt: skip
    more = copy.deepcopy(raw)
    more["nodes"][2]["data"]["config"]["replicas"] = 2
    assert changed(of(raw), of(more)) == {"3", "5"}


def test_a_new_loop_is_a_change_and_a_removed_one_is_none():
    fewer = workflow(BASE["nodes"][:4], *BASE["edges"][:3])
    assert changed(of(fewer), of(BASE)) == {"5"}
    assert changed(of(BASE), of(fewer)) == set()
