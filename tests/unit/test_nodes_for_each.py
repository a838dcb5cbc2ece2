"""for-each in its loop: rounds, what comes back, what is dropped, and what fails."""

import pytest

from nodes.builtin.for_each import ForEach
from nodes.contract import NodeConfig, NodeOutput
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import NodeFailed
from orchestrator.execution.context import ExecutionContext
from orchestrator.flow.analyzer import FlowAnalyzer
from tests.unit.walk_nodes import SCOPE, Walked, adds, behind, chooses, node, walked


def each(**form):
    def make(node_id):
        return ForEach(NodeConfig(id=node_id, type="for-each", form={"field": "list", **form}))

    return make


def seen(into, *, fails_at=None, drops=()):
    """Make a node that notes the items it gets."""

    async def execute(item, context):
        into.append((item.id, item.data, context.idempotency_key))
        if item.data.get("value") == fails_at and fails_at is not None:
            raise ValueError("this one fails")
        return None if item.data.get("value") in drops else item.with_data({**item.data, "ok": 1})

    return node(execute)


async def run(data, *edges, start="in f", **makers):
    """Walk an item through a graph in which `f` is a for-each, to its end."""
    flow = await walked([*start.split(", "), *edges], **{"f": each(), **makers})
    context = await flow.walk(**data)
    if context.failure is not None:
        raise context.failure
    return context


LIST = {"id": 7, "list": [{"value": "a"}, {"value": "b"}, {"value": "c"}]}


async def test_every_element_goes_round_and_comes_back_in_order():
    body, done = [], []
    await run(LIST, "f:each b", "b f", "f:done d", b=seen(body), d=seen(done))
    assert [(i, d) for i, d, _ in body] == [
        (f"in:1:1:f:{n}", {"value": v}) for n, v in enumerate("abc", 1)
    ]
    assert len({key for _, _, key in body}) == 3
    results = [{"value": v, "ok": 1} for v in "abc"]
    assert [(i, d) for i, d, _ in done] == [("in:1:1", {**LIST, "results": results})]


async def test_more_elements_than_a_cycle_may_be_followed():
    body, done = [], []
    await run(
        {"list": list(range(10 * SCOPE.max_steps))},
        "f:each b",
        "b f",
        "f:done d",
        b=seen(body),
        d=seen(done),
    )
    assert done[0][1]["results"][-1] == {"value": 10 * SCOPE.max_steps - 1, "ok": 1}


async def test_an_empty_list_is_done_at_once():
    body, done = [], []
    await run({"list": []}, "f:each b", "b f", "f:done d", b=seen(body), d=seen(done))
    assert body == [] and done[0][1] == {"list": [], "results": []}


async def test_what_is_dropped_on_its_way_gives_no_result():
    done = []
    await run(LIST, "f:each b", "b f", "f:done d", b=seen([], drops="b"), d=seen(done))
    assert [r["value"] for r in done[0][1]["results"]] == ["a", "c"]


async def test_nothing_needs_to_lead_back():
    body, done = [], []
    await run(LIST, "f:each b", "f:done d", f=each(target="r"), b=seen(body), d=seen(done))
    assert len(body) == 3 and done[0][1] == {**LIST, "r": []}


async def test_it_may_lead_straight_back():
    done = []
    await run(LIST, "f:each f", "f:done d", d=seen(done))
    assert done[0][1]["results"] == LIST["list"]


async def test_branches_forks_and_joins_in_between():
    done = []
    await run(
        LIST,
        "f:each c",
        "c:yes x",
        "c:no y",
        "x j",
        "y j",
        "f:each z",
        "z j",
        "j f",
        "f:done d",
        c=chooses(lambda item: item.data["value"] != "b"),
        x=adds("x"),
        y=adds("y"),
        z=adds("z"),
        j=node(),
        d=seen(done),
    )
    results = [sorted(r) for r in done[0][1]["results"]]
    assert results == [["value", "value_2", way, "z"] for way in ("x", "y", "x")]


