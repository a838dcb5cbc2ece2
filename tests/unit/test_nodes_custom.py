"""The example package of `examples/custom_node`: found as an installed one is, and its own test."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nodes.registry import ENTRY_POINT_GROUP, NodeRegistry

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "custom_node"


def test_the_entry_point_names_a_package_with_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    registry = NodeRegistry()
    registry.discover(list(project["entry-points"][ENTRY_POINT_GROUP].values()))
    assert registry.broken == {}
    assert registry.get("mask-field").load_form() is not None


def test_the_test_of_the_example_passes_without_a_django_project() -> None:
    hidden = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml"],
        cwd=EXAMPLE,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
