"""`docs/templates.md`: what it lists and what its examples give."""

import json
import re
from pathlib import Path

import pytest

from forms.environment import MAX_ITERATIONS, MAX_SECONDS
from forms.functions import FILTERS, METHODS, TESTS
from forms.limits import MAX_OUTPUT
from forms.preview import preview
from forms.syntax import (
    LOOP_FIELDS,
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_LOOPS,
    MAX_NODES,
    MAX_SOURCE,
)
from forms.templating import compile_template
from nodes.contract import PoolType
from orchestrator.flow.schema import parse_workflow

TEXT = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
BLOCKS = re.findall(r"```(?:json)?\n(.*?)```", TEXT, re.DOTALL)


def row(title):
    return re.search(rf"^\| {title} \| (.*) \|$", TEXT, re.MULTILINE)[1]


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("filters", {*FILTERS, "default", "d"}),
        ("tests", {*TESTS, "defined", "undefined"}),
        ("methods of texts", set(METHODS[str])),
        ("methods of objects and lists", {*METHODS[dict], *METHODS[list]}),
    ],
)
def test_lists_all_that_can_be_called(title, names):
    assert set(re.findall(r"\w+", row(title))) == names


def test_names_the_limits():
    source = f"{MAX_SOURCE // 1024} KB, {MAX_NODES} parts, {MAX_DEPTH} levels deep"
    assert row("source") == f"{source}, {MAX_COMPARISONS} comparisons"
    assert row("result").startswith(f"{MAX_OUTPUT:,} characters")
    assert row("time") == f"{MAX_SECONDS * 1000:.0f} ms"
    assert f"run {MAX_ITERATIONS:,} times at most, and are nested {MAX_LOOPS} deep" in TEXT
    assert all(name in TEXT for name in LOOP_FIELDS)


def test_the_loop():
    node = json.loads(BLOCKS[0])
    [read] = parse_workflow({"nodes": [node]}).nodes
    assert read.config.options.advanced_templates
    assert read.config.options.pool is PoolType.PROCESS
    data = json.loads(re.search(r'^For `(\{"lines".*\})` it gives$', TEXT, re.MULTILINE)[1])
    source = node["data"]["form"]["fields"]["text"]
    assert compile_template(source, advanced=True)(data) == BLOCKS[1]
    assert compile_template(source, advanced=True)({"lines": []}) == "nothing\n"


def test_the_preview():
    customer = {"name": "Ada Lovelace", "mail": "ada@example.org"}
    data = {"id": 48213, "customer": customer}
    assert preview("{{ data.id }}", data) == json.loads(BLOCKS[2])
    assert preview("{{ data.customer.phone }}", data) == json.loads(BLOCKS[3])