async def test_an_element_begins_when_all_of_the_one_before_has_ended():
    order, done = [], []

    def noting(name):
        async def execute(item):
            order.append((name, item.data["value"]))
            return item

        return execute

    await run(
        LIST,
        "f:each b",
        "b f",
        "f:each q",
        "q r",
        "f:done d",
        b=node(noting("b")),
        q=behind(noting("q")),
        r=node(noting("r")),
        d=seen(done),
    )
    assert [sorted(order[at : at + 3]) for at in (0, 3, 6)] == [
        [("b", v), ("q", v), ("r", v)] for v in "abc"
    ]
    assert len(done) == 1 and len(done[0][1]["results"]) == 3


async def test_one_in_another():
    done = []
    await run(
        {"list": [{"list": [1, 2]}, {"list": []}, {"list": [3]}]},
        "f:each g",
        "g:each b",
        "b g",
        "g:done j",
        "f:each j",
        "j f",
        "f:done d",
        g=each(),
        b=adds("inner"),
        j=node(),
        d=seen(done),
    )
    found = [[r["value"] for r in row["results"]] for row in done[0][1]["results"]]
    assert found == [[1, 2], [], [3]]
    assert len(done) == 1


async def test_a_join_behind_it_waits_for_its_end():
    done = []
    edges = ["s f", "s o", "f:each b", "b f", "f:done j", "o j", "j d"]
    await run(LIST, *edges, start="in s", o=adds("other"), d=seen(done))
    assert [(d["results"], d["other"]) for _, d, _ in done] == [(LIST["list"], True)]


async def test_an_element_that_fails_fails_the_item_as_a_whole():
    body, done = [], []
    edges = ["in f", "f:each b", "b f", "f:done d"]
    flow = await walked(edges, f=each(), b=seen(body, fails_at="b"), d=seen(done))
    context = ExecutionContext(SCOPE, NodeOutput("in:1:1", LIST))
    with pytest.raises(NodeFailed, match="this one fails") as failed:
        await flow.engine.execute(context, "in")
    assert failed.value.node_id == "b" and failed.value.node_input.data == {"value": "b"}
    assert len(body) == 2 and done == []
    context.fail(failed.value)
    assert not context.straight  # so that it begins again as a whole, and not at b


async def test_what_enters_behind_it_cannot_come_back():
    flow = await walked(["in f", "f:each b", "b f", "f:done d"], f=each())
    context = ExecutionContext(SCOPE, NodeOutput("in:1:1", {"value": "a"}))
    with pytest.raises(NodeFailed, match="replay it from the beginning"):
        await flow.engine.execute(context, "b")


@pytest.mark.parametrize("data", [{}, {"list": "abc"}, {"list": {"a": 1}}])
async def test_what_is_no_list_fails(data):
    async with driven(ForEach, {"field": "list"}, context=RecordingContext(mode="bench")) as one:
        one.context.take_round = lambda: None
        with pytest.raises(NodeFailed, match="the field 'list' is"):
            await one.data(data)


@pytest.mark.parametrize(
    ("edges", "wrong"),
    [
        (["in f", "f:each b", "b f", "f:done d"], []),
        (["in f", "f:each b", "b f", "in b"], [3]),
        (["in f", "f:each b", "b f", "f:done b"], [3]),
        (["in f", "f:each b", "f:done d", "d f"], [3]),
        (["in c", "c:yes f", "f:each b", "b f", "f:done c"], []),
        (["in f", "f:each g", "g:each b", "b g", "g:done f"], []),
        (["in f", "f:each g", "g:each b", "b f", "b g"], [0]),
        (["in f", "f:each g", "g:each b", "f:each b"], [3]),
    ],
)
def test_nothing_comes_in_between(edges, wrong):
    makers = {"f": each(), "g": each(), "c": chooses("yes")}
    named = {end.partition(":")[0] for edge in edges for end in edge.split()}
    flow = Walked(edges, **{name: makers[name] for name in named & makers.keys()})
    problems = FlowAnalyzer(flow.graph).problems()
    assert [p.path for p in problems] == [f"edges[{index}]" for index in wrong]
