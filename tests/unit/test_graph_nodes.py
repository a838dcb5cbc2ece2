"""Nodes with settings and ports in a run: what a graph as JSON is made of."""

import asyncio

import pytest

from nodes.base import BaseNode, NonBlockingNode, ProducerNode
from nodes.contract import NodeOutput
from orchestrator.exceptions import Conflict, NodeFailed, WorkflowInvalid
from orchestrator.execution.compiled import compile_graph
from orchestrator.execution.runs import NodeState, Run
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.graph import Edge, FlowGraph, FlowNode
from orchestrator.flow.schema import digest
from orchestrator.graphs import ExecutionContext
from tests.unit.walk_nodes import adds, chooses, node


def flow(*edges, entry="a", **makers):
    """Make a graph of edges such as "a:yes b"."""
    graph = FlowGraph(name="g", entry_point=entry)
    for index, (name, make) in enumerate(makers.items()):
        made = make(name)
        graph.add(FlowNode(id=name, type=name, index=index, config=made.config, node=made))
    for index, edge in enumerate(edges):
        source, target = edge.split()
        source, _, port = source.partition(":")
        graph.connect(
            Edge(id=edge, source=source, target=target, source_handle=port or "default",
                 index=index)
        )  # fmt: skip
    return graph


async def ran(graph, state=None):
    async with compile_graph(graph) as compiled:
        run = Run(compiled)
        return (await run.execute(state or {})).check(), run.context


async def test_a_port_is_followed_and_the_rest_is_skipped():
    graph = flow("a:yes b", "a:no c", "b d", "c d", a=chooses(True), b=adds("b"), c=adds("c"),
                 d=adds("d"))  # fmt: skip
    result, context = await ran(graph, {"x": 1})
    assert result.state == {"x": 1, "b": True, "d": True}
    assert result.path == ["a", "b", "d"]
    assert result.results == {"a": None, "b": {"b": True}, "d": {"d": True}}
    assert context.node_states["c"] is NodeState.SKIPPED


async def test_what_a_node_makes_anew_is_still_of_the_run():
    async def anew(item):
        return NodeOutput("other", {"y": 1})

    result, _ = await ran(flow("a b", a=node(anew), b=adds("b")), {"x": 1})
    assert result.state == {"y": 1, "b": True}


async def test_a_node_that_passes_nothing_on_ends_its_way():
    async def nothing(item):
        return None

    result, _ = await ran(flow("a b", "a c", a=adds("a"), b=node(nothing), c=adds("c")))
    assert result.state == {"a": True, "c": True}
    result, _ = await ran(flow("a b", a=node(nothing), b=adds("b")), {"x": 1})
    assert (result.state, result.path) == ({"x": 1}, ["a"])


async def test_a_node_that_returns_no_item_fails():
    async def wrong(item):
        return {"x": 1}

    with pytest.raises(NodeFailed, match="'a' returned dict, which is no item"):
        await ran(flow(a=node(wrong)))


async def test_a_run_has_ended_when_what_is_behind_a_non_blocking_node_has():
    ended = []

    async def slow(item):
        await asyncio.sleep(0.01)
        ended.append(True)
        return item

    free = node(None, NonBlockingNode)
    result, _ = await ran(flow("a b", "b c", a=free, b=node(slow), c=adds("c")))
    assert result.state == {"c": True}
    assert ended == [True]


async def test_nodes_are_initialised_and_cleaned_up_also_when_one_is_not_ready():
    life = []

    def living(name, reason=""):
        def make(node_id):
            made = node()(node_id)

            async def setup():
                life.append(f"{name} up")

            async def ready():
                return reason

            async def cleanup():
                life.append(f"{name} down")

            made.setup, made.is_ready, made.cleanup = setup, ready, cleanup
            return made

        return make

    await ran(flow("a b", a=living("a"), b=living("b")))
    assert life == ["a up", "b up", "a down", "b down"]
    life.clear()
    with pytest.raises(NodeFailed, match="no disk"):
        await ran(flow("a b", a=living("a"), b=living("b", "no disk")))
    assert life == ["a up", "a down", "b down"]


async def test_nodes_with_settings_are_opened_first():
    with pytest.raises(Conflict, match="open the graph 'g' first"):
        Run(compile_graph(flow(a=adds("a"))))


async def test_a_timeout_of_a_node_is_its_own():
    async def slow(item):
        await asyncio.Event().wait()

    with pytest.raises(NodeFailed, match=r"took longer than 0\.01 s"):
        await ran(flow(a=node(slow, timeout=0.01)))


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (ProducerNode, "belongs to a loop"),
        (type("Writes", (BaseNode,), {"queue_role": "writer"}), "belongs to a loop"),
        (type("Stages", (BaseNode,), {"staged": True}), "committed by a loop"),
    ],
)
def test_what_only_a_loop_can_run_is_refused(base, message):
    with pytest.raises(WorkflowInvalid, match=message) as refused:
        compile_graph(flow("a b", a=adds("a"), b=node(None, base)))
    assert refused.value.problems[0].path == "nodes[1].type"


async def test_a_run_may_begin_in_the_middle():
    graph = flow("a b", "a c", "b d", "c d", a=adds("a"), b=adds("x", 1), c=adds("c"), d=adds("d"))
    async with compile_graph(graph) as compiled:
        context = ExecutionContext.create(graph=compiled, start_node="b")
        result = await Run(compiled, context).execute({"x": 0})
    assert result.state == {"x": 1, "d": True}


def test_a_loop_has_no_budgets():
    graph = flow("a a", a=adds("a"))
    assert FlowAnalyzer(graph).problems() == []
    graph.connect(Edge(id="again", source="a", target="a", index=1, budget=2))
    assert [problem.path for problem in FlowAnalyzer(graph).problems()] == ["edges[1].budget"]


def test_budgets_and_where_they_lead_are_part_of_the_digest():
    plain = {"nodes": [{"id": "a", "type": "t"}], "entry_point": "a"}
    edge = {"source": "a", "target": "a"}
    limited = {**edge, "budget": 2}
    digests = {
        digest({**plain, "edges": [each]})
        for each in (edge, limited, {**limited, "budget": 3}, {**limited, "on_limit": "a"})
    }
    assert len(digests) == 4
    with pytest.raises(WorkflowInvalid, match="no node has the id 'z'") as refused:
        digest({**plain, "edges": [{**limited, "on_limit": "z"}]})
    assert refused.value.problems[0].path == "edges[0].on_limit"
