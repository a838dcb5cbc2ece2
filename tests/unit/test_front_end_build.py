"""`make check` finds a committed front end that a build would not make."""

import gzip
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 250 * 1024
"""Bytes of script, compressed, that the studio may ask of a browser."""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The script, with what is committed and what was built in folders of this test's own."""
    spec = importlib.util.spec_from_file_location("front_end_build", ROOT / "frontend/build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    committed = {module.TYPES: tmp_path / "src/api/types", module.STUDIO: tmp_path / "static/app"}
    monkeypatch.setattr(module, "PLACES", committed)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.fixture
def out(build, tmp_path):
    """What was built; the same is committed."""
    out = tmp_path / "out"
    for folder in (out / build.STUDIO, tmp_path / "src/api"):
        folder.mkdir(parents=True)
    (out / build.TYPES).write_text("types")
    (out / build.STUDIO / "app.js").write_text("script")
    (out / build.STUDIO / "app.css").write_text("style")
    build.keep(out, build.TYPES, build.STUDIO)
    return out


def test_what_is_the_same_passes(build, out, capsys):
    assert build.report(build.stale(out)) == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("src/api/types", b"typos"),
        ("static/app/app.js", b"script "),
        ("static/app/app.css", None),
        ("static/app/old.js", b"from another build"),
    ],
)
def test_what_differs_is_named(build, out, tmp_path, capsys, name, content):
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert build.report(build.stale(out)) == 1
    said = capsys.readouterr().out
    assert said == f"{name} is not what a build makes: run `make frontend`\n"


def test_a_missing_file_is_named(build, out, tmp_path):
    (tmp_path / "src/api/types").unlink()
    assert build.stale(out) == [tmp_path / "src/api/types"]


def test_the_studio_stays_small():
    script = ROOT / "orchestrator/static/orchestrator/studio/studio.js"
    assert len(gzip.compress(script.read_bytes())) < MOST
