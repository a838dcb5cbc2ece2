"""Groups in graphs of JSON: a run goes through them like through any node."""

from orchestrator.execution.runs import Run, RunStatus
from orchestrator.runtime.run_graphs import load_graph


def graph(**settings):
    members = [
        {"name": "sum", "tool": "test.add", "arguments": {"left": "{{ data.n }}", "right": 2}},
        {"name": "bad", "tool": "test.fail"},
    ]
    nodes = [
        {"id": "first", "tool": "test.add", "arguments": {"left": 1}, "target": "n"},
        {"id": "both", "type": "group", "data": {"form": {"members": members, **settings}}},
        {"id": "last", "tool": "test.add", "arguments": {"left": "{{ data.sum }}", "right": 10}},
    ]
    ways = [("first", "both"), ("both", "last")]
    edges = [{"id": f"{a}-{b}", "source": a, "target": b} for a, b in ways]
    return {"name": "g", "nodes": nodes, "edges": edges, "entry_point": "first"}


async def run(raw):
    async with load_graph(raw).compiled as compiled:
        return await Run(compiled).execute({})


async def test_a_run_goes_on_behind_a_group_that_allows_a_failure():
    result = await run(graph(policy="best_effort"))
    assert result.status == RunStatus.COMPLETED
    assert result.state == {
        "n": 2,
        "sum": 4,
        "both_errors": {"bad": {"type": "ValueError", "message": "no"}},
        "last": 14,
    }


async def test_a_run_fails_with_its_group_and_says_which_members_did():
    result = await run(graph())
    assert (result.status, result.path) == (RunStatus.FAILED, ["first", "both"])
    assert result.error is not None
    assert (result.error.code, result.state) == ("group_failed", {"n": 2})
    assert result.error.problems == (("members.bad", "ValueError: no"),)
