"""The file-writer node."""

import asyncio
import csv
import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import PurePosixPath

from nodes.base import BlockingNode
from nodes.contract import Json, NodeConfig, NodeContext, NodeOutput
from nodes.files import check_path, open_fd, resolve
from orchestrator.exceptions import InvalidRequest, NodeFailed
from storage.codec import encode

logger = logging.getLogger(__name__)


class _Echo:
    """A file that gives back what is written: csv makes a line of a row with it."""

    def write(self, text: str) -> str:
        return text


class FileWriter(BlockingNode):
    """Writes items to a file, each as one line, when their iterations are committed.

    `execute` only stages the line. The committer writes the staged lines in commit order to the
    slot's own segment (the path itself, then `name-1.jsonl` and so on; `name-bench.jsonl` on the
    bench), syncs them, and commits the length; what a lost owner wrote beyond it is cut off by
    `open_effects`.
    """

    identifier = "file-writer"
    label = "File writer"
    description = "Writes items to a file in the files folder, as JSON lines or CSV."
    icon = "file-plus"
    category = "files"
    form_class = "nodes.builtin.files_forms.FileWriterForm"
    staged = True

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._fd: int | None = None
        self._name = ""
        # The committer's thread may still write when its loop was cancelled: a descriptor that is
        # closed meanwhile could be another file's by then.
        self._writing = threading.Lock()

    def writes_path(self) -> str | None:
        try:
            return str(check_path(str(self.config.form.get("path") or "")))
        except InvalidRequest:  # the form says so
            return None

    async def is_ready(self) -> str:
        # Looked at here as well, so that the bench says what production would fail with.
        path = str(self.values["path"])
        try:
            os.close(open_fd(path, os.O_WRONLY))
        except FileNotFoundError:
            return ""
        except (OSError, InvalidRequest) as error:
            return f"{path} cannot be written: {error}"
        return ""

    async def setup(self) -> None:
        values = self.values
        self._path = str(values["path"])
        self._replace = values["mode"] == "replace"
        self._columns: list[str] = list(values["columns"] or [])
        self._csv_line: Callable[[list[Json]], str] | None = None
        if values["format"] == "csv":
            writer = csv.writer(_Echo(), delimiter=str(values["delimiter"]), lineterminator="\n")
            self._csv_line = writer.writerow

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        context.stage(self._line(item.data))
        return item

    def _line(self, data: dict[str, Json]) -> str:
        if self._csv_line is not None:
            return self._csv_line([_cell(data.get(name)) for name in self._columns])
        if self._columns:
            data = {name: data[name] for name in self._columns if name in data}
        return encode(data).decode() + "\n"

    def open_effects(self, committed: Json | None, slot: int | str, activation: int) -> Json:
        """Open the slot's segment at the committed length and return the state to commit.

        Without one of this activation, the segment keeps what it has (append) or is emptied. It
        keeps what it has, too, when the store has lost how long it was.
        """
        self._close()
        with self._writing:
            path = self.segment(slot)
            self._fd = self._alone(path)
            self._name, self._activation = path, activation
            size = os.fstat(self._fd).st_size
            if committed is not None and "kept" in committed:
                self._length = size
            elif committed is not None and committed["activation"] == activation:
                if size < committed["length"]:
                    logger.warning("%s has lost committed lines: it is too short", path)
                self._length = min(size, committed["length"])
            else:
                self._length = 0 if self._replace else size
            return self._write(self._fd, self._opening(self._fd, path))

    def apply_effects(self, effects: list[Json]) -> Json:
        """Write staged lines from the committed length on, sync, and return the new state.

        What raises has changed nothing that counts: calling again writes the same lines once.
        """
        with self._writing:
            if self._fd is None:
                raise NodeFailed("its file is not open", node_id=self.id)
            opening = "" if self._is_named(self._fd) else self._begin_again(self._fd)
            return self._write(self._fd, opening + "".join(effects))

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._close)

    def segment(self, slot: int | str) -> str:
        """Return the path of a slot's segment, or of the bench's."""
        path = PurePosixPath(self._path)
        return str(path.with_name(f"{path.stem}-{slot}{path.suffix}") if slot else path)

    def _alone(self, path: str) -> int:
        """Open the segment so that no earlier owner can change it any more.

        One that was held up in the middle of a write may still hold the file and wake up later. It
        keeps what it holds; the name gets a copy.
        """
        fd = open_fd(path, os.O_RDWR | os.O_CREAT)
        if _locked(fd):
            return fd
        beside = f"{path}.new"
        copy = open_fd(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(os.dup(fd), "rb") as source, os.fdopen(os.dup(copy), "wb") as target:
            shutil.copyfileobj(source, target)
        os.close(fd)
        _locked(copy)
        os.replace(resolve(beside), resolve(path))
        return copy

    def _is_named(self, fd: int) -> bool:
        """Tell whether the segment's name still leads to the open file."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(resolve(self._name)))
        except FileNotFoundError:
            return False

    def _begin_again(self, fd: int) -> str:
        """Go on in a new file where somebody has moved or removed the segment, as rotation does;
        what is written to the old one would not be found. Returns what the file begins with.

        Raises:
            NodeFailed: the name leads to a file that another owner writes.
        """
        fresh = open_fd(self._name, os.O_RDWR | os.O_CREAT)
        if not _locked(fresh):
            os.close(fresh)
            raise NodeFailed(f"{self._name} has another owner", node_id=self.id)
        logger.warning("%s was moved or removed: going on in a new file", self._name)
        os.dup2(fresh, fd, inheritable=False)
        os.close(fresh)
        self._length = os.fstat(fd).st_size
        return self._opening(fd, self._name)

    def _opening(self, fd: int, path: str) -> str:
        """What the segment needs before the first line: a header, or the end of a torn line."""
        header = self._csv_line(list(self._columns)) if self._csv_line else ""
        if not self._length:
            return header
        present = os.pread(fd, len(header.encode()), 0).decode(errors="replace")
        if present.rstrip("\r\n") != header.rstrip("\n"):
            raise NodeFailed(f"{path} has other columns than {header.strip()}", node_id=self.id)
        return "" if os.pread(fd, 1, self._length - 1) == b"\n" else "\n"

    def _write(self, fd: int, text: str) -> Json:
        left = memoryview(text.encode(errors="replace"))
        os.ftruncate(fd, self._length)
        at = self._length
        while left:
            written = os.pwrite(fd, left, at)
            left, at = left[written:], at + written
        os.fsync(fd)
        self._length = at
        return {"length": at, "activation": self._activation}

    def _close(self) -> None:
        with self._writing:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _locked(fd: int) -> bool:
    """Lock a file for this descriptor, and tell whether nobody else has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _cell(value: Json) -> Json:
    """A list or an object becomes JSON text, and a truth value `true` or `false`."""
    if isinstance(value, dict | list):
        return encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else value
