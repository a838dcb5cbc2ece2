"""nodes.files: nothing outside the files folder is reached."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes import files
from orchestrator.exceptions import InvalidRequest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(files, "_folder", None)
    files.configure(tmp_path / "files")
    (tmp_path / "secret.txt").write_text("secret")
    yield tmp_path / "files"


def test_an_unconfigured_folder_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_folder", None)
    with pytest.raises(InvalidRequest, match="not configured"):
        files.files_dir()


def test_a_path_is_below_the_folder(folder: Path) -> None:
    assert files.resolve("logs/./today.log") == folder / "logs" / "today.log"
    assert files.files_dir() == folder


@pytest.mark.parametrize(
    "path",
    ["", ".", "/etc/passwd", "../secret.txt", "a/../../secret.txt", "a/..", "x\0y", "a" * 5000,
     "/proc/self/environ", "ä" * 600],
)  # fmt: skip
def test_a_path_that_leads_out_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(InvalidRequest):
        files.resolve(path)


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_followed(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)
    (folder / "leak").symlink_to(folder.parent / "secret.txt")
    (folder / "real.txt").write_text("here")
    (folder / "near").symlink_to(folder / "real.txt")
    (folder / "loop").symlink_to(folder / "loop")
    for path in ("out/secret.txt", "leak", "loop", "out"):
        with pytest.raises(InvalidRequest):
            files.resolve(path)
    assert files.resolve("near") == folder / "real.txt"


def test_only_plain_files_are_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    for path in ("pipe", "folder"):
        with pytest.raises(InvalidRequest, match="plain file"):
            files.open_fd(path, os.O_RDONLY)


def test_a_new_file_gets_its_folders(folder: Path) -> None:
    os.close(files.open_fd("a/b/new.txt", os.O_RDWR | os.O_CREAT))
    assert (folder / "a" / "b" / "new.txt").is_file()
