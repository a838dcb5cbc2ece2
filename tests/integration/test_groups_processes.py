"""Groups of tools in child processes: a child knows the tools that the settings name."""

from nodes.contract import NodeConfig, NodeOutput
from orchestrator.runtime.engine import flow_engine


async def test_tools_run_in_processes():
    form = {
        "executor": "process",
        "policy": "best_effort",
        "members": [
            {"name": "sum", "tool": "test.add", "arguments": {"left": "{{ data.n }}"}},
            {"name": "bad", "tool": "test.fail", "arguments": {"message": "no luck"}},
            {"name": "odd", "tool": "test.odd"},
        ],
    }
    config = NodeConfig(id="g", type="group", form=form)
    result = await flow_engine().execute_node(config, NodeOutput("i", {"n": 4}))
    assert result.output is not None
    errors = result.output["g_errors"]
    assert result.output["sum"] == 5
    assert errors["bad"] == {"type": "ValueError", "message": "no luck"}
    assert errors["odd"]["type"] == "invalid_payload"
