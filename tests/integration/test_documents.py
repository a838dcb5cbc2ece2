"""The documents name what there is: who adds a node type, setting or route describes it."""

import re
from dataclasses import fields

import pytest

from nodes.registry import BUILTIN_PACKAGE
from orchestrator.api.urls import urlpatterns
from orchestrator.conf import OrchestratorSettings
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import SYSTEM
from orchestrator.services import nodes
from tests.local_runs import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BUILTIN = [
    node.identifier
    for node in flow_engine().registry
    if node.__module__.startswith(BUILTIN_PACKAGE)
]


def text(name):
    return (ROOT / "docs" / name).read_text()


@pytest.mark.django_db
@pytest.mark.parametrize("node_type", BUILTIN)
def test_every_builtin_node_has_a_row_with_its_fields(node_type):
    (row,) = re.findall(rf"^\| `{node_type}` \|.*$", text("nodes.md"), re.MULTILINE)
    form = nodes.form(SYSTEM, node_type)
    assert {field["name"] for field in form["fields"]} <= set(re.findall(r"`([a-z_]+)`", row))


def test_every_setting_is_described():
    page = text("configuration.md")
    read = set(re.findall(r'environ\.get\("([A-Z_]+)"', (ROOT / "config/settings.py").read_text()))
    for name in {*read, *(field.name for field in fields(OrchestratorSettings))}:
        assert f"`{name}`" in page, name


def test_every_route_of_the_api_is_described():
    page = text("api.md")
    for pattern in urlpatterns:
        start = re.match(r"\^([a-z-]+(/[a-z]+)?)", str(pattern.pattern))
        assert f"/{start[1]}" in page, pattern


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(path):
    page = path.read_text()
    named = re.findall(r"\]\((?!https?:)([^)#]+)\)", page)
    rooms = "docs|examples|tests|nodes|forms|orchestrator|storage"
    named += re.findall(rf"`((?:{rooms})/[\w/.-]+)`", page)
    for name in named:
        assert (path.parent / name).exists() or (ROOT / name).exists(), name


def test_every_promise_is_held_by_something():
    page = text("guarantees.md")
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for name in re.findall(r"`(test_\w+)`", page):
        assert f"def {name}(" in tests, name
    for number in re.findall(r"\bR\d+\b", page):
        assert re.search(rf"\b{number}\b", tests), number
