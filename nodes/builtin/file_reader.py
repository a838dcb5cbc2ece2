"""The file-reader node."""

import asyncio
import os
from collections import deque

from nodes.base import ProducerNode
from nodes.builtin.rows import (
    CHUNK,
    CsvParser,
    JsonLinesParser,
    LinesParser,
    Parser,
    Row,
    read_rows,
)
from nodes.contract import ExecutionCompleted, NodeOutput
from nodes.files import open_fd, resolve
from orchestrator.exceptions import InvalidRequest

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at a file that has nothing new; each pause is twice the one before."""


class FileReader(ProducerNode):
    """Emits the rows of a file, and of what is appended to it when it follows.

    Following waits for a file that is absent, leaves a last line alone until its line break is
    there, starts again when the file was cut short, and reads a file that was renamed to its end
    before it goes on with the one that took its place.

    The cursor is the file's inode and the offset after the last row. A file that was replaced
    while nobody read it is read from the beginning; one that was rewritten in place, to at least
    the old length, cannot be told from one that grew.
    """

    identifier = "file-reader"
    label = "File reader"
    description = "Emits the lines, CSV rows or JSON lines of a file, and follows one that grows."
    icon = "file-text"
    category = "files"
    form_class = "nodes.builtin.files_forms.FileReaderForm"

    _fd: int | None = None

    async def is_ready(self) -> str:
        path = str(self.values["path"])
        try:
            resolve(path)
            if not self.values["follow"]:
                os.close(open_fd(path, os.O_RDONLY))
        except (OSError, InvalidRequest) as error:
            return f"{path} cannot be read: {error}"
        return ""

    async def setup(self) -> None:
        self._path = str(self.values["path"])
        self._follow = bool(self.values["follow"])
        self._rows: deque[Row] = deque()
        self._inode = 0
        self._read_to = 0

    async def execute(self, item: NodeOutput) -> NodeOutput | ExecutionCompleted:
        if not self._rows and not await self._fill():
            return ExecutionCompleted()
        data, end = self._rows.popleft()
        self.state = {"inode": self._inode, "offset": end}
        return item.with_data(data)

    async def cleanup(self) -> None:
        # A cancelled read may still be under way in its thread: it uses `pread` only, and its
        # result is thrown away, so that nothing is lost when the descriptor is used again.
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _fill(self) -> bool:
        """Read rows until there are some; False at the end of a file that is not followed."""
        pause = SHORTEST_PAUSE
        while True:
            fd = self._open()
            moved = fd is not None and await self._read(fd, last=not self._follow)
            if self._rows:
                return True
            if not moved and not await self._switch():
                if not self._follow:
                    return False
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _read(self, fd: int, last: bool) -> bool:
        """Read on and tell whether that led anywhere; a cancelled call changes nothing."""
        rows, end = await asyncio.to_thread(read_rows, fd, self._read_to, self._parser, last)
        moved = end != self._read_to
        self._read_to = end
        self._rows.extend(rows)
        return moved

    def _open(self) -> int | None:
        """Return the open file, or None while it is absent."""
        if self._fd is not None:
            return self._fd
        try:
            self._fd = open_fd(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        found = os.fstat(self._fd)
        cursor = self.state if self._inode == 0 and self.state else {"inode": 0, "offset": 0}
        known = cursor["inode"] == found.st_ino and cursor["offset"] <= found.st_size
        self._inode = found.st_ino
        self._start_at(self._fd, cursor["offset"] if known else 0)
        return self._fd

    def _start_at(self, fd: int, offset: int) -> None:
        self._read_to = offset
        self._parser = self._make_parser()
        if offset and isinstance(self._parser, CsvParser):
            self._parser.read_header(os.pread(fd, CHUNK, 0))

    async def _switch(self) -> bool:
        """Go on with what has become of the file's name; False when nothing has."""
        if not self._follow or self._fd is None:
            return False
        try:
            found = resolve(self._path).stat()
        except FileNotFoundError:
            return False
        if found.st_ino == self._inode:
            if found.st_size >= self._read_to:
                return False
            self._start_at(self._fd, 0)
            return True
        if not found.st_size:  # its writer has not moved on yet
            return False
        if not await self._read(self._fd, last=True):
            await self.cleanup()
        return True

    def _make_parser(self) -> Parser:
        values = self.values
        encoding = str(values["encoding"])
        if values["format"] == "csv":
            return CsvParser(encoding, str(values["delimiter"]), bool(values["has_header"]))
        return JsonLinesParser(encoding) if values["format"] == "jsonl" else LinesParser(encoding)
