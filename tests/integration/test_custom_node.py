"""`examples/custom_node` where pip would put it: found, checked, and run by a host.

Its own test is run by `tests/unit/test_nodes_custom.py`.
"""

import json
import shutil
import tomllib

import pytest

from nodes.registry import ENTRY_POINT_GROUP
from tests.local_runs import ROOT, LocalRuns

EXAMPLE = ROOT / "examples" / "custom_node"
NODES = [
    {"id": "1", "type": "string-iterator", "data": {"form": {"text": "4111111111111111\nabc"}}},
    {"id": "2", "type": "mask-field", "data": {"form": {"field": "line", "keep": 4}}},
    {"id": "3", "type": "file-writer", "data": {"form": {"path": "masked.jsonl"}}},
]
EDGES = [("1", "2"), ("2", "3")]


@pytest.fixture
def runs(tmp_path, redis_url):
    prepared = LocalRuns(tmp_path, redis_url)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    entry_points = project["entry-points"][ENTRY_POINT_GROUP]
    site = prepared.install(project["name"], project["version"], entry_points)
    shutil.copytree(EXAMPLE / "src", site, dirs_exist_ok=True)
    return prepared


def test_it_is_in_the_list_once_it_is_installed(runs):
    assert runs.run("nodes", "--json") == 0
    found = json.loads(runs.told)
    assert found["broken"] == {}
    assert "mask-field" in {node["type"] for node in found["results"]}


def test_its_form_is_checked_with_the_workflow(runs):
    wrong = [NODES[0], {**NODES[1], "data": {"form": {"keep": -1}}}, NODES[2]]
    assert runs.run("check_workflow", runs.workflow("wrong", wrong, EDGES)) == 1
    assert "nodes[1].data.form.field: " in runs.told
    assert "nodes[1].data.form.keep: " in runs.told


def test_a_loop_runs_it(runs):
    assert runs.run("run_workflow", runs.workflow("mask", NODES, EDGES)) == 0, runs.told
    lines = [item["line"] for item in runs.lines("masked.jsonl")]
    assert lines == ["************1111", "***"]
