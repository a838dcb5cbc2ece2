"""The node `group`: tools side by side, as its JSON form says."""

import asyncio

import pytest

from nodes.contract import NodeConfig, NodeOutput
from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine
from orchestrator.exceptions import GroupFailed, NodeFailed, WorkflowInvalid

met: list[asyncio.Barrier] = []


def double(number):
    return number * 2


async def meet(number):
    await asyncio.wait_for(met[0].wait(), 10)
    return number


def refuse():
    raise ValueError("no such shop")


async def wait():
    await asyncio.Event().wait()


@pytest.fixture
def engine(tmp_path):
    registry = NodeRegistry()
    registry.discover()
    tools = ToolRegistry()
    for function in (double, meet, refuse, wait):
        tools.register(f"shop.{function.__name__}", function)
    return FlowEngine(registry, tools, files_dir=tmp_path)


async def run(engine, form, **data):
    config = NodeConfig(id="shops", type="group", form=form)
    return (await engine.execute_node(config, NodeOutput("i", data))).output


def tool(name, tool, **arguments):
    return {"name": name, "tool": f"shop.{tool}", "arguments": arguments}


async def test_tools_run_side_by_side_and_their_results_come_under_their_names(engine):
    met[:] = [asyncio.Barrier(2)]
    members = [tool("a", "meet", number="{{ data.n }}"), tool("b", "meet", number=5)]
    assert await run(engine, {"members": members}, n=3) == {"n": 3, "a": 3, "b": 5}


async def test_the_policy_decides_and_failures_are_noted_below_the_node(engine):
    members = [tool("a", "double", number=1), tool("b", "refuse"), {"name": "c", "tool": "absent"}]
    noted = {
        "b": {"type": "ValueError", "message": "no such shop"},
        "c": {"type": "unknown_tool", "message": "no tool has the name 'absent'"},
    }
    for options in (
        {"policy": "best_effort"},
        {"policy": "at_least_n", "n": 1},
        {"policy": "critical", "critical": ["a"]},
    ):
        found = await run(engine, {"members": members, **options})
        assert found == {"a": 2, "shops_errors": noted}
    with pytest.raises(GroupFailed) as failed:
        await run(engine, {"members": members})
    assert failed.value.node_id == "shops"
    assert "the group 'shops'" in failed.value.message


async def test_times_are_limited(engine):
    members = [tool("a", "double", number=1), tool("b", "wait")]
    for limit in ("timeout", "member_timeout"):
        form = {"members": members, "policy": "best_effort", limit: "1s"}
        found = await asyncio.wait_for(run(engine, form), 10)
        assert (found["a"], found["shops_errors"]["b"]["type"]) == (2, "NodeTimeout")


async def test_a_member_may_be_a_group(engine):
    deep = {
        "name": "deep",
        "policy": "best_effort",
        "members": [tool("x", "double", number="{{ data.n }}"), tool("y", "refuse")],
    }
    found = await run(engine, {"members": [deep, tool("a", "double", number=1)]}, n=4)
    assert found["a"] == 2
    assert found["deep"]["x"] == 8
    assert found["deep"]["deep_errors"]["y"]["type"] == "ValueError"


def problems(engine, form):
    raw = {
        "name": "w",
        "nodes": [{"id": "shops", "type": "group", "data": {"form": form}}],
        "edges": [],
    }
    flow = engine.inspect(raw)
    return [
        (problem.path, problem.message)
        for problem in flow.problems
        if problem.path.startswith("nodes[0].data.form")
    ]


good = tool("a", "double", number=1)


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ({}, "members", "required"),
        ({"members": []}, "members", "members: a group needs a member"),
        ({"members": 3}, "members", "takes a list"),
        ({"members": [3]}, "members", "members[0]: a member is an object"),
        ({"members": [good, good]}, "members", "members[1].name: 'a' is the name"),
        ({"members": [{"tool": "t"}]}, "members", "members[0].name: None is no name"),
        ({"members": [{"name": "a"}]}, "members", "members[0].tool: takes the name"),
        ({"members": [{**good, "arguments": 3}]}, "members", "members[0].arguments: takes"),
        ({"members": [{**good, "type": "x"}]}, "members", "members[0].type: there is no such key"),
        (
            {"members": [{**good, "tool": "{{ data.tool }}"}]},
            "members",
            "members[0].tool: only arguments may hold a template",
        ),
        (
            {"members": [good, {"name": "g", "members": [{"name": "{{ data.a }}", "tool": "t"}]}]},
            "members",
            "members[1].members[0].name: only arguments",
        ),
        (
            {"members": [{"name": "g", "members": [good, good]}]},
            "members",
            "members[0].members[1].name: 'a' is the name",
        ),
        ({"members": [good], "policy": "lenient"}, "policy", "not one of the available"),
        ({"members": [good], "policy": "at_least_n"}, "n", "from 1 to 1, and not None"),
        ({"members": [good], "policy": "at_least_n", "n": 5}, "n", "from 1 to 1, and not 5"),
        ({"members": [good], "n": 1}, "n", "only for the policy at_least_n"),
        ({"members": [good], "policy": "critical"}, "critical", "takes the names"),
        (
            {"members": [good], "policy": "critical", "critical": ["b"]},
            "critical",
            "there is no member 'b'",
        ),
        ({"members": [good], "timeout": 0}, "timeout", "at least"),
        ({"members": [good], "executor": "moon"}, "executor", "not one of the available"),
        ({"members": [good], "many": 1}, "many", "no such field"),
    ],
)
def test_what_makes_no_group_is_said_when_it_is_saved(engine, form, field, message):
    found = problems(engine, form)
    assert [path for path, _ in found] == [f"nodes[0].data.form.{field}"]
    assert message in found[0][1]


def test_groups_are_not_nested_without_end(engine):
    form = {"members": [good]}
    for _ in range(8):
        form = {"members": [{"name": "g", **form}]}
    [(path, message)] = problems(engine, form)
    assert (path, message.endswith("groups are at most 8 deep")) == (
        "nodes[0].data.form.members",
        True,
    )


def test_a_group_that_is_right_has_no_problems(engine):
    assert problems(engine, {"members": [tool("a", "double", number="{{ data.n }}")]}) == []


async def test_a_posted_form_has_its_members_as_a_text(engine):
    text = '[{"name": "a", "tool": "shop.double", "arguments": {"number": {{ data.n }}}}]'
    assert problems(engine, {"members": text}) == []
    assert await run(engine, {"members": text}, n=4) == {"n": 4, "a": 8}
    for wrong in ('[{"name": "{{ data.n }}"}]', '{"a": "{{ data.n }}"}', "{{ data.n }}"):
        with pytest.raises(NodeFailed) as failed:
            await run(engine, {"members": wrong}, n=4)
        assert failed.value.error_type == WorkflowInvalid.code
