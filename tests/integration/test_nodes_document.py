"""docs/nodes.md: its table is the registry, its workflow runs, its settings are valid."""

import json
import re

from nodes.registry import BUILTIN_PACKAGE
from nodes.testing import driven
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.credentials import Credential
from tests.local_runs import ROOT, LocalRuns

PAGE = (ROOT / "docs" / "nodes.md").read_text()


def settings(heading):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]


def test_the_tables_name_each_built_in_node_once_and_no_other():
    named = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    registry = flow_engine().registry
    built_in = [c.identifier for c in registry if c.__module__.startswith(BUILTIN_PACKAGE)]
    assert sorted(named) == sorted(built_in)


def test_the_workflow_gives_what_the_page_says(tmp_path, redis_url):
    runs = LocalRuns(tmp_path, redis_url)
    order, results = re.search(
        r"`(\{\"lines\".*?)` leaves by `done` with\n`(\"results\".*?)`", PAGE, re.DOTALL
    ).groups()
    runs.file("").mkdir()
    runs.file("orders.jsonl").write_text(order + "\n")
    path = tmp_path / "lines.json"
    [workflow] = settings("For each")
    path.write_text(json.dumps(workflow))
    assert runs.run("run_workflow", path) == 0, runs.told
    assert runs.lines("sums.jsonl") == [{**json.loads(order), **json.loads(f"{{{results}}}")}]


async def test_the_settings_are_valid():
    registry = flow_engine().registry
    credentials = {"shop": Credential("database-url", {"url": "postgresql://u@db.test/shop"})}
    [figures] = settings("Aggregate")
    [query, poll] = settings("Databases")
    merge = json.loads(re.search(r"`(\{\"key\": \"order_id\".*?)`", PAGE)[1])
    for kind, form in (
        ("aggregate", figures),
        ("sql-query", query),
        ("sql-poll", poll),
        ("merge", merge),
    ):
        async with driven(registry.get(kind), form, credentials=credentials):
            pass
