"""docs/groups.md says what happens."""

import ast
import json
import re
from pathlib import Path

import pytest

from nodes.contract import NodeConfig, NodeOutput
from nodes.registry import NodeRegistry
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine
from orchestrator.exceptions import GroupFailed

PAGE = (Path(__file__).parents[2] / "docs/groups.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(capsys):
    """Run the Python of the page, and return its names."""
    names = {"__name__": "page"}
    for block in blocks("python"):
        exec(compile(block, "groups.md", "exec"), names)
    return names


def test_the_diamond_prints_what_the_page_shows(page, capsys):
    shown = blocks("text")[0]
    assert capsys.readouterr().out.splitlines()[0] == shown.strip()
    assert ast.literal_eval(shown)["mean"] == 7.0


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "best_effort"},
        {"policy": "at_least_n", "n": 2},
        {"policy": "critical", "critical": ["total"]},
        {"policy": "no_timeouts"},
    ],
)
def test_the_policies_that_go_on(page, options):
    policy = page.get(options["policy"], options["policy"])
    state = page["diamond"](**{**options, "policy": policy}).run({}).state
    assert (state["mean"], list(state["facts_errors"])) == (7.0, ["price"])


@pytest.mark.parametrize(
    "options",
    [{}, {"policy": "at_least_n", "n": 3}, {"policy": "critical", "critical": ["price"]}],
)
def test_the_policies_that_fail(page, options):
    with pytest.raises(GroupFailed) as failed:
        page["diamond"](**options).run({})
    assert failed.value.message == blocks("text")[1].strip()


async def test_the_json_is_a_group(tmp_path):
    def price():
        raise ConnectionError("away")

    registry, tools = NodeRegistry(), ToolRegistry()
    registry.discover()
    tools.register("orders.total", lambda orders: sum(orders))
    tools.register("orders.price", price)
    engine = FlowEngine(registry, tools, files_dir=tmp_path)
    node = json.loads(blocks("json")[0])
    config = NodeConfig(id=node["id"], type=node["type"], form=node["data"]["form"])
    result = await engine.execute_node(config, NodeOutput("i", {"orders": [1, 2]}))
    assert result.output == {
        "orders": [1, 2],
        "total": 3,
        "facts_errors": {"price": {"type": "ConnectionError", "message": "away"}},
    }
