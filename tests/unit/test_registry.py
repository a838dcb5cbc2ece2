"""NodeRegistry: discovery, and what is broken stays alone."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodes.base import BaseNode, BlockingNode
from nodes.contract import NodeConfig, NodeOutput
from nodes.registry import NodeRegistry
from orchestrator.exceptions import DuplicateNodeType, RegistryError, UnknownNodeType

BUILTIN = {
    "batch", "counter", "data-transformer", "debug", "deduplicate", "dynamic-delay",
    "file-reader", "file-writer", "group", "if-condition", "parse-json", "parse-regex",
    "queue-reader", "queue-writer", "schedule", "static-delay", "string-iterator", "switch", "tool",
}  # fmt: skip

NODE = """
from nodes.base import BlockingNode

class {name}(BlockingNode):
    identifier = "{identifier}"

    async def execute(self, item):
        return item
"""


class Upper(BlockingNode):
    identifier = "upper"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        return item.with_data({"text": item.data["text"].upper()})


MakePackage = Callable[..., str]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(name: str, **modules: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for module, source in {"__init__": "", **modules}.items():
            (folder / f"{module}.py").write_text(textwrap.dedent(source))
        made.append(name)
        return name

    yield make
    for loaded in [m for m in sys.modules if m.partition(".")[0] in made]:
        del sys.modules[loaded]


def test_the_builtin_nodes_are_discovered_and_none_is_broken() -> None:
    registry = NodeRegistry()
    registry.discover()
    assert set(registry.types()) >= BUILTIN
    assert registry.types() == sorted(registry.types())
    assert registry.broken == {}


@pytest.mark.parametrize("identifier", sorted(BUILTIN))
def test_a_builtin_node_has_what_a_person_needs(identifier: str) -> None:
    registry = NodeRegistry()
    registry.discover()
    node_class = registry.get(identifier)
    assert node_class.label and node_class.description and node_class.icon != BaseNode.icon
    assert node_class.category != BaseNode.category
    assert node_class.load_form() is not None


def test_discovery_imports_no_django() -> None:
    code = (
        "import sys; from nodes.registry import NodeRegistry; r = NodeRegistry(); r.discover();"
        "assert not r.broken, r.broken;"
        "print([m for m in ('django', 'jinja2', 'redis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_create_makes_a_node_of_the_configured_type() -> None:
    registry = NodeRegistry()
    registry.register(Upper)
    node = registry.create(NodeConfig(id="7", type="upper"))
    assert isinstance(node, Upper) and node.id == "7"


def test_registering_the_same_class_twice_changes_nothing() -> None:
    registry = NodeRegistry()
    registry.register(Upper)
    registry.register(Upper)
    assert list(registry) == [Upper] and "upper" in registry and len(registry) == 1


def test_a_second_class_with_an_identifier_is_refused() -> None:
    registry = NodeRegistry()
    registry.register(Upper)
    other = type("Other", (BlockingNode,), {"identifier": "upper"})
    with pytest.raises(DuplicateNodeType, match="Upper"):
        registry.register(other)
    assert registry.get("upper") is Upper


@pytest.mark.parametrize("identifier", ["", "Upper", "two words", "under_score", "-x", "x--y"])
def test_an_identifier_is_kebab_case(identifier: str) -> None:
    with pytest.raises(RegistryError, match="kebab-case"):
        NodeRegistry().register(type("Odd", (BlockingNode,), {"identifier": identifier}))


def test_only_nodes_can_be_registered() -> None:
    with pytest.raises(RegistryError, match="BaseNode"):
        NodeRegistry().register(dict)  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", ["os.system", "", "\uff55pper", "builtins.eval"])
def test_an_unknown_type_is_an_error_of_its_own_and_imports_nothing(asked: str) -> None:
    registry = NodeRegistry()
    registry.register(Upper)
    before = set(sys.modules)
    with pytest.raises(UnknownNodeType):
        registry.get(asked)
    assert set(sys.modules) == before


def test_a_type_that_is_nearly_right_is_suggested() -> None:
    registry = NodeRegistry()
    registry.register(Upper)
    with pytest.raises(UnknownNodeType, match="did you mean 'upper'"):
        registry.get("uper")


def test_a_package_is_searched_but_for_its_forms(make_package: MakePackage) -> None:
    package = make_package(
        "shop_nodes",
        goods=NODE.format(name="Goods", identifier="goods"),
        goods_forms="raise RuntimeError('forms are loaded when they are needed')",
    )
    registry = NodeRegistry()
    registry.discover([package])
    assert "goods" in registry and registry.broken == {}


def test_a_broken_package_is_named_and_the_others_are_there(make_package: MakePackage) -> None:
    broken = make_package("broken_nodes", __init__="import sys; sys.exit('no licence')")
    half = make_package(
        "half_nodes",
        bad="raise ValueError('half of me')",
        good=NODE.format(name="Good", identifier="good"),
    )
    registry = NodeRegistry()
    registry.discover([broken, "absent_nodes", half])
    assert "good" in registry and "counter" in registry
    assert set(registry.broken) == {"broken_nodes", "absent_nodes", "half_nodes.bad"}
    assert "no licence" in registry.broken["broken_nodes"]
    assert "half of me" in registry.broken["half_nodes.bad"]


def test_a_duplicate_in_a_package_is_named_and_the_first_stays(make_package: MakePackage) -> None:
    package = make_package("copy_nodes", n=NODE.format(name="Mine", identifier="counter"))
    registry = NodeRegistry()
    registry.discover([package])
    assert registry.get("counter").__module__ == "nodes.builtin.sources"
    assert "'counter' is already" in registry.broken["copy_nodes.n.Mine"]


def test_entry_points_are_loaded(make_package: MakePackage, tmp_path: Path) -> None:
    make_package("installed_nodes", n=NODE.format(name="Installed", identifier="installed"))
    metadata = tmp_path / "installed_nodes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-nodes\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[orchestrator.nodes]\n"
        "whole = installed_nodes\n"
        "one = installed_nodes.n:Installed\n"
        "gone = installed_nodes.absent\n"
        "odd = json:dumps\n"
    )
    registry = NodeRegistry()
    registry.discover()
    assert "installed" in registry
    assert set(registry.broken) == {"gone", "odd"}
