"""S8: paths that lead out of the files folder, at every node that takes a path."""

import contextlib
import os
import time

import pytest

from nodes import files
from nodes.builtin.file_reader import FileReader
from nodes.builtin.file_writer import FileWriter
from nodes.testing import driven
from orchestrator.exceptions import InvalidRequest, NodeFailed, WorkflowInvalid
from orchestrator.models import Workflow

CANARY = "canary outside of the files folder"
CLIMBS = [
    "..", "../outside", "../../etc/passwd", "a/../../outside", "a/../b/../../outside",
    "./../outside", "....//outside/..", "a/./../../outside", "..//outside", "sub/..", ".", "./",
    "/", "//", "", "/etc/passwd", "//etc/passwd", "///etc/passwd", "/proc/self/environ",
    "/proc/self/root/etc/passwd", "/dev/fd/0", "/dev/stdin", "a\0b", "outside\0.jsonl", "\0",
    "x" * 5000, "/".join(["a"] * 2000), "../" * 300 + "etc/passwd", " ..",
]  # fmt: skip
HARMLESS = [
    "..\\..\\etc\\passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2foutside", "C:\\boot.ini",
    "~/.ssh/id_rsa", "~root/x", "$HOME/x", "`id`", "file:///etc/passwd", "a;rm -rf x", "...",
    "....", "\uff0e\uff0e/x", "\u2025/x", "-rf", "CON", "a\u202eexe.b", ".git/config",
    "..\n/outside",
]  # fmt: skip
"""They look as if they led out, and are names of files inside."""
TARGETS = {
    "file-reader": {"path": "a"},
    "file-writer": {"path": "a"},
    "http-request": {"url": "https://example.com/", "method": "POST", "body": "file", "file": "a"},
}
LINKS = {
    "to-file": "{outside}/secret.txt",
    "to-folder/secret.txt": "{outside}",
    "to-folder/new.txt": "{outside}",
    "to-root/etc/passwd": "/",
    "to-proc": "/proc/self/environ",
    "to-parent/outside/secret.txt": "..",
    "chained": "to-file-again",
    "itself": "itself",
    "dangling": "{outside}/made-by-a-link.txt",
}


def field_of(node_type):
    return "file" if node_type == "http-request" else "path"


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """The folder beside the files folder; it must stay as it is."""
    monkeypatch.setattr(files, "_folder", None)
    files.configure(tmp_path / "files")
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(f"{CANARY}\n")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["secret.txt"]
    assert (folder / "secret.txt").read_text() == f"{CANARY}\n"
    assert sorted(os.listdir(tmp_path)) == ["files", "outside"]


@pytest.mark.django_db
@pytest.mark.parametrize("node_type", TARGETS)
def test_no_way_out_is_stored(api, tally, node_type):
    client, name = api("editor"), field_of(node_type)
    seen = tally("S8", f"save, {node_type}", time.thread_time)
    producer = node_type == "file-reader"
    for path in CLIMBS:
        form = {**TARGETS[node_type], name: path}
        node = {"id": "1", "type": node_type, "data": {"form": form}}
        source = {"id": "0", "type": "counter", "data": {"form": {"stop": 1}}}
        raw = {"name": "Path", "nodes": [node] if producer else [node, source]}
        raw["edges"] = [] if producer else [{"source": "0", "target": "1"}]
        with seen.attempt():
            answer = client.post("/workflows/", raw)
        if answer.status_code != 400:
            seen.escaped.append((path[:50], answer.status_code))
            continue
        places = [problem["path"] for problem in answer.json()["error"]["details"]]
        assert places == [f"nodes[0].data.form.{name}"], (path[:50], places)
    assert Workflow.objects.count() == 0


async def touched(node_class, path):
    """Read, or write, by a path. Return what was read, or an empty text."""
    form = {"path": path}
    with contextlib.suppress(NodeFailed, WorkflowInvalid, InvalidRequest, OSError):
        async with driven(node_class, form) as run:
            if node_class is FileReader:
                return str(await run.all())
            run.node.open_effects(None, 0, 1)
            await run.data({"x": 1})
            run.node.apply_effects(run.context.staged)
    return ""


@pytest.mark.parametrize("node_class", [FileReader, FileWriter])
async def test_no_path_reaches_out(outside, tally, node_class):
    seen = tally("S8", f"run, {node_class.identifier}", time.monotonic)
    for path in [*CLIMBS, *HARMLESS, str(outside / "secret.txt")]:
        with seen.attempt():
            found = await touched(node_class, path)
        if CANARY in found or "root:" in found:
            seen.escaped.append(path)


@pytest.mark.parametrize("node_class", [FileReader, FileWriter])
@pytest.mark.parametrize("path", LINKS)
async def test_no_link_is_followed_out(outside, tally, node_class, path):
    seen = tally("S8", f"links, {node_class.identifier}", time.monotonic)
    folder = files.files_dir()
    (folder / "to-file-again").symlink_to(outside / "secret.txt")
    (folder / path.partition("/")[0]).symlink_to(LINKS[path].format(outside=outside))
    with seen.attempt():
        found = await touched(node_class, path)
    if CANARY in found or "root:" in found or "PATH=" in found:
        seen.escaped.append(path)


def test_opening_checks_again_what_was_swapped_for_a_link(outside):
    """The form was fine; by the time of the call a link stands there."""
    folder = files.files_dir()
    (folder / "a").write_text("inside")
    assert files.check_path("a").name == "a"
    (folder / "a").unlink()
    (folder / "a").symlink_to(outside / "secret.txt")
    with pytest.raises(InvalidRequest):
        files.open_fd("a", os.O_RDONLY)
