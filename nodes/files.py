"""The one folder that file nodes may read and write.

The engine names it once with `configure`. A path in a workflow is relative to it; it may not climb
out by `..` nor by a symbolic link, and only plain files are opened: a named pipe would block.
"""

import contextlib
import os
import stat
from collections import deque
from itertools import islice
from pathlib import Path, PurePosixPath

from orchestrator.exceptions import InvalidRequest

MAX_PATH = 1024

_folder: Path | None = None


def configure(path: Path | str) -> None:
    """Name the folder and make it if it is absent."""
    global _folder
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    _folder = folder.resolve()


def files_dir() -> Path:
    """Return the folder.

    Raises:
        InvalidRequest: `configure` was not called.
    """
    if _folder is None:
        raise InvalidRequest("the files folder is not configured")
    return _folder


def check_path(text: str) -> PurePosixPath:
    """Check how a path is written, without touching the disk, and return it in its short form.

    Raises:
        InvalidRequest: it is empty, absolute, too long, or contains `..` or NUL.
    """
    path = PurePosixPath(text)
    if not path.name:
        raise InvalidRequest("name a file")
    if "\0" in text or len(text.encode(errors="replace")) > MAX_PATH:
        raise InvalidRequest(f"a path has at most {MAX_PATH} bytes and no NUL")
    if path.is_absolute() or ".." in path.parts:
        raise InvalidRequest(f"{text!r} must be a path inside the files folder")
    return path


def resolve(text: str) -> Path:
    """Return the real path of a file in the folder; the file need not exist.

    Raises:
        InvalidRequest: the path is not allowed, or a symbolic link leads out of the folder.
    """
    folder = files_dir()
    try:
        path = (folder / check_path(text)).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise InvalidRequest(f"{text!r} cannot be resolved: {error}") from None
    if not path.is_relative_to(folder) or path == folder:
        raise InvalidRequest(f"{text!r} leads out of the files folder")
    return path


def existing(limit: int = 200) -> list[str]:
    """Return paths of plain files in the folder, the nearest first, but for hidden ones."""
    found: list[str] = []
    folders = deque([files_dir()])
    for _ in range(limit):
        if not folders or len(found) >= limit:
            break
        with contextlib.suppress(OSError), os.scandir(folders.popleft()) as entries:
            for entry in sorted(islice(entries, 10 * limit), key=lambda entry: entry.name):
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    folders.append(Path(entry.path))
                elif entry.is_file():
                    found.append(str(Path(entry.path).relative_to(files_dir())))
    return found[:limit]


def open_fd(text: str, flags: int) -> int:
    """Open a plain file of the folder with `os.open` flags and return its descriptor.

    Raises:
        InvalidRequest: the path is not allowed, or it is not a plain file.
        OSError: it cannot be opened.
    """
    path = resolve(text)
    if flags & os.O_CREAT:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Resolved already: a link that is put in its place meanwhile is refused by O_NOFOLLOW.
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidRequest(f"{text!r} is not a plain file")
    return descriptor
