"""Which slots of a process share a loaded version."""

import gc
from pathlib import Path

import pytest

from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine, SlotAssignment
from orchestrator.runtime.flows import Flows
from tests.integration.loops import edge, part


def slot(loop: str, number: int = 0, version: int = 1) -> SlotAssignment:
    return SlotAssignment(
        workflow="w", version=version, activation=1, loop=loop, slot=number, token=1
    )


def workflow(*edges: str, stop: int = 3) -> dict:
    """Return a workflow of the loops `a` and `b`, with a node behind them."""
    nodes = [
        part("a", "counter", {"stop": stop}),
        part("b", "counter"),
        part("n", "data-transformer", {"fields": {"value": "1"}}),
    ]
    return {"name": "w", "nodes": nodes, "edges": [edge(text) for text in edges]}


APART = workflow("a n")
TOGETHER = workflow("a n", "b n")


@pytest.fixture
def flows(tmp_path: Path):
    registry = NodeRegistry()
    registry.discover()
    return Flows(FlowEngine(registry, ToolRegistry(), files_dir=tmp_path).load)


def test_loops_without_a_common_node_share(flows):
    first = flows.take(APART, slot("a"))
    assert flows.take(APART, slot("b")) is first


@pytest.mark.parametrize(
    ("definition", "second"),
    [
        (TOGETHER, slot("b")),
        (APART, slot("a")),
        (APART, slot("a", 1)),
        (APART, slot("b", version=2)),
    ],
    ids=["a common node", "begun again", "another slot", "another version"],
)
def test_these_have_nodes_of_their_own(flows, definition, second):
    first = flows.take(definition, slot("a"))
    other = flows.take(definition, second)
    assert other is not first
    assert first.flow.graph.nodes["n"].node is not other.flow.graph.nodes["n"].node


def test_another_definition_is_never_taken_for_this_one(flows):
    first = flows.take(APART, slot("a"))
    changed = workflow("a n", stop=4)
    other = flows.take(changed, slot("b"))
    assert other is not first
    assert other.definition == changed


def test_what_nobody_runs_is_forgotten(flows):
    first = flows.take(APART, slot("a"))
    assert len(flows._known) == 1
    del first
    gc.collect()
    assert len(flows._known) == 0
