"""Small secrets in the data folder: files of mode 600 that only their owner reads."""

import os
from collections.abc import Callable
from pathlib import Path


def read(path: Path) -> str:
    """Return what the file holds; an empty string when there is none."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that nobody reads half of it."""
    os.replace(_new_file(path, text), path)


def keep(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds, or make it; of two processes at once, the first one wins."""
    kept = read(path)
    if kept:
        return kept
    fresh = _new_file(path, make())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return read(path)


def make_folder(path: Path) -> Path:
    """Make a folder that only its owner enters; one that is there keeps its mode."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _new_file(path: Path, text: str) -> Path:
    make_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return fresh
