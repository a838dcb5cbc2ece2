"""docs/egress.md: its workflow can be saved, its entries mean something, its node works."""

import json
import re

from nodes.testing import driven
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.egress import EgressPolicy
from tests.local_runs import ROOT
from tests.web_server import Reply, WebServer

PAGE = (ROOT / "docs" / "egress.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_workflow_is_valid():
    [workflow] = blocks("json")
    flow = flow_engine().load(json.loads(workflow))
    assert [loop.id for loop in flow.analyzer.loops()] == ["poll"]


def test_the_entries_mean_something():
    [command] = blocks("sh")
    given = re.search(r"EGRESS_ALLOW=(\S+)", command)[1].split(",")
    table = PAGE.split("| entry | opens |")[1].split("\n\n")[0]
    named = [entry for row in table.splitlines() for entry in re.findall(r"`([^`]+)`", row)]
    policy = EgressPolicy.parse([*given, *named, "db.internal:5432"])
    assert policy.ports == {80, 443, 8443}
    assert len(policy.allow_networks) + len(policy.allow_hosts) >= 8


async def test_the_node_works(open_egress):
    [source] = blocks("python")
    names = {"__name__": "weather"}
    exec(source, names)
    with WebServer(lambda request: Reply(body=b"sunny")) as server:
        open_egress(f"127.0.0.1:{server.port}")
        async with driven(names["Weather"]) as run:
            assert await run.data({"url": server.url}) == {"url": server.url, "weather": "sunny"}
